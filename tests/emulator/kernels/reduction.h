// SPDX-License-Identifier: Apache-2.0
// reduction.h: sums, block by block. A kernel to try the emulator on: votes and shuffles, then
// shared memory between warps, then shared memory within a warp.
#pragma once

#include <cstdint>

#include "src/host/device/gpu.h"

namespace tconv::cuda::teaching {

/// Block b of `blocks` adds elements b * 256 .. b * 256 + 255 of x and of every further round.
struct Reduction {
  int count = 0;
  unsigned blocks = 0;
  const float* x = nullptr;
  float* sums = nullptr;          ///< one a block
  uint32_t* positives = nullptr;  ///< one a block: how many elements are above zero
};

void launch_reduction(const Reduction& reduction, host::Stream stream);

}  // namespace tconv::cuda::teaching
