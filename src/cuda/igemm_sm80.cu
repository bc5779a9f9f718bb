// SPDX-License-Identifier: Apache-2.0
// igemm_sm80.cu: an implicit GEMM on tensor cores whose input window stays in shared memory. f16,
// bf16, and f32 as TF32 where that is asked for; NHWC and NCHW; from sm_80 on.
//
//   output[n,p,q,k] = round(activation(sum + bias[k] + residual[n,p,q,k]))
//   sum = over taps (r,s), channels c of the group:  input[n,h,w,c] * filters[r,s,k,c]
//   n batch | h,w input pixel | p,q output pixel | r,s tap | c input channel | k output channel
//
// As a matrix product:  m = a box of positions (n, q_h, q_w), columns = (phase of W, k), and the
// depth is (chunk of channels, tap, channel of the chunk), in that order. igemm_plan.h has the
// words: box, window, slot, group, unit, subgrid.
//
// A chunk of the box and its halo is copied once into shared memory as [pixel][channel]; a tap then
// is a number added to the rows that ldmatrix reads. Filters pass through a ring of their own, one
// stage an iteration (chunk, tap). Each slot of a block has warps of its own, so that no warp
// branches over phases. The parts: igemm_tile.cuh (who computes what), igemm_copy.cuh,
// igemm_multiply.cuh, igemm_store.cuh. Not yet run on a GPU.
#include <array>
#include <memory>
#include <string>
#include <utility>

#include "src/cuda/epilogue.cuh"
#include "src/cuda/igemm_copy.cuh"
#include "src/cuda/igemm_multiply.cuh"
#include "src/cuda/igemm_store.cuh"
#include "src/cuda/igemm_tile.cuh"
#include "src/cuda/launch.cuh"
#include "src/cuda/ptx/cp_async.cuh"
#include "src/cuda/ptx/shared.cuh"
#include "src/host/errors.h"
#include "src/host/igemm_counters.h"
#include "src/host/igemm_plan.h"
#include "src/host/kernel_table.h"
#include "src/host/repack.h"

