// SPDX-License-Identifier: Apache-2.0
// device.cuh: what the probes share on the device: waits that end, and random data.
#pragma once

#include <cstdint>

#include "src/cuda/ptx/mbarrier.cuh"

namespace tconv::probes {

/// Waits at an mbarrier, but not for ever: after about a second it gives up, sets *failed and
/// returns at once from then on, so that a wrong count shows as a message and not as a hang.
struct Waiter {
  int* failed;
  bool given_up = false;

  __device__ void wait(uint32_t barrier, uint32_t parity) {
    if (given_up || cuda::ptx::mbarrier_try_wait_parity(barrier, parity)) {
      return;
    }
    const long long start = clock64();
#pragma unroll 1
    for (uint32_t tries = 0; tries < kMostTries && clock64() - start < kMostClocks; ++tries) {
      if (cuda::ptx::mbarrier_try_wait_parity(barrier, parity)) {
        return;
      }
    }
    give_up();
  }

  __device__ void wait_cluster(uint32_t barrier, uint32_t parity) {
    const long long start = clock64();
#pragma unroll 1
    for (uint32_t tries = 0; !given_up && tries < kMostTries && clock64() - start < kMostClocks;
         ++tries) {
      if (cuda::ptx::mbarrier_try_wait_parity_cluster(barrier, parity)) {
        return;
      }
    }
    give_up();
  }

 private:
  static constexpr uint32_t kMostTries = 1u << 26;
  static constexpr long long kMostClocks = 1ll << 31;

  __device__ void give_up() {
    given_up = true;
    atomicExch(failed, 1);
  }
};

/// A number that looks random, the same for the same key.
__host__ __device__ inline uint32_t random_bits(uint32_t key) {
  key = (key ^ (key >> 16)) * 0x7feb352du;
  key = (key ^ (key >> 15)) * 0x846ca68bu;
  return key ^ (key >> 16);
}

/// About normal, mean 0, deviation 1: the sum of four uniform numbers.
__host__ __device__ inline float random_normal(uint32_t key) {
  const uint32_t low = random_bits(2 * key);
  const uint32_t high = random_bits(2 * key + 1);
  const int sum = static_cast<int>((low & 0xffff) + (low >> 16) + (high & 0xffff) + (high >> 16));
  return static_cast<float>(sum - 2 * 0xffff) * (1.0f / 37837.0f);
}

template <typename T>
__global__ void fill_random(T* values, uint32_t count, uint32_t seed) {
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
    values[i] = static_cast<T>(random_normal(seed + i));
  }
}

}  // namespace tconv::probes
