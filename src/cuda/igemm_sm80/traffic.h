// SPDX-License-Identifier: Apache-2.0
// traffic.h: the bytes that the blocks of one plan move between L2 and their SMs, estimated: cheap
// enough for every box that the planner considers.
#pragma once

#include "src/cuda/igemm_sm80/plan.h"

namespace tconv::host::igemm {

// The taps of all `params` here are still in window rows and columns.

/// Positions of an M tile, or of a part of it that is a box, too: logarithms of its sides.
struct Box {
  int n, h, w;
};

/// The taps of a group's sub-GEMMs.
double count_taps(const Tile& tile, const Params& params, const CtaSubGemms& group);
/// Each of them times the boxes of shape `box` that have a position whose tap lies in the input.
double useful_taps(const Tile& tile, const Params& params, const CtaSubGemms& group,
                   const Box& box);

/// Of outputs alone: all that split K changes. Every slice of the sums is written as f32, then
/// read.
double output_bytes(const Problem& problem, const Tile& tile, const Params& params);

L2Bytes l2_traffic(const Problem& problem, const Tile& tile, const Params& params);

}  // namespace tconv::host::igemm
