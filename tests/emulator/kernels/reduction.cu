// SPDX-License-Identifier: Apache-2.0
#include "src/cuda/ptx/shared.cuh"
#include "src/cuda/ptx/warp.cuh"
#include "src/cuda/runtime/launch.cuh"
#include "tests/emulator/kernels/reduction.h"

namespace tconv::cuda::teaching {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;

__global__ void __launch_bounds__(kThreads)
    reduction(const float* x, float* block_sums, uint32_t* block_positives, int count) {
  auto* const sums = reinterpret_cast<float*>(ptx::dynamic_shared());
  auto* const positives = reinterpret_cast<uint32_t*>(sums + kWarps);
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % 32, warp = thread / 32;

  float sum = 0;
  uint32_t positive = 0;
  // All threads make the same number of rounds: a vote wants all lanes.
  for (int first = static_cast<int>(blockIdx.x) * kThreads; first < count;
       first += static_cast<int>(gridDim.x) * kThreads) {
    const float value = first + thread < count ? x[first + thread] : 0.0F;
    sum += value;
    positive += __popc(ptx::ballot(ptx::kAllLanes, value > 0));
  }
  for (int bits = 16; bits > 0; bits /= 2) sum += ptx::shfl_xor(ptx::kAllLanes, sum, bits);

  if (lane == 0) {
    sums[warp] = sum;
    positives[warp] = positive;
  }
  __syncthreads();
  if (warp > 0) return;
  for (int half = kWarps / 2; half > 0; half /= 2) {
    if (lane < half) {
      sums[lane] += sums[lane + half];
      positives[lane] += positives[lane + half];
    }
    __syncwarp();
  }
  if (lane == 0) {
    block_sums[blockIdx.x] = sums[0];
    block_positives[blockIdx.x] = positives[0];
  }
}

}  // namespace

void launch_reduction(const Reduction& r, host::Stream stream) {
  launch(reduction, {r.blocks, 1, 1}, {kThreads, 1, 1}, kWarps * (sizeof(float) + sizeof(uint32_t)),
         stream, "reduction", r.x, r.sums, r.positives, r.count);
}

}  // namespace tconv::cuda::teaching
