// SPDX-License-Identifier: Apache-2.0
// matrix_product.h: c = a * b + bias, f16 products summed in f32. A kernel to try the emulator on:
// small, and with everything that the library's kernels for tensor cores have.
#pragma once

#include "src/host/device/gpu.h"
#include "src/host/problem/dtype.h"

namespace tconv::cuda::teaching {

/// a is m x k, b is k x n, c is m x n, all row-major. Pitches are in elements; those of a and b are
/// multiples of 8, and both begin at a multiple of 16 bytes. What lies between the end of a row and
/// its pitch is neither read nor written.
struct MatrixProduct {
  int m = 0, n = 0, k = 0;
  int a_pitch = 0, b_pitch = 0, c_pitch = 0;
  const host::Half *a = nullptr, *b = nullptr;
  const float* bias = nullptr;  ///< n values
  float* c = nullptr;
};

void launch_matrix_product(const MatrixProduct& product, host::Stream stream);

/// What one block computes, and what it needs.
constexpr int kProductTileM = 64, kProductTileN = 64, kProductTileK = 32, kProductStages = 3;

}  // namespace tconv::cuda::teaching
