// SPDX-License-Identifier: Apache-2.0
// subgemms.h: which phases of a problem a block computes side by side, and with which taps.
#pragma once

#include <string>

#include "src/cuda/igemm_sm80/plan.h"
#include "src/host/problem/decomposition.h"

namespace tconv::host::igemm {

/// What a problem is for every tile. Phases that have no output are left out of the classes.
struct PhaseSource {
  const Problem& problem;
  AxisDecomposition h, w;
  int64_t step_h, step_w;  ///< input pixels between neighbouring positions of a subgrid

  explicit PhaseSource(const Problem& problem);
};

/// Window pixels beside the box.
struct Halo {
  int64_t h = 0, w = 0;
};

/// Fills in groups, sub-GEMMs and taps of `params`, and N tiles. The box is not known yet: a tap's
/// `window` is left as its row in the window, in the upper half, and its column, or as kEmpty.
/// Returns why the tile does not suit; else empty.
inline constexpr uint32_t kEmpty = 1u << 31;
std::string add_groups(const PhaseSource& source, const Tile& tile, Params& params, Halo& halo);

}  // namespace tconv::host::igemm
