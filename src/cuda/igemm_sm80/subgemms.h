// SPDX-License-Identifier: Apache-2.0
// subgemms.h: which phases of a problem a block computes side by side, and with which taps.
#pragma once

#include <string>
#include <vector>

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

/// One tap of one sub-GEMM while the box is not known: where its first pixel is in the window.
/// Packed into a Tap by place_taps.
struct WindowTap {
  bool exists;      ///< false: the sub-GEMM has fewer taps than another of its block
  uint32_t h, w;    ///< row and column of the window
  uint32_t filter;  ///< byte offset of column 0, channel 0
};

/// What blocks read of the input beside their box.
struct Window {
  int64_t halo_h = 0, halo_w = 0;  ///< pixels
  std::vector<WindowTap> taps;     ///< as in Params
};

/// Fills in groups, sub-GEMMs and N tiles of `params`, and `window`. Returns why the tile does not
/// suit; else empty.
std::string add_groups(const PhaseSource& source, const Tile& tile, Params& params, Window& window);

/// Packs the taps into `params`, where the box and the window's pitch are known.
void place_taps(const Tile& tile, const Window& window, Params& params);

}  // namespace tconv::host::igemm
