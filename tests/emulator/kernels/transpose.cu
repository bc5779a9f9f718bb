// SPDX-License-Identifier: Apache-2.0
#include <cstdint>

#include "src/cuda/ptx/shared.cuh"
#include "src/cuda/runtime/launch.cuh"
#include "tests/emulator/kernels/transpose.h"

namespace tconv::cuda::teaching {
namespace {

constexpr int kTile = 32, kRowsAtOnce = 8;

/// Rows of x are read, and rows of y written, by whole warps.
template <int kPitch>
__global__ void __launch_bounds__(kTile* kRowsAtOnce)
    transpose(const float* x, float* y, int rows, int columns) {
  auto* const tile = reinterpret_cast<float*>(ptx::dynamic_shared());
  const int lane = static_cast<int>(threadIdx.x), first = static_cast<int>(threadIdx.y);
  const int first_row = static_cast<int>(blockIdx.y) * kTile;
  const int first_column = static_cast<int>(blockIdx.x) * kTile;
  for (int i = first; i < kTile; i += kRowsAtOnce) {
    const int row = first_row + i, column = first_column + lane;
    if (row < rows && column < columns) {
      tile[i * kPitch + lane] = x[int64_t{row} * columns + column];
    }
  }
  __syncthreads();
  for (int i = first; i < kTile; i += kRowsAtOnce) {
    const int row = first_row + lane, column = first_column + i;
    if (row < rows && column < columns) {
      y[int64_t{column} * rows + row] = tile[lane * kPitch + i];
    }
  }
}

template <int kPitch>
void start(const Transpose& t, host::Stream stream) {
  const auto tiles = [](int extent) { return static_cast<unsigned>((extent + kTile - 1) / kTile); };
  launch(transpose<kPitch>, {tiles(t.columns), tiles(t.rows), 1}, {kTile, kRowsAtOnce, 1},
         sizeof(float) * kTile * kPitch, stream, "transpose", t.x, t.y, t.rows, t.columns);
}

}  // namespace

void launch_transpose(const Transpose& t, host::Stream stream) {
  t.padded ? start<kTile + 1>(t, stream) : start<kTile>(t, stream);
}

}  // namespace tconv::cuda::teaching
