// SPDX-License-Identifier: Apache-2.0
#include "src/cuda/ptx/barrier.cuh"
#include "src/cuda/ptx/cp_async.cuh"
#include "src/cuda/ptx/shared.cuh"
#include "src/cuda/runtime/launch.cuh"
#include "tests/emulator/kernels/faults.h"

namespace tconv::cuda::faults {
namespace {

using namespace ptx;  // NOLINT(google-build-using-namespace): instructions

constexpr int kHalf = 32;

__device__ __forceinline__ float* shared_floats() {
  return reinterpret_cast<float*>(dynamic_shared());
}

__global__ void copy(const float* x, float* y, int count) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) y[i] = x[i];
}

__global__ void reverse(const float* x, float* y, int count) {
  const int i = static_cast<int>(threadIdx.x);
  shared_floats()[i] = x[i];
  __syncthreads();
  y[i] = shared_floats()[count - 1 - i];
}

__global__ void reverse_unsynced(const float* x, float* y, int count) {
  const int i = static_cast<int>(threadIdx.x);
  shared_floats()[i] = x[i];
  y[i] = shared_floats()[count - 1 - i];
}

__global__ void barriers(int count) {
  for (int i = 0; i < count; ++i) __syncthreads();
}

__global__ void divergence(float* y) {
  if (threadIdx.x < kHalf) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  y[threadIdx.x] = 1;
}

__global__ void early_exit(float* y, int count) {
  if (static_cast<int>(threadIdx.x) >= count) return;
  __syncthreads();
  y[threadIdx.x] = 1;
}

__global__ void lonely_barrier(float* y) {
  if (threadIdx.x < kHalf) bar_sync(1, 2 * kHalf);
  y[threadIdx.x] = 1;
}

__global__ void unwritten_shared(float* y, int count) {
  const int i = static_cast<int>(threadIdx.x);
  if (i + 1 < count) shared_floats()[i] = 1;
  __syncthreads();
  y[i] = shared_floats()[i];
}

__global__ void past_shared(float* y, int count) {
  const int i = static_cast<int>(threadIdx.x);
  shared_floats()[i + 1] = 1;
  __syncthreads();
  if (i + 1 < count) y[i] = shared_floats()[i + 1];
}

__global__ void past_local(const float* x, float* y, int count) {
  float local[4] = {};
  for (int i = 0; i <= count; ++i) local[i % 8] += x[i];
  y[threadIdx.x] = local[threadIdx.x % 4];
}

__global__ void every_block(float* y) { y[threadIdx.x] = static_cast<float>(blockIdx.x); }

__global__ void misaligned_read(const float* x, float* y) {
  const auto* const odd = reinterpret_cast<const float*>(reinterpret_cast<const char*>(x) + 2);
  y[threadIdx.x] = odd[threadIdx.x];
}

__global__ void two_sums(const float* x, float* y) {
  const unsigned i = threadIdx.x;
  shared_floats()[i] = x[i];
  __syncwarp();
  y[i] = shared_floats()[i] + shared_floats()[i ^ 1];
}

__global__ void two_sums_unsynced(const float* x, float* y) {
  const unsigned i = threadIdx.x;
  shared_floats()[i] = x[i];
  y[i] = shared_floats()[i] + shared_floats()[i ^ 1];
}

/// Sums of 4 floats of the neighbour, block after block of 4 * threads floats, one block ahead.
__global__ void pipeline(const float* x, float* y, int count) {
  const int threads = static_cast<int>(blockDim.x), i = static_cast<int>(threadIdx.x);
  const int steps = count / (4 * threads);
  const auto load = [&](int step) {
    if (step < steps) {
      const int stage = step % 2;
      cp_async_cg_16(shared_address(shared_floats() + (stage * threads + i) * 4),
                     x + (step * threads + i) * 4, 16);
    }
    cp_async_commit_group();
  };
  load(0);
  float sum = 0;
  for (int step = 0; step < steps; ++step) {
    load(step + 1);
    cp_async_wait_group<1>();
    __syncthreads();  // the stage has landed for all
    const float* const mine = shared_floats() + (step % 2 * threads + (i ^ 1)) * 4;
    sum += mine[0] + mine[1] + mine[2] + mine[3];
    __syncthreads();  // all have read it, so that the next load may write it
  }
  y[i] = sum;
}

