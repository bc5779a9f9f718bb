// SPDX-License-Identifier: Apache-2.0
// row.cu: an implicit GEMM on tensor cores whose input window stays in shared memory. f16,
// bf16, and f32 as TF32 or in three products of TF32 where that is asked for; NHWC and NCHW; from
// sm_80 on.
//
//   output[n,p,q,k] = round(activation(sum + bias[k] + residual[n,p,q,k]))
//   sum = over taps (r,s), channels c of the group:  input[n,h,w,c] * filters[r,s,k,c]
//   n batch | h,w input pixel | p,q output pixel | r,s tap | c input channel | k output channel
//
// As a matrix product:  m = a box of positions (n, q_h, q_w), columns = (phase of W, k), and the
// depth is (chunk of channels, tap, channel of the chunk), in that order. plan.h has the
// words: box, window, slot, group, unit, subgrid.
//
// A chunk of the box and its halo is copied once into shared memory as [pixel][channel]; a tap then
// is a number added to the rows that ldmatrix reads. Filters pass through a ring of their own, one
// stage an iteration (chunk, tap); where there are more boxes than blocks run at once and all
// filters of a block fit, they stay, and the block goes on to other boxes. Each slot of a block has
// warps of its own, so that no warp branches over phases; a warp leaves out what it does not have:
// taps that none of its positions meets inside the input, and columns past the last. Planes of 16
// bits are read in pairs of pixels, where their rows are whole pairs. Where the blocks are few,
// several share the depth of one, and a second launch adds their sums, always in the same order.
// The parts: kernel.cuh, tile.cuh (who computes what), producer.cuh,
// multiply.cuh, store.cuh; here is its row of the table. Not yet run on a GPU.
#include <array>
#include <memory>
#include <string>
#include <utility>

#include "src/cuda/common/epilogue.cuh"
#include "src/cuda/igemm_sm80/launchers.cuh"
#include "src/cuda/igemm_sm80/plan.h"
#include "src/cuda/igemm_sm80/prediction.h"
#include "src/cuda/runtime/launch.cuh"
#include "src/cuda/runtime/repack.h"
#include "src/host/plan/kernel_table.h"
#include "src/host/problem/errors.h"

