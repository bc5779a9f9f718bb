// SPDX-License-Identifier: Apache-2.0
// traffic.h: the bytes that the blocks of one plan move between L2 and their SMs, estimated: cheap
// enough for every box that the planner considers.
#pragma once

#include <span>

#include "src/cuda/igemm_sm80/subgemms.h"

namespace tconv::host::igemm {

using Taps = std::span<const WindowTap>;  // of all groups

/// Positions of an M tile, or of a part of it that is a box, too: logarithms of its sides.
struct Box {
  int n, h, w;
};

/// The taps of a group's sub-GEMMs.
double count_taps(const Tile& tile, Taps taps, const CtaSubGemms& group);
/// Each of them times the boxes of shape `box` that have a position whose tap lies in the input.
double useful_taps(const Tile& tile, const Params& params, Taps taps, const CtaSubGemms& group,
                   const Box& box);

/// Of outputs alone: all that split K changes. Every slice of the sums is written as f32, then
/// read.
double output_bytes(const Problem& problem, const Tile& tile, const Params& params);

L2Bytes l2_traffic(const Problem& problem, const Tile& tile, const Params& params, Taps taps);

}  // namespace tconv::host::igemm
