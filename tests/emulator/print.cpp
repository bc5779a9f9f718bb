// SPDX-License-Identifier: Apache-2.0
#include "tests/emulator/print.h"

#include <array>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

namespace tconv::emulator {
namespace {

using Json = nlohmann::ordered_json;

template <typename... Values>
std::string format(const char* text, Values... values) {
  std::array<char, 256> line{};
  std::snprintf(line.data(), line.size(), text, values...);
  return line.data();
}

unsigned long long wide(uint64_t x) { return x; }

std::string global_line(const char* name, const Requests& r) {
  if (r.requests == 0) return "";
  return format("  %-14s %10llu requests, %10llu sectors, %9llu lines, useful/moved %.3f\n", name,
                wide(r.requests), wide(r.sectors), wide(r.lines),
                static_cast<double>(r.useful_bytes) / static_cast<double>(r.moved_bytes()));
}

std::string shared_line(const char* name, const Requests& r) {
  if (r.requests == 0) return "";
  return format("  %-14s %10llu requests, %10llu wavefronts, %.3f of the fewest\n", name,
                wide(r.requests), wide(r.wavefronts),
                static_cast<double>(r.wavefronts) / static_cast<double>(r.ideal));
}

std::string counters_of(const std::string& kernel, const Counters& c) {
  std::string text =
      format("kernel %s: %llu launches, %llu blocks, %llu threads, %llu barriers\n", kernel.c_str(),
             wide(c.launches), wide(c.blocks), wide(c.threads), wide(c.barriers));
  const auto issued = static_cast<double>(c.multiply_adds);
  text += format("  multiply-adds  %10llu issued, %10.0f useful", wide(c.multiply_adds),
                 c.useful_multiply_adds);
  text += c.useful_multiply_adds > 0
              ? format(", issued/useful %.3f\n", issued / c.useful_multiply_adds)
              : "\n";
  text +=
      global_line("global loads", c.global_loads) + global_line("global stores", c.global_stores);
  text += global_line("cp.async", c.async_copies);
  text +=
      shared_line("shared loads", c.shared_loads) + shared_line("shared stores", c.shared_stores);
  return text + shared_line("ldmatrix", c.ldmatrix);
}

Json global_json(const Requests& r) {
  return {{"requests", r.requests},         {"lanes", r.lanes},
          {"sectors", r.sectors},           {"lines", r.lines},
          {"useful_bytes", r.useful_bytes}, {"moved_bytes", r.moved_bytes()}};
}

Json shared_json(const Requests& r) {
  return {{"requests", r.requests}, {"wavefronts", r.wavefronts}, {"fewest", r.ideal}};
}

Json counters_json(const std::string& kernel, const Counters& c) {
  return {{"kernel", kernel},
          {"launches", c.launches},
          {"blocks", c.blocks},
          {"threads", c.threads},
          {"barriers", c.barriers},
          {"multiply_adds_issued", c.multiply_adds},
          {"multiply_adds_useful", c.useful_multiply_adds},
          {"global_loads", global_json(c.global_loads)},
          {"global_stores", global_json(c.global_stores)},
          {"async_copies", global_json(c.async_copies)},
          {"shared_loads", shared_json(c.shared_loads)},
          {"shared_stores", shared_json(c.shared_stores)},
          {"ldmatrix", shared_json(c.ldmatrix)}};
}

}  // namespace

std::string counters_text(const std::vector<Report>& reports, bool json) {
  std::map<std::string, Counters> by_kernel;
  for (const Report& report : reports) by_kernel[report.kernel].add(report.counters);
  std::string text;
  for (const auto& [kernel, counters] : by_kernel) {
    text += json ? counters_json(kernel, counters).dump() + "\n" : counters_of(kernel, counters);
  }
  return text;
}

std::string sites_text(const std::vector<Report>& reports, bool json) {
  std::map<std::string, SyncSite> sites;
  for (const Report& report : reports) {
    for (const SyncSite& site : report.sites) {
      SyncSite& sum =
          sites.try_emplace(site.site.text() + site.name, SyncSite{site.site, site.name})
              .first->second;
      sum.executions += site.executions;
    }
  }
  std::string text;
  for (const auto& [key, site] : sites) {
    text +=
        json
            ? Json{{"site", site.site.text()}, {"name", site.name}, {"executions", site.executions}}
                      .dump() +
                  "\n"
            : format("%-32s %-24s %llu executions\n", site.site.text().c_str(), site.name.c_str(),
                     wide(site.executions));
  }
  return text;
}

}  // namespace tconv::emulator
