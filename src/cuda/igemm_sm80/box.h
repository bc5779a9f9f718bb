// SPDX-License-Identifier: Apache-2.0
// box.h: which box of positions a block of the implicit GEMM computes, how it lies in shared
// memory, and how the boxes are shared among blocks. Part of plan.h.
#pragma once

#include "src/cuda/igemm_sm80/subgemms.h"

namespace tconv::host {

// Positions, coordinates and offsets within a box are 31-bit numbers in the kernel: with every size
// below this, and a box of at most 256 strides past the end, no sum of them is larger.
inline constexpr int64_t kIgemmLargestSize = int64_t{1} << 28;
inline constexpr int64_t kIgemmLargestBox = 256;
inline constexpr int64_t kIgemmLargest32 = (int64_t{1} << 31) - 1;

/// `plan`, whose groups are filled in, with the cheapest of all boxes, and of all ways to share
/// them among blocks; refused if none fits. Equal ones: the widest rows.
IgemmPlan with_best_box(const IgemmSource& source, const IgemmTile& tile, const IgemmHalo& halo,
                        const DeviceFacts& device, int64_t workspace_limit, const IgemmPlan& plan);

}  // namespace tconv::host
