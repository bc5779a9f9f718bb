// SPDX-License-Identifier: Apache-2.0
// patterns.h: mistakes that the result itself shows: memory that nobody wrote, one factor
// everywhere, sums in a narrow type.
#pragma once

#include <vector>

#include "src/host/verify/diagnose.h"
#include "src/host/verify/reading.h"

namespace tconv::host {

/// What all elements have in common, or the wrong ones and whatever lies beside them. `probes` hold
/// at least one wrong element, the wrong ones first.
std::vector<Mistake> patterns_in(const Reader& reader, const std::vector<Probe>& probes);

}  // namespace tconv::host
