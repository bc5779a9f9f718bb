// SPDX-License-Identifier: Apache-2.0
// sites.h: the synchronisation sites that a launch meets, and those that it leaves out.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "tests/emulator/device_side.h"
#include "tests/emulator/emulator.h"

namespace tconv::emulator {

/// Tells calls apart, faster than file and line do: where two differ the lines may still be one.
inline const void* identity_of(Where where) { return std::bit_cast<const void*>(where); }

bool same_line(const Where& a, const Where& b);
inline bool same_place(const Where& a, const Where& b) {
  return identity_of(a) == identity_of(b) || same_line(a, b);
}

struct MetSite {
  const char* name;
  Where where;
  uint64_t executions = 0;
  bool dropped = false;
};

/// Searched once for each call in the source, and again for the calls that share an entry here.
struct CachedSite {
  const void* identity;
  const char* name;
  MetSite* site;
};
inline constexpr std::size_t kCachedSites = 64;
inline CachedSite cached_sites[kCachedSites];

MetSite* find_site(const char* name, Where where, CachedSite& cached);

/// Counts the execution of a synchronisation site. True if it is to be left out.
inline bool is_dropped(const char* name, Where where) {
  const void* const identity = identity_of(where);
  CachedSite& cached = cached_sites[reinterpret_cast<uintptr_t>(identity) /
                                    alignof(std::max_align_t) % kCachedSites];
  MetSite* site = cached.site;
  if (cached.identity != identity || cached.name != name) [[unlikely]] {
    site = find_site(name, where, cached);
  }
  ++site->executions;
  return site->dropped;
}

std::vector<SyncSite> sites_met();
void forget_sites();

}  // namespace tconv::emulator
