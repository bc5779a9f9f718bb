// SPDX-License-Identifier: Apache-2.0
// uniform.cuh: what ptxas cannot know to be the same in all lanes.
#pragma once

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

}  // namespace tconv::cuda
