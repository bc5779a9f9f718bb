// SPDX-License-Identifier: Apache-2.0
// tma_rate.cuh: the rate at which TMA fills shared memory: one thread a block keeps a ring of boxes
// in flight and reads none of them. Shared by the probes of TMA.
//
// A Loader is a struct with its CUtensorMap first and a member issue(index, shared, barrier) that
// starts the copy of box `index`.
#pragma once

#include "bench/probes/device.cuh"
#include "bench/probes/launch.cuh"
#include "bench/probes/probe.h"
#include "bench/probes/sizes.h"
#include "bench/probes/tensor_map.h"
#include "src/cuda/ptx/fence.cuh"
#include "src/cuda/ptx/shared.cuh"
#include "src/cuda/ptx/tma.cuh"

namespace tconv::probes {

constexpr uint32_t kMostStages = 32;
constexpr uint32_t kRingBytes = 160 * 1024;

/// The ring, and room for its barriers.
struct Ring {
  uint32_t box_bytes;
  uint32_t pitch;  // of the stages: a multiple of 1024
  uint32_t stages;

  static Ring of(uint32_t box_bytes) {
    const uint32_t pitch = (box_bytes + 1023) / 1024 * 1024;
    const uint32_t stages = kRingBytes / pitch;
    return {box_bytes, pitch, stages < kMostStages ? stages : kMostStages};
  }
  __host__ __device__ uint32_t barriers() const { return pitch * stages; }
  uint32_t shared_bytes() const { return barriers() + 16 * kMostStages; }
};

template <typename Loader>
__device__ void run_ring(const Loader& loader, const Ring& ring, uint32_t count, Waiter& waiter) {
  const uint32_t shared = cuda::ptx::shared_address(cuda::ptx::dynamic_shared());
  const uint32_t full = shared + ring.barriers();
  const auto start = [&](uint32_t i) {
    const uint32_t stage = i % ring.stages;
    cuda::ptx::mbarrier_arrive_expect_tx(full + 8 * stage, ring.box_bytes);
    loader.issue(i, shared + stage * ring.pitch, full + 8 * stage);
  };
  for (uint32_t i = 0; i < ring.stages && i < count; ++i) {
    start(i);
  }
  // At box i the boxes i to i + stages - 1 are in flight.
#pragma unroll 1
  for (uint32_t i = 0; i < count; ++i) {
    waiter.wait(full + 8 * (i % ring.stages), i / ring.stages % 2);
    if (waiter.given_up) {
      return;
    }
    if (i + ring.stages < count) {
      start(i + ring.stages);
    }
  }
}

__device__ inline void init_barriers(uint32_t barriers, uint32_t count, uint32_t arrivals) {
  for (uint32_t i = 0; i < count; ++i) {
    cuda::ptx::mbarrier_init(barriers + 8 * i, arrivals);
  }
  cuda::ptx::fence_mbarrier_init();
}

template <typename Loader>
__global__ void __launch_bounds__(32) tma_rate(const __grid_constant__ Loader loader, Ring ring,
                                               uint32_t count, long long* clocks, int* failed) {
  if (threadIdx.x != 0) {
    return;
  }
  const uint32_t shared = cuda::ptx::shared_address(cuda::ptx::dynamic_shared());
  init_barriers(shared + ring.barriers(), ring.stages, 1);
  Waiter waiter{failed};
  const long long start = clock64();
  run_ring(loader, ring, count, waiter);
  clocks[blockIdx.x] = clock64() - start;
}

/// One box, as it lies in shared memory, in 16-byte chunks put back in order: 128-byte swizzle.
template <typename Loader>
__global__ void __launch_bounds__(128)
    dump_box(const __grid_constant__ Loader loader, uint32_t bytes, uint4* out, int* failed) {
  unsigned char* shared = cuda::ptx::dynamic_shared();
  const uint32_t address = cuda::ptx::shared_address(shared);
  const uint32_t barrier = address + (bytes + 15) / 16 * 16;
  if (threadIdx.x == 0) {
    init_barriers(barrier, 1, 1);
    cuda::ptx::mbarrier_arrive_expect_tx(barrier, bytes);
    loader.issue(0, address, barrier);
  }
  __syncthreads();  // the barrier is ready
  Waiter{failed}.wait(barrier, 0);
  for (uint32_t i = threadIdx.x; i < bytes / 16; i += blockDim.x) {
    out[i] = *reinterpret_cast<const uint4*>(shared + 16 * (i ^ (i >> 3 & 7)));
  }
}

struct Rate {
  double terabytes;  // a second, all SMs
  double bytes;      // a clock, one SM
};

inline void require_no_timeout(const Buffer<int>& failed) {
  if (failed.read()[0] != 0) {
    throw std::runtime_error("a TMA load did not arrive within a second: wrong bytes or a bad map");
  }
}

inline double median_clocks(const Buffer<long long>& clocks) {
  std::vector<double> values;
  for (const long long value : clocks.read()) {
    values.push_back(static_cast<double>(value));
  }
  return median(values);
}

template <typename Loader>
Rate measure_tma(Report& report, const Loader& loader, uint32_t box_bytes) {
  const Ring ring = Ring::of(box_bytes);
  const auto blocks = static_cast<unsigned>(report.gpu().multiProcessorCount);
  const uint32_t count = kStreamedBytes / box_bytes;
  const Buffer<long long> clocks(blocks, 0);
  const Buffer<int> failed(1, 0);
  const auto kernel = tma_rate<Loader>;
  allow_shared(kernel, ring.shared_bytes());
  const auto enqueue = [&] {
    launch(kernel, {blocks, 32, ring.shared_bytes()}, loader, ring, count, clocks.get(),
           failed.get());
  };
  enqueue();
  require_no_timeout(failed);
  const double us = median_us(report, enqueue);
  require_no_timeout(failed);
  const double bytes = static_cast<double>(count) * box_bytes;
  return {bytes * blocks / us * 1e-6, bytes / median_clocks(clocks)};
}

template <typename T, typename Loader>
std::vector<T> load_box(const Loader& loader, uint32_t bytes) {
  const Buffer<T> out(bytes / sizeof(T), 0xff);
  const Buffer<int> failed(1, 0);
  const uint32_t shared = bytes + 32;
  const auto kernel = dump_box<Loader>;
  allow_shared(kernel, shared);
  launch(kernel, {1, 128, shared}, loader, bytes, reinterpret_cast<uint4*>(out.get()),
         failed.get());
  require_no_timeout(failed);
  return out.read();
}

inline void print_rate(Report& report, const std::string& what, const Rate& rate,
                       const char* predicted) {
  report.measured(what, rate.terabytes, "TB/s", predicted);
  report.measured(what + ", an SM", rate.bytes, "bytes/clock", "21 to 64 [E]");
}

}  // namespace tconv::probes
