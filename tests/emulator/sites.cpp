// SPDX-License-Identifier: Apache-2.0
#include "tests/emulator/sites.h"

#include <algorithm>
#include <cstring>
#include <deque>

#include "tests/emulator/findings.h"

namespace tconv::emulator {

bool same_line(const Where& a, const Where& b) {
  return a.line() == b.line() &&
         (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

namespace {

std::deque<MetSite> met;  ///< which stay where they are

MetSite* met_site(const char* name, const Where& where) {
  for (MetSite& site : met) {
    if (site.name == name && same_place(site.where, where)) return &site;
  }
  const auto& drop = config().drop;
  const bool dropped = std::find(drop.begin(), drop.end(), site_of(where)) != drop.end();
  return &met.emplace_back(MetSite{.name = name, .where = where, .dropped = dropped});
}

}  // namespace

MetSite* find_site(const char* name, Where where, CachedSite& cached) {
  cached = {identity_of(where), name, met_site(name, where)};
  return cached.site;
}

std::vector<SyncSite> sites_met() {
  std::vector<SyncSite> sites;
  for (const MetSite& site : met)
    sites.push_back({site_of(site.where), site.name, site.executions});
  return sites;
}

void forget_sites() {
  met.clear();
  std::fill(std::begin(cached_sites), std::end(cached_sites), CachedSite{});
}

}  // namespace tconv::emulator
