// SPDX-License-Identifier: Apache-2.0
// traffic.h: the bytes that the blocks of one plan of the implicit GEMM move between L2 and
// their SMs, estimated: cheap enough for every box that the planner considers. prediction.h
// counts the requests of one plan exactly. Part of plan.h.
#pragma once

#include "src/cuda/igemm_sm80/plan.h"

namespace tconv::host {

// The taps of all `params` here are still in window rows and columns.

/// Taps of a group's slots; and times the parts of boxes in which they meet the input.
double igemm_taps(const IgemmTile& tile, const IgemmParams& params, const IgemmGroup& group);
double igemm_useful_taps(const IgemmTile& tile, const IgemmParams& params, const IgemmGroup& group,
                         const IgemmPart& part);

/// Bytes of outputs alone: all that splits change. Every share of the sums is written as f32, then
/// read.
double igemm_output_bytes(const Problem& problem, const IgemmTile& tile, const IgemmParams& params);

IgemmTraffic igemm_traffic(const Problem& problem, const IgemmTile& tile,
                           const IgemmParams& params);

}  // namespace tconv::host
