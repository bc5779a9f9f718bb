// SPDX-License-Identifier: Apache-2.0
// unit_lines.cpp: see unit_lines.h.
#include "bench/gpu/unit_lines.h"

#include "bench/gpu/statistics.h"

namespace tconv::bench {
namespace {

constexpr const char* kStates[] = {"cold", "warm"};

void add_interval(const std::vector<double>& us, Json& json) {
  json["us"] = median(us);
  const Interval interval = bootstrap_median(us, 1);
  json["us_low"] = interval.low, json["us_high"] = interval.high;
}

void add_ratio(const std::vector<double>& gather_us, const std::vector<double>& us, Json& json) {
  const Interval ratio = bootstrap_ratio(gather_us, us, 1);
  json["gather_over_this"] = median(gather_us) / median(us);
  json["ratio_low"] = ratio.low, json["ratio_high"] = ratio.high;
}

void add_verdict(const Entry& entry, Json& json) {
  const Verdict& verdict = entry.verdict;
  json["verified"] = verdict.right;
  json["bound"] = entry.no_bound ? "none derived: 2 % of the sum of magnitudes" : "derived";
  json["sampled"] = verdict.sampled;
  json["sample_error_over_bound"] = verdict.sample_ratio;
  if (verdict.whole_bound <= 0) return;
  json["largest_distance_from_gather"] = verdict.whole_worst;
  json["distance_bound"] = verdict.whole_bound;
}

}  // namespace

UnitLines::UnitLines(const Machine& machine, const Unit& unit, ResultLines& results)
    : machine_(machine),
      unit_(unit),
      layer_(*unit.layer),
      problem_(layer_.problem),
      results_(results) {}

/// Of the entry's result, but for cold or warm.
std::string UnitLines::id_of(const Entry& entry) const {
  return problem_.key() + "|" + entry.row + "|" + entry.proposal.tile;
}

bool UnitLines::has(const Entry& entry) const {
  const std::string id = id_of(entry);
  return results_.has(id) || (results_.has(id + "|cold") && results_.has(id + "|warm"));
}

Json UnitLines::line(const Entry& entry, const char* status) const {
  Json json = {{"kind", "timing"},      {"id", id_of(entry)},          {"unit", unit_.id()},
               {"key", problem_.key()}, {"suite_row", layer_.name},    {"batch", layer_.batch},
               {"row", entry.row},      {"plan", entry.proposal.tile}, {"status", status}};
  if (!layer_.structure.empty()) json["structure"] = layer_.structure;
  if (!entry.proposal.from.empty()) json["heuristic"] = entry.proposal.from;
  if (!entry.proposal.notes.empty()) json["notes"] = entry.proposal.notes;
  return json;
}

void UnitLines::not_timed(const Entry& entry, const char* status, const std::string& reason) {
  Json json = line(entry, status);
  json["reason"] = reason;
  if (std::string(status) == "mismatch") json["verified"] = false;
  results_.append(json);
}

void UnitLines::append_timed(const Entry& entry, const RotatingBuffers& buffers, bool cold,
                             const Rounds& rounds, std::size_t i,
                             const std::vector<double>& gather_us) {
  const std::vector<double>& us = rounds.us[i];
  Json json = line(entry, "timed");
  const char* state = kStates[cold ? 0 : 1];
  // What is slow has one result: its operands leave the caches anyway.
  if (!entry.slow()) json["id"] = json["id"].get<std::string>() + "|" + state;
  json["state"] = state;
  json["useful_macs"] = problem_.useful_macs(), json["least_bytes"] = problem_.least_bytes();
  add_interval(us, json);
  if (!gather_us.empty() && entry.row != "gather") add_ratio(gather_us, us, json);
  const double roofline = machine_.ceilings.roofline_us(problem_);
  if (roofline > 0) json["roofline_us"] = roofline, json["roofline_share"] = roofline / median(us);
  json["rounds"] = us.size();
  json["rounds_dropped"] = rounds.dropped;
  json["steady"] = rounds.steady;
  json["launches"] = entry.timed->launches();
  json["sets"] = cold ? buffers.sets() : 1;
  json["footprint_bytes"] =
      cold ? buffers.footprint_bytes() : static_cast<int64_t>(problem_.least_bytes());
  json["workspace_bytes"] = entry.timed->plan().workspace_bytes();
  json["filters"] =
      entry.timed->plan().options().prepacked_filters ? "prepacked, not timed" : "as they are";
  add_verdict(entry, json);
  results_.append(json);
}

void UnitLines::append_proposals(const std::vector<host::Proposal>& all) {
  const std::string id = "proposals|" + problem_.key();
  if (results_.has(id)) return;
  Json json = {{"kind", "proposals"},
               {"id", id},
               {"key", problem_.key()},
               {"suite_row", layer_.name},
               {"list", Json::array()}};
  for (const host::Proposal& proposal : all) {
    Json one = {{"plan", proposal.tile}, {"heuristic", proposal.from}};
    if (!proposal.notes.empty()) one["notes"] = proposal.notes;
    if (!proposal.excluded.empty()) one["not_timed"] = proposal.excluded;
    json["list"].push_back(std::move(one));
  }
  results_.append(json);
}

}  // namespace tconv::bench