namespace tconv::cuda {
namespace {

using namespace host;   // NOLINT(google-build-using-namespace): of our own library
using namespace igemm;  // NOLINT(google-build-using-namespace): the parts of this kernel

static_assert(sizeof(IgemmParams) + 128 <= 4096, "what a launch carries on every driver");

// ---- Kernel. ------------------------------------------------------------------------------------

template <typename T, int kTileIndex, bool kWide>
__global__ void __launch_bounds__(kIgemmTiles[kTileIndex].threads(),
                                  kIgemmTiles[kTileIndex].blocks_per_sm)
    igemm_sm80(const __grid_constant__ IgemmParams d, const char* __restrict__ input,
               const char* __restrict__ filters, const Epilogue<float> epilogue) {
  using Tile = Tiling<kTileIndex>;
  // Prologue: the table of pixels, then the first kAhead iterations in flight.
  unsigned char* memory = ptx::dynamic_shared();
  const Shared shared = {memory, ptx::shared_address(memory)};
  const uint32_t table_bytes = align_up(d.window_pixels * sizeof(Pixel), 128);
  const uint32_t windows = shared.address + table_bytes;
  const uint32_t stages = windows + d.window_bytes * d.window_stages;
  const Place place = place_of<kTileIndex>(d, static_cast<int>(blockIdx.x));
  const Corner corner = corner_of(d, place);
  make_pixels<kTileIndex>(d, place, corner, reinterpret_cast<Pixel*>(memory));
  __syncthreads();  // the table is there for all
  Producer<T, kTileIndex, kWide> producer(d, place, corner, input, filters, shared, windows,
                                          stages);
  Consumer<T, kTileIndex> consumer(d, place, windows, stages);
  const int chunks = (d.channel_bytes + Tile::kRowBytes - 1) / Tile::kRowBytes;
  const int iterations = chunks * d.groups[place.group].iterations;
#pragma unroll
  for (int i = 0; i < Tile::kAhead; ++i) {
    if (i < iterations) producer.issue();
    ptx::cp_async_commit_group();
  }
  ptx::cp_async_wait_group<Tile::kAhead - 1>();
  __syncthreads();  // the copies of iteration 0 have landed for all
  consumer.load(0);

  // Mainloop. Invariant: the copies of iteration i have landed, those of the kAhead - 1 after it
  // are in flight, and the fragments of its first step are on their way.
#pragma unroll 1
  for (int i = 0; i < iterations; ++i) {
    // The stage that is written was read in iteration i - 1, before the barrier below.
    if (i + Tile::kAhead < iterations) producer.issue();
    ptx::cp_async_commit_group();
#pragma unroll
    for (int step = 0; step < Tile::kSteps; ++step) {
      const bool useful = consumer.useful(step);
      if (step + 1 < Tile::kSteps) {
        consumer.load(step + 1);
      } else if (i + 1 < iterations) {
        ptx::cp_async_wait_group<Tile::kAhead - 1>();
        __syncthreads();  // iteration i + 1 has landed for all, and all have read iteration i
        consumer.next_iteration();
        consumer.load(0);
      }
      if (useful) consumer.multiply_step(step);
    }
  }

  // Epilogue: round once. All copies have landed, for the last iteration waited for its own: what
  // is in flight are empty groups. The rings are free for staging.
  __syncthreads();  // all have read the last iteration
  auto* staging = reinterpret_cast<float*>(memory + table_bytes);
  constexpr int kStaged = kIgemmStagedRows * (Tile::kWarpN + kIgemmStagingPad);
  Storer<kTileIndex>(d, place, epilogue, staging + threadIdx.x / 32 * kStaged).store(consumer.sums);
}

/// Writes the outputs that no tap reaches, where there are any: a launch of its own.
__global__ void __launch_bounds__(kIgemmFillThreads)
    igemm_fill(const __grid_constant__ IgemmParams d, const Epilogue<float> epilogue) {
  const int channels = d.out_channels.divisor * d.conv_groups;
  const int64_t i = int64_t{blockIdx.x} * kIgemmFillThreads + threadIdx.x;
  const int64_t pixel = i / channels, row = pixel / d.w.out;
  const auto k = static_cast<int>(i % channels), q = static_cast<int>(pixel % d.w.out);
  const auto p = static_cast<int>(row % d.h.out), n = static_cast<int>(row / d.h.out);
  if (n >= d.batch || (d.reach_h.contains(p) && d.reach_w.contains(q))) return;
  finish(epilogue, 0.0f, k,
         n * d.residual_n + p * d.residual_h + q * d.residual_w + k * d.residual_c,
         n * d.output_n + p * d.output_h + q * d.output_w + k * d.output_c);
}

// ---- The row of the table. ----------------------------------------------------------------------

using KernelFunction = void (*)(IgemmParams, const char*, const char*, Epilogue<float>);

template <typename T, bool kWide>
KernelFunction kernel_of(int tile) {
  static_assert(kIgemmTileCount == 6);
  switch (tile) {
    case 0: return igemm_sm80<T, 0, kWide>;
    case 1: return igemm_sm80<T, 1, kWide>;
    case 2: return igemm_sm80<T, 2, kWide>;
    case 3: return igemm_sm80<T, 3, kWide>;
    case 4: return igemm_sm80<T, 4, kWide>;
    default: return igemm_sm80<T, 5, kWide>;
  }
}

KernelFunction kernel_of(const Problem& problem, int tile) {
  const bool is_wide = igemm_access(problem) == 16 && problem.desc().layout == Layout::nhwc;
  switch (problem.desc().dtype) {
    case DType::f16: return is_wide ? kernel_of<Half, true>(tile) : kernel_of<Half, false>(tile);
    case DType::bf16:
      return is_wide ? kernel_of<BFloat16, true>(tile) : kernel_of<BFloat16, false>(tile);
    default: return is_wide ? kernel_of<float, true>(tile) : kernel_of<float, false>(tile);
  }
}

struct IgemmState : KernelState {
  KernelFunction kernel = nullptr;
  unsigned threads = 0;
  int tile = 0;
  IgemmPlan plan;
};

std::string declines(const Problem& problem, const Options& options, const DeviceFacts& device) {
  const ProblemDesc& d = problem.desc();
  if (device.sm < 80) return "needs tensor cores with asynchronous copies, sm_80 or later";
  if (d.dtype == DType::f64 || (d.dtype == DType::f32 && options.math != Math::tf32)) {
    return "takes f16, bf16, and f32 with math=tf32";
  }
  if (d.filter_order != FilterOrder::hwoi && !options.prepacked_filters) {
    return "takes filters in the order HWOI, others prepacked";
  }
  return plan_igemm(problem, kIgemmTiles[0], device).refused;
}

std::string tile_declines(const Problem& problem, int tile, const DeviceFacts& device) {
  return plan_igemm(problem, kIgemmTiles[tile], device).refused;
}

double estimate_us(const Problem& problem, int tile, const Options&, const DeviceFacts& device) {
  const IgemmPlan plan = plan_igemm(problem, kIgemmTiles[tile], device);
  return estimate_igemm_us(problem, kIgemmTiles[tile], plan, device);
}

std::shared_ptr<const KernelState> prepare(const Problem& problem, int tile, const Options& options,
                                           const DeviceFacts& device) {
  auto state = std::make_shared<IgemmState>();
  state->plan = plan_igemm(problem, kIgemmTiles[tile], device);
  if (!state->plan.refused.empty()) throw Unsupported(state->plan.refused);
  state->kernel = kernel_of(problem, tile);
  state->tile = tile;
  state->threads = static_cast<unsigned>(kIgemmTiles[tile].threads());
  if (options.prepacked_filters) {
    state->packed_filter_bytes = static_cast<std::size_t>(problem.filter_bytes());
  }
  // Planning for a device model touches no GPU.
  if (device.is_here()) {
    gpu().load(reinterpret_cast<const void*>(state->kernel),
               static_cast<std::size_t>(state->plan.shared_bytes));
    if (state->plan.fill_blocks > 0) gpu().load(reinterpret_cast<const void*>(igemm_fill), 0);
    if (options.prepacked_filters) load_repack(problem);
  }
  return state;
}

void launch_row(const Problem& problem, const KernelState& base, const Tensors& tensors,
                Stream stream) {
  const auto& state = static_cast<const IgemmState&>(base);
  const IgemmPlan& plan = state.plan;
  const auto epilogue = make_epilogue<float>(problem.desc(), tensors);
  if (plan.params.gemm_blocks > 0) {
    launch(state.kernel, {static_cast<unsigned>(plan.params.gemm_blocks), 1, 1},
           {state.threads, 1, 1}, static_cast<std::size_t>(plan.shared_bytes), stream, "igemm_sm80",
           plan.params, static_cast<const char*>(tensors.input),
           static_cast<const char*>(tensors.filters), epilogue);
  }
  if (plan.fill_blocks > 0) {
    launch(igemm_fill, {static_cast<unsigned>(plan.fill_blocks), 1, 1}, {kIgemmFillThreads, 1, 1},
           0, stream, "igemm_sm80", plan.params, epilogue);
  }
}

PlanCounters counters(const Problem& problem, const KernelState& base, const DeviceFacts& device) {
  const auto& state = static_cast<const IgemmState&>(base);
  return count_igemm(problem, kIgemmTiles[state.tile], state.plan, device);
}

void prepack(const Problem& problem, const KernelState&, const void* filters, void* packed,
             Stream stream) {
  enqueue_repack(problem, igemm_filter_strides(problem), filters, packed, stream);
}

template <int... kIndex>
constexpr std::array<const char*, sizeof...(kIndex)> tile_names(
    std::integer_sequence<int, kIndex...>) {
  return {kIgemmTiles[kIndex].name...};
}
constexpr auto kTileNames = tile_names(std::make_integer_sequence<int, kIgemmTileCount>());
constexpr DType kTypes[] = {DType::f16, DType::bf16, DType::f32};

}  // namespace
}  // namespace tconv::cuda

namespace tconv::host {

constinit const Kernel igemm_sm80_kernel = {.name = "igemm_sm80",
                                            .device = DeviceKind::cuda,
                                            .tiles = cuda::kTileNames,
                                            .dtypes = cuda::kTypes,
                                            .declines = cuda::declines,
                                            .tile_declines = cuda::tile_declines,
                                            .estimate_us = cuda::estimate_us,
                                            .prepare = cuda::prepare,
                                            .launch = cuda::launch_row,
                                            .prepack = cuda::prepack,
                                            .fixed_size = "its boxes and tile are for one size",
                                            .counters = cuda::counters};

}  // namespace tconv::host
