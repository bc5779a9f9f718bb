// SPDX-License-Identifier: Apache-2.0
// matrix_product.cu: 64 x 64 outputs a block, four warps of 32 x 32. cp.async fills a ring of three
// stages of 32 columns of a and 32 rows of b; ldmatrix reads them without bank conflicts, because
// the 16-byte chunks of a row are swizzled. Edges are filled with zeros where they are loaded.
#include <cstdint>

#include "src/cuda/ptx/cp_async.cuh"
#include "src/cuda/ptx/ldmatrix.cuh"
#include "src/cuda/ptx/mma_sm80.cuh"
#include "src/cuda/ptx/shared.cuh"
#include "src/cuda/runtime/launch.cuh"
#include "tests/emulator/kernels/matrix_product.h"

namespace tconv::cuda::teaching {
namespace {

using host::Half;

constexpr int kTileM = kProductTileM, kTileN = kProductTileN, kTileK = kProductTileK;
constexpr int kStages = kProductStages;
constexpr int kThreads = 128, kWarpTile = 32;
constexpr int kChunk = 8;  // elements in 16 bytes
constexpr int kChunkBytes = 16;
constexpr int kChunksOfA = kTileK / kChunk, kChunksOfB = kTileN / kChunk;  // of a row
constexpr int kBytesOfA = kTileM * kChunksOfA * kChunkBytes;
constexpr int kStageBytes = kBytesOfA + kTileK * kChunksOfB * kChunkBytes;

/// Where chunk `chunk` of row `row` lies in its stage. Any eight consecutive rows have a given
/// chunk in eight different groups of four banks.
__device__ constexpr int offset_in_a(int row, int chunk) {
  return (row * kChunksOfA + (chunk ^ (row / 2 % 4))) * kChunkBytes;
}
__device__ constexpr int offset_in_b(int row, int chunk) {
  return kBytesOfA + (row * kChunksOfB + (chunk ^ (row % 8))) * kChunkBytes;
}

/// Bytes of a chunk that lie before the end of a row, of whose elements `left` follow.
__device__ constexpr uint32_t bytes_within(int left) {
  return left <= 0 ? 0 : left < kChunk ? left * sizeof(Half) : kChunkBytes;
}

/// One chunk; zeros where it leaves a matrix of `rows` x `columns`.
__device__ __forceinline__ void load_chunk(uint32_t shared, const Half* matrix, int pitch, int row,
                                           int rows, int column, int columns) {
  const uint32_t bytes = row < rows ? bytes_within(columns - column) : 0;
  const Half* const source = bytes > 0 ? matrix + int64_t{row} * pitch + column : matrix;
  ptx::cp_async_cg_16(shared, source, bytes);
}

__device__ __forceinline__ void load_stage(uint32_t stage, const Half* a, const Half* b,
                                           const MatrixProduct& p, int first_m, int first_n,
                                           int first_k) {
  const int thread = static_cast<int>(threadIdx.x);
  for (int i = thread; i < kTileM * kChunksOfA; i += kThreads) {
    const int row = i / kChunksOfA, chunk = i % kChunksOfA;
    load_chunk(stage + offset_in_a(row, chunk), a, p.a_pitch, first_m + row, p.m,
               first_k + chunk * kChunk, p.k);
  }
  for (int i = thread; i < kTileK * kChunksOfB; i += kThreads) {
    const int row = i / kChunksOfB, chunk = i % kChunksOfB;
    load_chunk(stage + offset_in_b(row, chunk), b, p.b_pitch, first_k + row, p.k,
               first_n + chunk * kChunk, p.n);
  }
}

/// A warp's 32 x 32 outputs: two times four tiles of 16 x 8.
using Sums = float[2][4][4];

__device__ __forceinline__ void multiply_stage(uint32_t stage, int warp_m, int warp_n, Sums& sums) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  for (int k = 0; k < kTileK; k += 16) {
    uint32_t a[2][4], b[4][2];
    for (int i = 0; i < 2; ++i) {
      const int row = warp_m + 16 * i + lane % 16;
      ptx::ldmatrix_x4(a[i], stage + offset_in_a(row, k / kChunk + lane / 16));
    }
    for (int j = 0; j < 4; j += 2) {
      uint32_t two[4];
      const int chunk = (warp_n + 8 * j) / kChunk + lane / 16;
      ptx::ldmatrix_x4_trans(two, stage + offset_in_b(k + lane % 16, chunk));
      b[j][0] = two[0];
      b[j][1] = two[1];
      b[j + 1][0] = two[2];
      b[j + 1][1] = two[3];
    }
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 4; ++j) ptx::mma_m16n8k16_f16(sums[i][j], a[i], b[j]);
    }
  }
}

__device__ __forceinline__ void store(const float* bias, float* c, const MatrixProduct& p,
                                      int first_m, int first_n, const Sums& sums) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 4; ++j) {
      for (int e = 0; e < 4; ++e) {
        const int row = first_m + 16 * i + lane / 4 + e / 2 * 8;
        const int column = first_n + 8 * j + lane % 4 * 2 + e % 2;
        if (row < p.m && column < p.n) {
          c[int64_t{row} * p.c_pitch + column] = sums[i][j][e] + bias[column];
        }
      }
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    matrix_product(const Half* a, const Half* b, const float* bias, float* c, MatrixProduct p) {
  const uint32_t ring = ptx::shared_address(ptx::dynamic_shared());
  const int first_m = static_cast<int>(blockIdx.y) * kTileM;
  const int first_n = static_cast<int>(blockIdx.x) * kTileN;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int warp_m = warp / 2 * kWarpTile, warp_n = warp % 2 * kWarpTile;
  const int steps = (p.k + kTileK - 1) / kTileK;

  // One group a step, empty behind the last: then at step t the groups up to t are waited for by
  // leaving kStages - 2 in flight.
  const auto load = [&](int step) {
    if (step < steps) {
      load_stage(ring + step % kStages * kStageBytes, a, b, p, first_m, first_n, step * kTileK);
    }
    ptx::cp_async_commit_group();
  };
  for (int step = 0; step < kStages - 1; ++step) load(step);
  Sums sums = {};
  for (int step = 0; step < steps; ++step) {
    ptx::cp_async_wait_group<kStages - 2>();
    __syncthreads();  // this stage is there for all, and all have left the one before
    load(step + kStages - 1);
    multiply_stage(ring + step % kStages * kStageBytes, warp_m, warp_n, sums);
  }
  store(bias, c, p, first_m + warp_m, first_n + warp_n, sums);
}

unsigned tiles(int extent, int tile) { return static_cast<unsigned>((extent + tile - 1) / tile); }

}  // namespace

void launch_matrix_product(const MatrixProduct& p, host::Stream stream) {
  launch(matrix_product, {tiles(p.n, kTileN), tiles(p.m, kTileM), 1}, {kThreads, 1, 1},
         std::size_t{kStages} * kStageBytes, stream, "matrix_product", p.a, p.b, p.bias, p.c, p);
}

}  // namespace tconv::cuda::teaching
