// SPDX-License-Identifier: Apache-2.0
// compare.cpp: see compare.h.
#include "src/host/device/compare.h"

namespace tconv::host {

CompareResult compare_on_host(const void* a, const void* b, const Region& region) {
  CompareResult result;
  const int64_t count = region.count();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t at = region.offset(i);
    const double y = b == nullptr ? 0 : load(region.type, b, at);
    result = joined(result, difference(load(region.type, a, at), y, i));
  }
  return result;
}

}  // namespace tconv::host