namespace tconv::cuda {
namespace {

using namespace host;  // NOLINT(google-build-using-namespace): of our own library
using igemm::IgemmParams;
using igemm::KernelFunction;

// ---- Outputs without a tap. ---------------------------------------------------------------------

/// Writes the outputs that no tap reaches, where there are any: a launch of its own. Threads are in
/// the order in which outputs lie in memory.
__global__ void __launch_bounds__(kIgemmFillThreads)
    igemm_fill(const __grid_constant__ IgemmParams d, const Epilogue<float> epilogue) {
  const int channels = d.out_channels.divisor * d.conv_groups;
  int64_t rest = int64_t{blockIdx.x} * kIgemmFillThreads + threadIdx.x;
  const auto next = [&](int extent) {
    const auto digit = static_cast<int>(rest % extent);
    rest /= extent;
    return digit;
  };
  int k = d.channels_last != 0 ? next(channels) : 0;
  const int q = next(d.w.out), p = next(d.h.out);
  if (d.channels_last == 0) k = next(channels);
  const auto n = static_cast<int>(rest);
  if (n >= d.batch || (d.reach_h.contains(p) && d.reach_w.contains(q))) return;
  finish(epilogue, 0.0f, k,
         n * d.residual_n + p * d.residual_h + q * d.residual_w + k * d.residual_c,
         n * d.output_n + p * d.output_h + q * d.output_w + k * d.output_c);
}

// ---- The sum of shares of the depth. ------------------------------------------------------------

/// Adds the shares of each output, in their order, and finishes it. Outputs that no tap reaches
/// have none.
__global__ void __launch_bounds__(kIgemmFillThreads)
    igemm_add_shares(const __grid_constant__ IgemmParams d,
                     const __grid_constant__ IgemmOutput output, const float* __restrict__ shares,
                     const Epilogue<float> epilogue) {
  const int64_t i = int64_t{blockIdx.x} * kIgemmFillThreads + threadIdx.x;
  if (i >= d.split_elements) return;
  auto rest = static_cast<int>(i);  // a split plan has less than 2^31 outputs
  const auto next = [&](int extent) {
    const int digit = rest % extent;
    rest /= extent;
    return digit;
  };
  const int channels = d.out_channels.divisor * d.conv_groups;
  int k = d.channels_last != 0 ? next(channels) : 0;
  const int q = next(d.w.out), p = next(d.h.out);
  if (d.channels_last == 0) k = next(channels);
  const int n = rest;
  float sum = 0;
  if (d.reach_h.contains(p) && d.reach_w.contains(q)) {
#pragma unroll 1
    for (int share = 0; share < d.splits; ++share) sum += shares[share * d.split_elements + i];
  }
  finish(epilogue, sum, k,
         n * d.residual_n + p * d.residual_h + q * d.residual_w + k * d.residual_c,
         n * output.n + p * output.h + q * output.w + k * output.c);
}

// ---- The row of the table. ----------------------------------------------------------------------

/// Of a 16-bit type.
template <typename T>
KernelFunction narrow_kernel_of(const Problem& problem, int tile) {
  const bool is_wide = igemm_is_wide(problem);
  return igemm_filter_order(problem) == FilterOrder::ihwo
             ? igemm::kernel_of<T, FilterOrder::ihwo>(tile, is_wide)
             : igemm::kernel_of<T, FilterOrder::hwoi>(tile, is_wide);
}

KernelFunction kernel_of(const Problem& problem, int tile, Math math) {
  const bool is_wide = igemm_is_wide(problem);
  switch (problem.desc().dtype) {
    case DType::f16: return narrow_kernel_of<Half>(problem, tile);
    case DType::bf16: return narrow_kernel_of<BFloat16>(problem, tile);
    default:
      return math == Math::tf32x3 ? igemm::kernel_of<Tf32x3, FilterOrder::hwoi>(tile, is_wide)
                                  : igemm::kernel_of<float, FilterOrder::hwoi>(tile, is_wide);
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
  if (d.dtype == DType::f64 || (d.dtype == DType::f32 && options.math == Math::strict)) {
    return "takes f16, bf16, and f32 with math=tf32 or math=3xtf32";
  }
  if (d.dtype == DType::f32 && options.math == Math::tf32x3 &&
      device.tf32_tensor_macs_per_us < 3 * device.f32_macs_per_us) {
    return "three products of TF32 take longer than one of f32 on " + device.name;
  }
  if (d.filter_order != igemm_filter_order(problem) && !options.prepacked_filters) {
    return "takes filters in the order HWOI, 16-bit ones also in IHWO, others prepacked";
  }
  // Of no tile: the first says why.
  std::string why;
  for (const IgemmTile& tile : kIgemmTiles) {
    const std::string refused = plan_igemm(problem, tile, device, options.math).refused;
    if (refused.empty()) return "";
    if (why.empty()) why = refused;
  }
  return why;
}

std::string tile_declines(const Problem& problem, int tile, const Options& options,
                          const DeviceFacts& device) {
  return plan_igemm(problem, kIgemmTiles[tile], device, options.math).refused;
}

double estimate_us(const Problem& problem, int tile, const Options& options,
                   const DeviceFacts& device) {
  const IgemmPlan plan =
      plan_igemm(problem, kIgemmTiles[tile], device, options.math, options.workspace_limit);
  return estimate_igemm_us(problem, kIgemmTiles[tile], plan, device);
}

std::shared_ptr<const KernelState> prepare(const Problem& problem, int tile, const Options& options,
                                           const DeviceFacts& device) {
  auto state = std::make_shared<IgemmState>();
  state->plan =
      plan_igemm(problem, kIgemmTiles[tile], device, options.math, options.workspace_limit);
  if (!state->plan.refused.empty()) throw Unsupported(state->plan.refused);
  state->workspace_bytes = static_cast<std::size_t>(state->plan.workspace_bytes);
  state->kernel = kernel_of(problem, tile, options.math);
  state->tile = tile;
  state->threads = static_cast<unsigned>(kIgemmTiles[tile].threads());
  if (options.prepacked_filters) {
    state->packed_filter_bytes = static_cast<std::size_t>(problem.filter_bytes());
  }
  // Planning for a device model touches no GPU.
  if (device.is_here()) {
    gpu().load(reinterpret_cast<const void*>(state->kernel),
               static_cast<std::size_t>(state->plan.shared_bytes));
    if (state->plan.fill_blocks > 0) {
      const bool split = state->plan.params.splits > 1;
      gpu().load(split ? reinterpret_cast<const void*>(igemm_add_shares)
                       : reinterpret_cast<const void*>(igemm_fill),
                 0);
    }
    if (options.prepacked_filters) load_repack(problem);
  }
  return state;
}

void launch_row(const Problem& problem, const KernelState& base, const Tensors& tensors,
                Stream stream) {
  const auto& state = static_cast<const IgemmState&>(base);
  const IgemmPlan& plan = state.plan;
  const auto epilogue = make_epilogue<float>(problem.desc(), tensors);
  const bool split = plan.params.splits > 1;
  if (plan.params.gemm_blocks > 0) {
    Epilogue<float> shares = {};
    shares.output = tensors.workspace;
    shares.output_type = DType::f32;
    launch(state.kernel, {static_cast<unsigned>(plan.params.gemm_blocks), 1, 1},
           {state.threads, 1, 1}, static_cast<std::size_t>(plan.shared_bytes), stream, "igemm_sm80",
           plan.params, static_cast<const char*>(tensors.input),
           static_cast<const char*>(tensors.filters), split ? shares : epilogue);
  }
  if (plan.fill_blocks > 0 && split) {
    const Strides& s = problem.desc().output_strides;
    launch(igemm_add_shares, {static_cast<unsigned>(plan.fill_blocks), 1, 1},
           {kIgemmFillThreads, 1, 1}, 0, stream, "igemm_sm80", plan.params,
           IgemmOutput{s.n, s.h, s.w, s.c}, static_cast<const float*>(tensors.workspace), epilogue);
  } else if (plan.fill_blocks > 0) {
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

extern const Kernel igemm_sm80_kernel;  // the table's name of it (cmake/families.cmake)
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
