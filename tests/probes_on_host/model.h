// SPDX-License-Identifier: Apache-2.0
// model.h: enough of a Hopper GPU, on the CPU, to run the probes whose answers are exact: threads
// of a cluster as threads, mbarrier, TMA boxes, wgmma and mma on small tiles. What the hardware is
// asked is a setting here (environment TCONV_MODEL), so that a test sees the probe tell one from
// the other. This is a model after the PTX manual; it proves the probes' own logic, nothing about
// the hardware.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <atomic>
#include <barrier>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tconv::model {

/// The question under test. Words in TCONV_MODEL, e.g. "pattern truncate".
bool setting(const char* word);

struct Barrier {
  uint32_t arrivals = 0;  // of a phase
  uint32_t pending = 0;
  int64_t bytes = 0;
  uint32_t phase = 0;
};

/// One block: its shared memory begins at kBase, as if the runtime had kept some.
struct Block {
  static constexpr uint32_t kBase = 1024;
  std::vector<unsigned char> shared;
  std::map<uint32_t, Barrier> barriers;
  std::barrier<> all;
  explicit Block(unsigned threads, std::size_t bytes)
      : shared(bytes + 1024, 0xCD), all(static_cast<std::ptrdiff_t>(threads)) {}
};

struct Cluster {
  std::vector<std::unique_ptr<Block>> blocks;
  std::unique_ptr<std::barrier<>> all;
  std::mutex mutex;  // of all barriers
};

struct Warp {
  std::barrier<> all{32};
  uint32_t a[32][4];
  uint32_t b[32][2];
};

/// Where this thread is. An address in the shared::cluster window has its block's rank above bit
/// 24, plus one; without it, the thread's own block.
struct Here {
  Cluster* cluster;
  Block* block;
  Warp* warp;
  uint32_t rank;
};
extern thread_local Here here;

Block& block_of(uint32_t address);
unsigned char* bytes_at(uint32_t address);
unsigned char* aligned_shared(Block& block);

void run(unsigned blocks, unsigned threads, std::size_t shared, unsigned cluster,
         const std::function<void()>& kernel);

void arrive(uint32_t barrier, uint32_t expected_bytes);
void complete(uint32_t barrier, uint32_t bytes);
bool ended(uint32_t barrier, uint32_t parity);

/// TMA by the map that the model's cuTensorMapEncode wrote.
void load_tiled(uint32_t shared, const void* map, uint32_t barrier, const std::vector<int>& at,
                uint32_t blocks);
void load_im2col(uint32_t shared, const void* map, uint32_t barrier, const std::vector<int>& at,
                 int offset_w, int offset_h);
void store_tiled(const void* map, uint32_t shared, const std::vector<int>& at);

enum class Type { kF16, kBf16, kTf32, kE4m3 };
float element(Type type, const unsigned char* bytes);

/// sum + products as a tensor core might: to nearest, or (setting "truncate") aligned to the
/// largest and cut two bits below f32 (below bit 13 for e4m3).
float add(Type type, float sum, const std::vector<double>& products);

/// What one thread of a warpgroup holds of 64 x (2 * count) x (32 bytes of K).
/// `trans_b`: B is MN-major.
void wgmma(Type type, float* sum, int count, uint64_t a, uint64_t b, bool accumulate,
           bool trans_b = false);
void mma(Type type, float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);

}  // namespace tconv::model

// ---- What CUDA C++ has and a host compiler has not
// ------------------------------------------------
#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __grid_constant__
#define __grid_constant__
#undef __global__
#define __global__
#undef __device__
#define __device__
#undef __host__
#define __host__
#undef __forceinline__
#define __forceinline__ inline

extern thread_local uint3 threadIdx, blockIdx, blockDim, gridDim;

inline void __syncthreads() { tconv::model::here.block->all.arrive_and_wait(); }
inline void __syncwarp() {}
inline long long clock64() {
  return std::chrono::steady_clock::now().time_since_epoch().count();  // about a clock
}
template <typename T>
T atomicAdd(T* address, T value) {
  return std::atomic_ref<T>(*address).fetch_add(value);
}
template <typename T>
T atomicExch(T* address, T value) {
  return std::atomic_ref<T>(*address).exchange(value);
}
