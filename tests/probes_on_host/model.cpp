// SPDX-License-Identifier: Apache-2.0
// model.cpp: threads, mbarriers and arithmetic of the model. TMA is in model_tma.cpp, the CUDA
// runtime in model_runtime.cpp.
#include "tests/probes_on_host/model.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <algorithm>
#include <bit>
#include <cstdlib>

thread_local uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace tconv::model {

thread_local Here here;

bool setting(const char* word) {
  const char* all = std::getenv("TCONV_MODEL");
  return all != nullptr &&
         (" " + std::string(all) + " ").find(" " + std::string(word) + " ") != std::string::npos;
}

// ---- Threads
// --------------------------------------------------------------------------------------
namespace {

void run_cluster(unsigned first, unsigned threads, std::size_t shared, unsigned size,
                 const std::function<void()>& kernel, unsigned grid) {
  Cluster cluster;
  cluster.all = std::make_unique<std::barrier<>>(static_cast<std::ptrdiff_t>(threads * size));
  std::vector<std::unique_ptr<Warp>> warps;
  std::vector<std::thread> running;
  for (unsigned rank = 0; rank < size; ++rank) {
    cluster.blocks.push_back(std::make_unique<Block>(threads, shared));
  }
  for (unsigned rank = 0; rank < size; ++rank) {
    for (unsigned thread = 0; thread < threads; ++thread) {
      if (thread % 32 == 0) {
        warps.push_back(std::make_unique<Warp>());
      }
      running.emplace_back([=, &cluster, &kernel, warp = warps.back().get()] {
        here = {&cluster, cluster.blocks[rank].get(), warp, rank};
        threadIdx = {thread, 0, 0};
        blockIdx = {first + rank, 0, 0};
        blockDim = {threads, 1, 1};
        gridDim = {grid, 1, 1};
        kernel();
      });
    }
  }
  for (std::thread& thread : running) {
    thread.join();
  }
}

}  // namespace

void run(unsigned blocks, unsigned threads, std::size_t shared, unsigned cluster,
         const std::function<void()>& kernel) {
  for (unsigned block = 0; block < blocks; block += cluster) {
    run_cluster(block, threads, shared, cluster, kernel, blocks);
  }
}

// ---- Shared memory and mbarriers
// ------------------------------------------------------------------
Block& block_of(uint32_t address) {
  const uint32_t rank = address >> 24;
  return rank == 0 ? *here.block : *here.cluster->blocks.at(rank - 1);
}

unsigned char* aligned_shared(Block& block) {
  const auto start = reinterpret_cast<std::uintptr_t>(block.shared.data());
  return block.shared.data() + ((start + 1023) / 1024 * 1024 - start);
}

unsigned char* bytes_at(uint32_t address) {
  Block& block = block_of(address);
  const uint32_t offset = (address & 0xffffff) - Block::kBase;
  if (offset >= block.shared.size() - 1024) {
    std::fprintf(stderr, "model: address %u is outside the shared memory\n", address);
    std::abort();
  }
  return aligned_shared(block) + offset;
}

namespace {

void end_phase_if_done(Barrier& barrier) {
  if (barrier.pending == 0 && barrier.bytes == 0) {
    barrier.pending = barrier.arrivals;
    ++barrier.phase;
  }
}

Barrier& barrier_at(uint32_t address) { return block_of(address).barriers.at(address & 0xffffff); }

}  // namespace

void arrive(uint32_t address, uint32_t expected_bytes) {
  const std::lock_guard lock(here.cluster->mutex);
  Barrier& barrier = barrier_at(address);
  if (barrier.pending == 0) {
    std::fprintf(stderr, "model: more arrivals at an mbarrier than it takes\n");
    std::abort();
  }
  barrier.bytes += expected_bytes;
  --barrier.pending;
  end_phase_if_done(barrier);
}

void complete(uint32_t address, uint32_t bytes) {
  const std::lock_guard lock(here.cluster->mutex);
  Barrier& barrier = barrier_at(address);
  barrier.bytes -= bytes;
  end_phase_if_done(barrier);
}

bool ended(uint32_t address, uint32_t parity) {
  {
    const std::lock_guard lock(here.cluster->mutex);
    if (barrier_at(address).phase % 2 != parity) {
      return true;
    }
  }
  std::this_thread::yield();
  return false;
}

// ---- Arithmetic
// -----------------------------------------------------------------------------------
namespace {

int size_of(Type type) { return type == Type::kTf32 ? 4 : type == Type::kE4m3 ? 1 : 2; }

template <typename T>
T load(const unsigned char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

}  // namespace

float element(Type type, const unsigned char* bytes) {
  switch (type) {
    case Type::kF16: return __half2float(load<__half>(bytes));
    case Type::kBf16: return __bfloat162float(load<__nv_bfloat16>(bytes));
    case Type::kTf32: return std::bit_cast<float>(load<uint32_t>(bytes) & ~0x1fffu);
    case Type::kE4m3: return static_cast<float>(load<__nv_fp8_e4m3>(bytes));
  }
  return 0;
}

float add(Type type, float sum, const std::vector<double>& products) {
  double total = sum;
  if (!setting("truncate")) {
    for (const double product : products) {
      total += product;
    }
    return static_cast<float>(total);
  }
  double largest = std::fabs(total);
  for (const double product : products) {
    largest = std::max(largest, std::fabs(product));
  }
  if (largest == 0) {
    return 0;
  }
  const int kept = type == Type::kE4m3 ? 13 : 25;
  const double unit = std::ldexp(1.0, std::ilogb(largest) - kept);
  total = std::trunc(total / unit);
  for (const double product : products) {
    total += std::trunc(product / unit);
  }
  total *= unit;
  const auto rounded = static_cast<float>(total);
  const bool away = std::fabs(static_cast<double>(rounded)) > std::fabs(total);
  return away ? std::nextafter(rounded, 0.0f) : rounded;
}

void mma(Type type, float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  const uint32_t lane = threadIdx.x % 32;
  Warp& warp = *here.warp;
  std::memcpy(warp.a[lane], a, sizeof a);
  std::memcpy(warp.b[lane], b, sizeof b);
  warp.all.arrive_and_wait();
  const int per_word = 4 / size_of(type);
  for (uint32_t i = 0; i < 4; ++i) {
    const uint32_t m = lane / 4 + i / 2 * 8;
    const uint32_t n = lane % 4 * 2 + i % 2;
    std::vector<double> products;
    // Word `half * 4 + quad` of K: register half * 2 of A (plus one in the lower rows), half of B.
    for (uint32_t word = 0; word < 8; ++word) {
      const uint32_t* from_a = &warp.a[m % 8 * 4 + word % 4][word / 4 * 2 + m / 8];
      const uint32_t* from_b = &warp.b[n * 4 + word % 4][word / 4];
      for (int part = 0; part < per_word; ++part) {
        const int at = part * size_of(type);
        products.push_back(
            double{element(type, reinterpret_cast<const unsigned char*>(from_a) + at)} *
            element(type, reinterpret_cast<const unsigned char*>(from_b) + at));
      }
    }
    sum[i] = add(type, sum[i], products);
  }
  warp.all.arrive_and_wait();
}

namespace {

struct Offsets {
  uint32_t start, leading, stride, base_offset;
};

Offsets decode(uint64_t descriptor) {
  if (descriptor >> 62 != 1) {
    std::fprintf(stderr, "model: only the 128-byte swizzle is modelled\n");
    std::abort();
  }
  const auto bytes = [&](int bit) {
    return static_cast<uint32_t>(descriptor >> bit & 0x3fff) << 4;
  };
  return {bytes(0), bytes(16), bytes(32), static_cast<uint32_t>(descriptor >> 49 & 7)};
}

// Where byte `k` of row `row` of a K-major tile with 128-byte swizzle lies.
uint32_t row_address(uint64_t descriptor, uint32_t row, uint32_t k) {
  const Offsets from = decode(descriptor);
  const uint32_t address = from.start + row / 8 * from.stride + row % 8 * 128 + k;
  // Either the address's own bits, or the row's place in a pattern that starts where base_offset
  // says.
  const uint32_t key = setting("pattern") ? row % 8 + from.base_offset : address >> 7;
  return address ^ (key & 7) << 4;
}

// Where the 16-bit element (k, n) of an MN-major tile with 128-byte swizzle lies.
uint32_t column_address(uint64_t descriptor, uint32_t k, uint32_t n) {
  Offsets from = decode(descriptor);
  if (setting("exchanged")) {
    std::swap(from.leading, from.stride);
  }
  const uint32_t address =
      from.start + n / 64 * from.leading + k / 8 * from.stride + k % 8 * 128 + n % 64 * 2;
  return address ^ (address >> 7 & 7) << 4;
}

}  // namespace

void wgmma(Type type, float* sum, int count, uint64_t a, uint64_t b, bool accumulate,
           bool trans_b) {
  const uint32_t lane = threadIdx.x % 32;
  const int size = size_of(type);
  for (uint32_t i = 0; i < static_cast<uint32_t>(count); ++i) {
    const uint32_t m = threadIdx.x % 128 / 32 * 16 + lane / 4 + i % 4 / 2 * 8;
    const uint32_t n = i / 4 * 8 + lane % 4 * 2 + i % 2;
    std::vector<double> products;
    for (int k = 0; k < 32; k += size) {
      products.push_back(
          double{element(type, bytes_at(row_address(a, m, static_cast<uint32_t>(k))))} *
          element(type, bytes_at(trans_b ? column_address(b, static_cast<uint32_t>(k / size), n)
                                         : row_address(b, n, static_cast<uint32_t>(k)))));
    }
    sum[i] = add(type, accumulate ? sum[i] : 0.0f, products);
  }
}

}  // namespace tconv::model
