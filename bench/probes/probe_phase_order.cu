// SPDX-License-Identifier: Apache-2.0
// probe_phase_order.cu: four phases of stride 2 read the same input X and write interleaved pixels
// of Y. What do X's re-reads cost, by the order of the phases, and what do strided stores cost, by
// how they are made? No arithmetic: Y(n, 2h + r_h, 2w + r_w, c) = X(n, h, w, c). Not yet run on a
// GPU.
#include "bench/probes/device.cuh"
#include "bench/probes/launch.cuh"
#include "bench/probes/probe.h"
#include "bench/probes/sizes.h"
#include "bench/probes/tensor_map.h"
#include "src/cuda/ptx/fence.cuh"
#include "src/cuda/ptx/shared.cuh"
#include "src/cuda/ptx/tma.cuh"

namespace tconv::probes {
namespace {

namespace ptx = cuda::ptx;

constexpr uint32_t kSize = kPhaseSize;  // H and W of X; a block takes one row
constexpr uint32_t kPhases = 4;
constexpr unsigned kThreads = 128;

// Phases of a row side by side, each phase after the other over all rows, or all in one block.
enum class Order : uint32_t { kSideBySide, kOneAfterAnother, kInOneBlock };
// 16 bytes a thread; 4 bytes a thread as an accumulator fragment lies; TMA.
enum class Store : uint32_t { kWide, kFragment, kTma };

struct Phase {
  uint32_t h, w;
};

template <int kChannels>
struct Copy {
  static constexpr uint32_t kChunks = kChannels * 2 / 16;  // of a pixel
  static constexpr uint32_t kRowChunks = kSize * kChunks;
  static constexpr uint32_t kRows = kPhaseInputBytes / (kRowChunks * 16);
};

struct PhaseMaps {
  CUtensorMap phase[kPhases];
};

// Where pixel 0 of the row lies in Y, and pixel w at 2 * w behind it.
__device__ uint64_t output_pixel(uint32_t row, Phase phase) {
  const uint32_t n = row / kSize;
  const uint32_t h = row % kSize;
  return (uint64_t{n} * 2 * kSize + 2 * h + phase.h) * 2 * kSize + phase.w;
}

template <int kChannels>
__device__ void store_wide(const uint4* tile, uint4* y, uint64_t first) {
  constexpr uint32_t kChunks = Copy<kChannels>::kChunks;
  for (uint32_t i = threadIdx.x; i < Copy<kChannels>::kRowChunks; i += kThreads) {
    y[(first + 2 * (i / kChunks)) * kChunks + i % kChunks] = tile[i];
  }
}

// Eight pixels times 16 bytes a warp and step: lane l has pixel l / 4, bytes 4 * (l % 4).
template <int kChannels>
__device__ void store_fragment(const uint4* tile, uint4* y, uint64_t first) {
  constexpr uint32_t kWords = Copy<kChannels>::kChunks * 4;
  const auto* words = reinterpret_cast<const uint32_t*>(tile);
  auto* out = reinterpret_cast<uint32_t*>(y);
  const uint32_t lane = threadIdx.x % 32;
  for (uint32_t pixels = threadIdx.x / 32 * 8; pixels < kSize; pixels += kThreads / 32 * 8) {
    const uint32_t pixel = pixels + lane / 4;
    for (uint32_t word = lane % 4; word < kWords; word += 4) {
      out[(first + 2 * pixel) * kWords + word] = words[pixel * kWords + word];
    }
  }
}

__device__ void store_tma(uint32_t tile, const PhaseMaps& maps, uint32_t row, Phase phase) {
  if (threadIdx.x == 0) {
    ptx::cp_async_bulk_tensor_4d_store(&maps.phase[2 * phase.h + phase.w], tile, 0, 0,
                                       static_cast<int32_t>(row % kSize),
                                       static_cast<int32_t>(row / kSize));
    ptx::cp_async_bulk_commit_group();
  }
}

template <int kChannels, Order kOrder, Store kStore>
__global__ void __launch_bounds__(kThreads)
    spread(const uint4* x, uint4* y, const __grid_constant__ PhaseMaps maps) {
  constexpr uint32_t kRows = Copy<kChannels>::kRows;
  constexpr bool kAll = kOrder == Order::kInOneBlock;
  constexpr bool kSide = kOrder == Order::kSideBySide;
  auto* tile = reinterpret_cast<uint4*>(ptx::dynamic_shared());
  const uint32_t row = kAll ? blockIdx.x : kSide ? blockIdx.x / kPhases : blockIdx.x % kRows;
  const uint32_t mine = kSide ? blockIdx.x % kPhases : blockIdx.x / kRows;
  const uint4* from = x + uint64_t{row} * Copy<kChannels>::kRowChunks;
#pragma unroll
  for (uint32_t i = threadIdx.x; i < Copy<kChannels>::kRowChunks; i += kThreads) {
    tile[i] = from[i];
  }
  ptx::fence_proxy_async_shared();
  __syncthreads();  // the row is there, for TMA too
  for (uint32_t i = kAll ? 0 : mine; i < (kAll ? kPhases : mine + 1); ++i) {
    const Phase phase{i / 2, i % 2};
    if constexpr (kStore == Store::kWide) {
      store_wide<kChannels>(tile, y, output_pixel(row, phase));
    } else if constexpr (kStore == Store::kFragment) {
      store_fragment<kChannels>(tile, y, output_pixel(row, phase));
    } else {
      store_tma(ptx::shared_address(tile), maps, row, phase);
    }
  }
  if (kStore == Store::kTma && threadIdx.x == 0) {
    ptx::cp_async_bulk_wait_group<0>();  // shared memory lives until it was read
  }
}

__global__ void fill_chunks(uint4* chunks, uint32_t count) {
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
    chunks[i] = {random_bits(i), random_bits(~i), i, i + 1};
  }
}

template <int kChannels>
__global__ void count_wrong(const uint4* x, const uint4* y, unsigned long long* wrong) {
  constexpr uint32_t kChunks = Copy<kChannels>::kChunks;
  const uint64_t count = uint64_t{kPhases} * Copy<kChannels>::kRows * Copy<kChannels>::kRowChunks;
  unsigned long long mine = 0;
  for (uint64_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
    const uint64_t pixel = i / kChunks;
    const uint64_t w = pixel % (2 * kSize) / 2;
    const uint64_t h = pixel / (2 * kSize) % (2 * kSize) / 2;
    const uint64_t n = pixel / (2 * kSize) / (2 * kSize);
    const uint4 a = x[((n * kSize + h) * kSize + w) * kChunks + i % kChunks];
    const uint4 b = y[i];
    mine += a.x != b.x || a.y != b.y || a.z != b.z || a.w != b.w ? 1 : 0;
  }
  if (mine != 0) {
    atomicAdd(wrong, mine);
  }
}

// Y as each phase sees it: every other pixel of every other row.
template <int kChannels>
PhaseMaps phase_maps(unsigned char* y) {
  constexpr cuuint64_t kPixel = kChannels * 2;
  constexpr cuuint64_t kImage = kPixel * 4 * kSize * kSize;
  PhaseMaps maps;
  for (cuuint64_t i = 0; i < kPhases; ++i) {
    const Tensor view{CU_TENSOR_MAP_DATA_TYPE_FLOAT16,
                      y + (i / 2 * 2 * kSize + i % 2) * kPixel,
                      {kChannels, kSize, kSize, Copy<kChannels>::kRows / kSize},
                      {2 * kPixel, 4 * kSize * kPixel, kImage}};
    maps.phase[i] = tiled_map(view, {kChannels, kSize, 1, 1}, CU_TENSOR_MAP_SWIZZLE_NONE);
  }
  return maps;
}

template <int kChannels>
struct Bench {
  static constexpr std::size_t kInputChunks =
      std::size_t{Copy<kChannels>::kRows} * Copy<kChannels>::kRowChunks;
  Report& report;
  Buffer<uint4> x{kInputChunks};
  Buffer<uint4> y{kPhases * kInputChunks};
  PhaseMaps maps = phase_maps<kChannels>(reinterpret_cast<unsigned char*>(y.get()));