/// The first warp writes, the second reads: each barrier of 64 threads has 32 that only arrive.
__global__ void producer(const float* x, float* y, int count) {
  const int lane = static_cast<int>(threadIdx.x) % kHalf;
  for (int i = 0; i < count / kHalf; ++i) {
    if (threadIdx.x < kHalf) {
      if (i > 0) bar_sync(2, 2 * kHalf);  // what was written is read
      shared_floats()[lane] = x[i * kHalf + lane];
      bar_arrive(1, 2 * kHalf);
    } else {
      bar_sync(1, 2 * kHalf);
      y[i * kHalf + lane] = shared_floats()[kHalf - 1 - lane];
      if (i + 1 < count / kHalf) bar_arrive(2, 2 * kHalf);
    }
  }
}

struct alignas(16) Four {
  float values[4];
};

__global__ void struct_copy(const Four* x, Four* y) { y[threadIdx.x] = x[threadIdx.x]; }

__global__ void skipping(const float* x, float* y, int count) {
  const int lane = static_cast<int>(threadIdx.x);
  float sum = 0;
  for (int i = 0; i < count; ++i) {
    if (lane % 3 == 0 && i % 2 == 1) continue;
    sum += x[i * kHalf + lane];
  }
  y[lane] = sum + x[lane];
}

__global__ void columns(const float* x, float* y, int pitch) {
  const int lane = static_cast<int>(threadIdx.x);
  for (int row = 0; row < kHalf; ++row) shared_floats()[row * pitch + lane] = x[lane];
  __syncthreads();
  float sum = 0;
  for (int column = 0; column < kHalf; ++column) sum += shared_floats()[lane * pitch + column];
  y[lane] = sum;
}

template <typename... Parameters>
void start(const FaultArgs& a, void (*kernel)(Parameters...), std::size_t shared_floats,
           const std::type_identity_t<Parameters>&... arguments) {
  launch(kernel, {a.blocks, 1, 1}, {a.threads, 1, 1}, shared_floats * sizeof(float), nullptr,
         "fault", arguments...);
}

}  // namespace

void launch_copy(const FaultArgs& a) { start(a, copy, 0, a.x, a.y, a.count); }
void launch_reverse(const FaultArgs& a) { start(a, reverse, a.threads, a.x, a.y, a.count); }
void launch_reverse_unsynced(const FaultArgs& a) {
  start(a, reverse_unsynced, a.threads, a.x, a.y, a.count);
}
void launch_barriers(const FaultArgs& a) { start(a, barriers, 0, a.count); }
void launch_divergence(const FaultArgs& a) { start(a, divergence, 0, a.y); }
void launch_early_exit(const FaultArgs& a) { start(a, early_exit, 0, a.y, a.count); }
void launch_lonely_barrier(const FaultArgs& a) { start(a, lonely_barrier, 0, a.y); }
void launch_unwritten_shared(const FaultArgs& a) {
  start(a, unwritten_shared, a.threads, a.y, a.count);
}
void launch_past_shared(const FaultArgs& a) { start(a, past_shared, a.threads, a.y, a.count); }
void launch_past_local(const FaultArgs& a) { start(a, past_local, 0, a.x, a.y, a.count); }
void launch_every_block(const FaultArgs& a) { start(a, every_block, 0, a.y); }
void launch_misaligned(const FaultArgs& a) { start(a, misaligned_read, 0, a.x, a.y); }
void launch_two_sums(const FaultArgs& a) { start(a, two_sums, a.threads, a.x, a.y); }
void launch_two_sums_unsynced(const FaultArgs& a) {
  start(a, two_sums_unsynced, a.threads, a.x, a.y);
}
void launch_pipeline(const FaultArgs& a) {
  start(a, pipeline, std::size_t{8} * a.threads, a.x, a.y, a.count);
}
void launch_producer(const FaultArgs& a) { start(a, producer, kHalf, a.x, a.y, a.count); }
void launch_struct_copy(const FaultArgs& a) {
  start(a, struct_copy, 0, reinterpret_cast<const Four*>(a.x), reinterpret_cast<Four*>(a.y));
}
void launch_skipping(const FaultArgs& a) { start(a, skipping, 0, a.x, a.y, a.count); }
void launch_columns(const FaultArgs& a, int pitch) {
  start(a, columns, static_cast<std::size_t>(kHalf * pitch), a.x, a.y, pitch);
}

}  // namespace tconv::cuda::faults
