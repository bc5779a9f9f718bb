// SPDX-License-Identifier: Apache-2.0
// compare.cpp: see compare.h.
#include "src/host/device/compare.h"

namespace tconv::host {

CompareResult compare_on_host(const Compared& what) {
  CompareResult result;
  const int64_t count = what.region.count();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t at = what.region.offset(i);
    const double x = load(what.region.type, what.a, at), y = load(what.region.type, what.b, at);
    const double magnitude =
        what.magnitudes == nullptr ? 0 : load(what.magnitude_type, what.magnitudes, i);
    result = joined(result, difference(x, y, magnitude, what.tolerance, i));
  }
  return result;
}

}  // namespace tconv::host
