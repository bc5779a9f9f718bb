// SPDX-License-Identifier: Apache-2.0
// prediction.h: what a plan of igemm_sm80 will ask of the machine, from its numbers alone.
//
// Exact, that is, what the emulator counts
// (tests/cuda/igemm_sm80/test_igemm_counters_emulated.cpp): blocks, issued_macs, requests and
// sectors of `copies` and `stores`, `loads` of problems without bias and slopes, shared_wavefronts,
// for the reads of ldmatrix are free of conflicts. All tensors are taken to begin at a multiple of
// 32 bytes, and the lanes of a warp to stay together. Bounds from above: `stores`, and `loads` of a
// residual, where outputs without taps are filled in; all sectors as traffic of L2, for L1 may have
// them. Left out: `loads` of bias and slopes, which stay in L1. Models: waves, dram_bytes.
#pragma once

#include "src/cuda/igemm_sm80/plan.h"
#include "src/host/plan/prediction.h"

namespace tconv::host {

/// Of a plan that is not refused, made for `problem`, `tile` and `device`. Work grows with what
/// differs between blocks, not with their number.
PlanCounters count_igemm(const Problem& problem, const IgemmTile& tile, const IgemmPlan& plan,
                         const DeviceFacts& device);

}  // namespace tconv::host
