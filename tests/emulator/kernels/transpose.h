// SPDX-License-Identifier: Apache-2.0
// transpose.h: y[c][r] = x[r][c] through shared memory. A kernel to try the emulator's counters on:
// the same tile with and without bank conflicts.
#pragma once

#include "src/host/device/gpu.h"

namespace tconv::cuda::teaching {

struct Transpose {
  int rows = 0, columns = 0;  ///< of x
  const float* x = nullptr;
  float* y = nullptr;
  bool padded = true;  ///< the tile's rows are 33 words apart; else 32
};

void launch_transpose(const Transpose& transpose, host::Stream stream);

}  // namespace tconv::cuda::teaching
