// SPDX-License-Identifier: Apache-2.0
// cost.h: the model that ranks boxes, splits and tiles of the implicit GEMM. Part of
// plan.h; its constants are model numbers until a GPU has been measured.
#pragma once

#include "src/cuda/igemm_sm80/plan.h"

namespace tconv::host {

/// How many boxes cover the positions of all images.
int64_t igemm_boxes(const IgemmParams& params);

/// Fills in what the blocks of `plan` have to do. Its taps are still in window rows and columns.
void add_costs(const Problem& problem, const IgemmTile& tile, const DeviceFacts& device,
               IgemmPlan& plan);

/// To choose a box: its time, and the work that hides behind it. What takes the same time is not as
/// good with more multiply-adds, or with more bytes.
double igemm_choice_clocks(const DeviceFacts& device, const IgemmTile& tile, const IgemmPlan& plan);

}  // namespace tconv::host
