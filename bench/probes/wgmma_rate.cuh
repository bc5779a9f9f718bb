// SPDX-License-Identifier: Apache-2.0
// wgmma_rate.cuh: the rate of one wgmma, on random data that lies in shared memory: four stages of
// A (64 rows a warpgroup) and B (N rows), rows of 128 bytes with 128-byte swizzle, four steps of K
// a stage. Nothing is loaded meanwhile. Shared by two probes.
#pragma once

#include <cuda_fp16.h>

#include <cmath>

#include "bench/probes/device.cuh"
#include "bench/probes/launch.cuh"
#include "bench/probes/probe.h"
#include "src/cuda/common/wgmma_descriptor.cuh"
#include "src/cuda/ptx/fence.cuh"
#include "src/cuda/ptx/mma_sm80.cuh"
#include "src/cuda/ptx/pin.cuh"
#include "src/cuda/ptx/shared.cuh"
#include "src/cuda/ptx/wgmma_sm90.cuh"

namespace tconv::probes {

constexpr uint32_t kWgmmaStages = 4;
constexpr uint32_t kWgmmaSteps = 4;  // of 32 bytes in a row
constexpr uint32_t kWgmmaTileA = 64 * 128;

// Each unit: bytes of an element, its random words, and one step of K. `next` is the other stage's.
struct Descriptors {
  uint64_t a, b, next_a, next_b;
};

struct SsF16 {
  static constexpr double kElementBytes = 2;
  static constexpr int kProducts = 1;  // wgmma for each step
  static constexpr bool kRegisters = false;
  static __device__ uint32_t word(uint32_t key) {
    const __half2 pair(__float2half(random_normal(2 * key)),
                       __float2half(random_normal(2 * key + 1)));
    uint32_t bits;
    memcpy(&bits, &pair, sizeof bits);
    return bits;
  }
  template <int kCount>
  static __device__ void multiply(float (&sum)[kCount], const Descriptors& from,
                                  const uint32_t (&)[4]) {
    cuda::ptx::wgmma_k16_f16(sum, from.a, from.b, true);
  }
};

struct RsF16 : SsF16 {
  static constexpr bool kRegisters = true;
  template <int kCount>
  static __device__ void multiply(float (&sum)[kCount], const Descriptors& from,
                                  const uint32_t (&a)[4]) {
    cuda::ptx::wgmma_k16_f16_rs(sum, a, from.b, true);
  }
};

__device__ inline uint64_t wgmma_rows(uint32_t shared) {
  return cuda::wgmma_descriptor({shared, 16, 1024, cuda::Swizzle::k128});
}

template <typename Unit>
__device__ void fill_words(uint32_t* words, uint32_t count) {
  for (uint32_t i = threadIdx.x; i < count; i += blockDim.x) {
    words[i] = Unit::word(blockIdx.x * count + i);
  }
}

/// The clocks from the first to the last wgmma go to clocks[block], one sum to out[thread].
template <typename Unit, int kN, unsigned kMostThreads>
__global__ void __launch_bounds__(kMostThreads, 1)
    wgmma_rate(int iterations, float* out, long long* clocks) {
  unsigned char* shared = cuda::ptx::dynamic_shared();
  const uint32_t warpgroups = blockDim.x / 128;
  const uint32_t bytes_a = kWgmmaStages * warpgroups * kWgmmaTileA;
  fill_words<Unit>(reinterpret_cast<uint32_t*>(shared), (bytes_a + kWgmmaStages * kN * 128) / 4);
  cuda::ptx::fence_proxy_async_shared();
  __syncthreads();  // the operands are there for wgmma
  const uint32_t address = cuda::ptx::shared_address(shared);
  // From lane 0, so that the compiler sees one value for the warp.
  const uint32_t warpgroup = __shfl_sync(0xffffffffu, threadIdx.x / 128, 0);
  const uint32_t a_tiles = address + warpgroup * kWgmmaStages * kWgmmaTileA;
  const uint32_t b_tiles = address + bytes_a;
  uint32_t a[kWgmmaSteps][4];
#pragma unroll
  for (uint32_t i = 0; i < kWgmmaSteps * 4; ++i) {
    a[i / 4][i % 4] = Unit::word(threadIdx.x * 16 + i);
  }
  float sum[kN / 2] = {};
  const long long start = clock64();
#pragma unroll 1
  for (int iteration = 0; iteration < iterations; ++iteration) {
#pragma unroll
    for (uint32_t stage = 0; stage < kWgmmaStages; ++stage) {
      const uint32_t next = (stage + 1) % kWgmmaStages;
      cuda::ptx::wgmma_fence();
#pragma unroll
      for (uint32_t step = 0; step < kWgmmaSteps; ++step) {
        Unit::multiply(sum,
                       {wgmma_rows(a_tiles + stage * kWgmmaTileA + 32 * step),
                        wgmma_rows(b_tiles + stage * kN * 128 + 32 * step),
                        wgmma_rows(a_tiles + next * kWgmmaTileA + 32 * step),
                        wgmma_rows(b_tiles + next * kN * 128 + 32 * step)},
                       a[step]);
      }
      cuda::ptx::wgmma_commit_group();
      cuda::ptx::wgmma_wait_group<1>();
    }
  }
  cuda::ptx::wgmma_wait_group<0>();
  const long long end = clock64();
  float all = 0;
#pragma unroll
  for (int i = 0; i < kN / 2; ++i) {
    all += sum[i];
  }
  out[blockIdx.x * blockDim.x + threadIdx.x] = all;
  if (threadIdx.x == 0) {
    clocks[blockIdx.x] = end - start;
  }
}

struct WgmmaRate {
  double tflops;
  double clocks;  // of one SM for one wgmma
};

inline void check_sums(Report& report, const std::vector<float>& sums, const std::string& what) {
  bool nonzero = false;
  bool finite = true;
  for (const float value : sums) {
    nonzero = nonzero || value != 0;
    finite = finite && std::isfinite(value);
  }
  if (!nonzero || !finite) {
    report.wrong(what + (finite ? ": all sums are zero" : ": a sum is not finite"));
  }
}

/// A launch takes 8 * work clocks at the full rate.
template <typename Unit, int kN, unsigned kMostThreads>
WgmmaRate measure_wgmma(Report& report, const std::string& what, unsigned threads, int work,
                        double sample_us) {
  const auto blocks = static_cast<unsigned>(report.gpu().multiProcessorCount);
  const unsigned warpgroups = threads / 128;
  const std::size_t shared = kWgmmaStages * (warpgroups * kWgmmaTileA + kN * 128);
  const auto kernel = wgmma_rate<Unit, kN, kMostThreads>;
  allow_shared(kernel, shared);
  const Buffer<float> out(std::size_t{blocks} * threads, 0);
  const Buffer<long long> clocks(blocks, 0);
  const int iterations = 1 + work / (kN * static_cast<int>(warpgroups) * Unit::kProducts);
  const double us = median_us(
      report,
      [&] {
        launch(kernel, {blocks, threads, shared}, iterations, out.get(), clocks.get());
      },
      sample_us);
  check_sums(report, out.read(), what);
  std::vector<double> each;
  const double instructions =
      double{kWgmmaStages * kWgmmaSteps} * iterations * warpgroups * Unit::kProducts;
  for (const long long block : clocks.read()) {
    each.push_back(static_cast<double>(block) / instructions);
  }
  const double flops = 2.0 * 64 * kN * (32 / Unit::kElementBytes) * instructions * blocks;
  return {flops / us * 1e-6, median(each)};
}

}  // namespace tconv::probes
