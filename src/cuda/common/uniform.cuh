// SPDX-License-Identifier: Apache-2.0
// uniform.cuh: what ptxas cannot know to be the same in all lanes, or not to be worth a register.
#pragma once

#include "src/cuda/ptx/pin.cuh"
#include "src/cuda/ptx/warp.cuh"

namespace tconv::cuda {

/// `x`, which all lanes hold; all must call. ptxas then may keep it, and what follows from it, in
/// uniform registers, and a branch that depends on it needs nothing to bring the lanes together
/// again: around each ldmatrix and mma that is two instructions. Like ptx::pin it keeps `x` from
/// being computed again.
template <typename T>
__device__ inline T uniform(T x) {
  return ptx::shfl(ptx::kAllLanes, x, 0);
}

/// The index of thread and block. What follows from it is computed where it is called: else ptxas
/// computes what a loop around the main loop does not change before that loop, and keeps it in
/// registers that the main loop needs.
__device__ inline int thread_here() {
  auto thread = static_cast<int>(threadIdx.x);
  ptx::pin(thread);
  return thread;
}
__device__ inline int block_here() {
  auto block = static_cast<int>(blockIdx.x);
  ptx::pin(block);
  return block;
}

}  // namespace tconv::cuda