  explicit Bench(Report& to) : report(to) {
    launch(fill_chunks, {kFillBlocks, 256}, x.get(), static_cast<uint32_t>(kInputChunks));
  }

  template <Order kOrder, Store kStore>
  double run(const std::string& what, const char* predicted) {
    const unsigned blocks = Copy<kChannels>::kRows * (kOrder == Order::kInOneBlock ? 1 : kPhases);
    const unsigned shared = Copy<kChannels>::kRowChunks * 16;
    const auto enqueue = [&] {
      launch(spread<kChannels, kOrder, kStore>, {blocks, kThreads, shared}, x.get(), y.get(), maps);
    };
    check(cudaMemset(y.get(), 0xff, y.count() * sizeof(uint4)), "cudaMemset");
    enqueue();
    const Buffer<unsigned long long> wrong(1, 0);
    launch(count_wrong<kChannels>, {kFillBlocks, 256}, x.get(), y.get(), wrong.get());
    if (wrong.read()[0] != 0) {
      report.wrong(what + ": " + std::to_string(wrong.read()[0]) + " chunks of Y are wrong");
    }
    const double us = median_us(report, enqueue);
    report.measured(what + " (Co = " + std::to_string(kChannels) + ")",
                    (1 + kPhases) * double{kPhaseInputBytes} / us * 1e-6, "TB/s of X + Y",
                    predicted);
    return us;
  }
};

void measure(Report& report) {
  Bench<64> wide(report);
  const double side = wide.run<Order::kSideBySide, Store::kWide>(
      "phases side by side, 16-byte stores", "3.9 [E]: 90 % of a copy");
  const double after = wide.run<Order::kOneAfterAnother, Store::kWide>(
      "phases one after another, 16-byte stores", "2.4 [E]: X is read four times");
  const double all = wide.run<Order::kInOneBlock, Store::kWide>(
      "all phases in one block, 16-byte stores", "3.9 [E]");
  const double fragment = wide.run<Order::kSideBySide, Store::kFragment>(
      "phases side by side, 4-byte fragment stores", "2.5 [E]: half sectors");
  const double tma =
      wide.run<Order::kSideBySide, Store::kTma>("phases side by side, TMA stores", "3.9 [E]");
  report.decides("order of phases",
                 "if one after another is over 1.15 times slower than side by side, the phase is "
                 "the fastest index of the raster; else longest phase first",
                 after > 1.15 * side ? "phase fastest" : "longest first");
  report.decides("phases in a block",
                 "if one block for all phases is over 5 % faster than side by side, phases mode "
                 "pays for memory alone",
                 all < 0.95 * side ? "yes" : "no");
  report.decides(
      "epilogue",
      "if fragment stores are within 5 % of 16-byte stores, no staging; else staged, and "
      "by TMA where it is within 5 % of 16-byte stores",
      fragment < 1.05 * side ? "fragments, not staged"
      : tma < 1.05 * side    ? "staged, TMA store"
                             : "staged, 16-byte stores");
}

void measure_narrow(Report& report) {
  Bench<16> narrow(report);
  const double wide = narrow.run<Order::kSideBySide, Store::kWide>(
      "phases side by side, 16-byte stores", "3.5 [E]: runs of one sector");
  const double tma = narrow.run<Order::kSideBySide, Store::kTma>("phases side by side, TMA stores",
                                                                 "? : 32-byte rows");
  narrow.run<Order::kSideBySide, Store::kFragment>("phases side by side, 4-byte fragment stores",
                                                   "2 [E]");
  report.decides("TMA stores at small Co",
                 "if TMA stores of 32-byte runs are within 10 % of 16-byte stores they are used "
                 "for all Co; else only for runs of 64 bytes and more",
                 tma < 1.1 * wide ? "all Co" : "runs of 64 bytes and more");
}

}  // namespace
}  // namespace tconv::probes

int main(int argc, char** argv) {
  return tconv::probes::run(
      argc, argv,
      {"phase_order",
       "What do re-reads of X cost by the order of the phases, and strided stores of Y by their "
       "kind?",
       tconv::probes::About::Needs::kHopper},
      [](tconv::probes::Report& report) {
        tconv::probes::measure(report);
        tconv::probes::measure_narrow(report);
      });
}
