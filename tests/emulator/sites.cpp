// SPDX-License-Identifier: Apache-2.0
// sites.cpp: the synchronisation sites that a launch meets, and those that it leaves out.
#include <algorithm>
#include <cstring>

#include "tests/emulator/fibers.h"
#include "tests/emulator/findings.h"

namespace tconv::emulator {

bool same_place(const Where& a, const Where& b) {
  return a.line() == b.line() &&
         (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

namespace {

struct MetSite {
  const char* name;
  Where where;
  uint64_t executions;
  bool dropped;
};
std::vector<MetSite> met;

MetSite& met_site(const char* name, const Where& where) {
  static std::size_t last = 0;
  if (last < met.size() && met[last].where.line() == where.line() && met[last].name == name &&
      met[last].where.file_name() == where.file_name()) {
    return met[last];
  }
  for (last = 0; last < met.size(); ++last) {
    if (met[last].name == name && same_place(met[last].where, where)) return met[last];
  }
  const Site site = site_of(where);
  const auto& drop = config().drop;
  met.push_back({name, where, 0, std::find(drop.begin(), drop.end(), site) != drop.end()});
  return met.back();
}

}  // namespace

bool is_dropped(const char* name, const Where& where) {
  MetSite& site = met_site(name, where);
  ++site.executions;
  return site.dropped;
}

std::vector<SyncSite> sites_met() {
  std::vector<SyncSite> sites;
  for (const MetSite& site : met)
    sites.push_back({site_of(site.where), site.name, site.executions});
  return sites;
}

void forget_sites() { met.clear(); }

}  // namespace tconv::emulator
