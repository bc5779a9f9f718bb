// SPDX-License-Identifier: Apache-2.0
// box.h: which box of positions an M tile is, how its window lies in shared memory, and how blocks
// share the work: one M tile each, split K, or several M tiles with persistent filters.
#pragma once

#include "src/cuda/igemm_sm80/subgemms.h"

namespace tconv::host::igemm {

// Positions, coordinates and offsets within a box are 31-bit numbers in the kernel: with every size
// below this, and a box of at most 256 strides past the end, no sum of them is larger.
inline constexpr int64_t kLargestSize = int64_t{1} << 28;
inline constexpr int64_t kLargestBox = 256;
inline constexpr int64_t kLargest32 = (int64_t{1} << 31) - 1;

/// What is the same for all boxes.
struct BoxTask {
  const PhaseSource& source;
  const Tile& tile;
  const Window& window;
  const DeviceFacts& device;
  int64_t workspace_limit;  ///< see plan_tile
};

/// `plan`, whose groups are filled in, with the cheapest of all boxes and ways to share them among
/// blocks; refused if none fits. Of equal ones, the box with the widest rows.
Plan with_best_box(const BoxTask& task, const Plan& plan);

}  // namespace tconv::host::igemm
