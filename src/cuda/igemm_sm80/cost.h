// SPDX-License-Identifier: Apache-2.0
// cost.h: the model that ranks boxes, split K and tiles. Its constants are model numbers until a
// GPU has been measured.
#pragma once

#include "src/cuda/igemm_sm80/traffic.h"

namespace tconv::host::igemm {

/// How many M tiles cover the positions of all images.
int64_t count_m_tiles(const Params& params);

/// Fills in what the blocks of `plan` have to do.
void add_costs(const Problem& problem, const Tile& tile, Taps taps, const DeviceFacts& device,
               Plan& plan);

/// What repacking the filters moves between L2 and the SMs, at most: neighbours that are written
/// lie apart in what is read, a sector each.
double repack_l2_bytes(const Problem& problem, const Plan& plan);

/// To choose a box: its time, and the work that hides behind it. Of two that take the same time,
/// the one with fewer multiply-adds and bytes is better.
double choice_clocks(const DeviceFacts& device, const Tile& tile, const Plan& plan);

}  // namespace tconv::host::igemm
