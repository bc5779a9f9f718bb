// SPDX-License-Identifier: Apache-2.0
// plan.h: how one problem is cut into one tile's blocks. Plain C++, cheap and pure.
#pragma once

#include <cstdint>
#include <string>

#include "src/cuda/igemm_sm80/operands.h"
#include "src/cuda/igemm_sm80/params.h"
#include "src/host/plan/kernel_table.h"

namespace tconv::host::igemm {

/// One tile for one problem.
struct Plan {
  std::string refused;  ///< why not; empty if the rest is filled in
  Params params = {};
  /// The second launch writes the outputs that have no tap; with split K, all as sums of slices.
  int64_t second_launch_blocks = 0;
  /// The slices of split K first, then the filters, where they are repacked before each run.
  int64_t workspace_bytes = 0;
  int64_t filters_offset = 0, repacked_bytes = 0;  ///< 0 bytes: filters are read as they are
  int64_t shared_bytes = 0;
  bool tf32 = false;
  int products = 1;        ///< of the tensor cores for one of the problem: 3 for 3xTF32
  int resident = 1;        ///< blocks that an SM holds at once
  double issued_macs = 0;  ///< multiply-adds of the tensor cores, those of borders included
  L2Bytes traffic;         ///< of all blocks together: a model
};

/// Why no tile takes `problem`; empty if some may.
std::string refused(const Problem& problem);

/// Cuts `problem` for `tile` on `device`; `math` is of f32. `workspace_limit`: bytes, for filters
/// in an order that the kernel does not read and for the slices of split K; -1: none given.
/// `prepacked`: the filters are in the kernel's order, whatever the problem's is.
Plan plan_tile(const Problem& problem, const Tile& tile, const DeviceFacts& device,
               Math math = Math::tf32, int64_t workspace_limit = -1, bool prepacked = false);

/// Bytes that no plan of this tile needs more than whose batch, height and width are those of
/// `problem` or less.
int64_t workspace_upto(const Problem& problem, const Tile& tile, const DeviceFacts& device,
                       int64_t workspace_limit, bool prepacked);

/// Model microseconds of a plan that is not refused.
double estimate_us(const Problem& problem, const Tile& tile, const Plan& plan,
                   const DeviceFacts& device);

}  // namespace tconv::host::igemm
