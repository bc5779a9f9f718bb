// SPDX-License-Identifier: Apache-2.0
// subgemms.h: which phases of a problem a block of the implicit GEMM computes side by side. Part
// of plan.h.
#pragma once

#include <string>

#include "src/cuda/igemm_sm80/plan.h"
#include "src/host/problem/decomposition.h"

namespace tconv::host {

/// What a problem is for every tile. Phases that have no output are left out of the classes.
struct IgemmSource {
  const Problem& problem;
  AxisDecomposition h, w;
  int64_t step_h, step_w;  ///< input pixels between neighbouring positions of a subgrid

  explicit IgemmSource(const Problem& problem);
};

/// Window pixels beside the box.
struct IgemmHalo {
  int64_t h = 0, w = 0;
};

/// Fills in groups, slots and taps of `params`, and units. The box is not known yet: a tap's
/// `window` is left as its row in the window, in the upper half, and its column, or as kIgemmEmpty.
/// Returns why the tile does not suit; else empty.
inline constexpr uint32_t kIgemmEmpty = 1u << 31;
std::string add_groups(const IgemmSource& source, const IgemmTile& tile, IgemmParams& params,
                       IgemmHalo& halo);

}  // namespace tconv::host
