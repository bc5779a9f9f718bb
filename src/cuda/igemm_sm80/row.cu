// SPDX-License-Identifier: Apache-2.0
// igemm_sm80: an implicit GEMM on tensor cores whose input window stays in shared memory. f16,
// bf16, and f32 as TF32 or, where asked for, in three products of TF32; NHWC and NCHW; from sm_80
// on. Not yet run on a GPU.
//
//   output[n,p,q,k] = round(activation(sum + bias[k] + residual[n,p,q,k]))
//   sum = over taps (r,s), channels c of the group:  input[n,h,w,c] * filters[r,s,k,c]
//   n batch | h,w input pixel | p,q output pixel | r,s tap | c input channel | k output channel
//
// As a matrix product:  M is positions (n, q_h, q_w), a box of them an M tile; N is columns (phase
// of W, k); the depth K is (chunk of channels, tap, channel of the chunk), in that order. params.h
// explains these words.
//
// A chunk of the box and its halo is copied into shared memory once, as [pixel][channel]. A tap is
// then a number added to the rows that ldmatrix reads. Filters pass through a ring of their own,
// one stage an iteration (chunk, tap).
// - Each sub-GEMM of a block has warps of its own, so that no warp branches over phases. A warp
// skips
//   taps that none of its positions meets inside the input, and columns past the last.
// - Persistent filters: where M tiles are more than the blocks that run at once, and all filters of
// a
//   block fit, the filters stay, and the block goes on to other M tiles.
// - Split K: where blocks are few, several split the depth of one, and a second launch adds their
//   sums, always in the same order.
// - Planes of 16 bits are read in pairs of pixels, where their rows are whole pairs.
// - Filters in an order that is not read (operands.h) are repacked into the workspace first.
//
// README.md draws an example. Read on: plan.h (problem -> numbers) with subgemms.h, box.h, cost.h,
// traffic.h and operands.h; params.h (the numbers); kernel.cuh with tile.cuh (who computes what),
// producer.cuh and copy.cuh (who copies what), multiply.cuh and store.cuh. This file: the two small
// kernels of the second launch, and the family's entry in the planner's table.
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

namespace tconv::cuda::igemm {
namespace {

using namespace host;  // NOLINT(google-build-using-namespace): of our own library
using host::igemm::kTileCount, host::igemm::kTiles, host::igemm::OutputStrides, host::igemm::Plan;

// ---- The second launch. -------------------------------------------------------------------------

constexpr int kSecondLaunchThreads = host::igemm::kSecondLaunchThreads;

/// Writes the outputs that have no tap, where there are any. Threads are in the order in which
/// outputs lie in memory.
__global__ void __launch_bounds__(kSecondLaunchThreads)
    store_tapless_outputs(const __grid_constant__ Params d, const Epilogue<float> epilogue) {
  const int channels = d.out_channels.divisor * d.conv_groups;
  int64_t rest = int64_t{blockIdx.x} * kSecondLaunchThreads + threadIdx.x;
  const auto next = [&](int extent) {
    const auto digit = static_cast<int>(rest % extent);
    rest /= extent;
    return digit;
  };
  int k = d.channels_last != 0 ? next(channels) : 0;
  const int q = next(d.w.out), p = next(d.h.out);
  if (d.channels_last == 0) k = next(channels);
  const auto n = static_cast<int>(rest);
  if (n >= d.batch || (d.tapped_h.contains(p) && d.tapped_w.contains(q))) return;
  finish(epilogue, 0.0f, k,
         n * d.residual_n + p * d.residual_h + q * d.residual_w + k * d.residual_c,
         n * d.output_n + p * d.output_h + q * d.output_w + k * d.output_c);
}

/// Adds the K slices of each output, in their order, and finishes it. Outputs without a tap have
/// none.
__global__ void __launch_bounds__(kSecondLaunchThreads)
    split_k_reduce(const __grid_constant__ Params d, const __grid_constant__ OutputStrides output,
                   const float* __restrict__ slices, const Epilogue<float> epilogue) {
  const int64_t i = int64_t{blockIdx.x} * kSecondLaunchThreads + threadIdx.x;
  if (i >= d.k_slice_elements) return;
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
  if (d.tapped_h.contains(p) && d.tapped_w.contains(q)) {
#pragma unroll 1
    for (int slice = 0; slice < d.split_k; ++slice) sum += slices[slice * d.k_slice_elements + i];
  }
  finish(epilogue, sum, k,
         n * d.residual_n + p * d.residual_h + q * d.residual_w + k * d.residual_c,
         n * output.n + p * output.h + q * output.w + k * output.c);
}

// ---- The entry in the table. --------------------------------------------------------------------

/// Of a 16-bit type.
template <typename T>
KernelFunction kernel_of_16_bits(const Problem& problem, int tile) {
  const bool vec16 = host::igemm::is_vec16(problem);
  return host::igemm::filter_order(problem) == FilterOrder::ihwo
             ? igemm::kernel_of<T, FilterOrder::ihwo>(tile, vec16)
             : igemm::kernel_of<T, FilterOrder::hwoi>(tile, vec16);
}

KernelFunction kernel_of(const Problem& problem, int tile, Math math) {
  const bool vec16 = host::igemm::is_vec16(problem);
  switch (problem.desc().dtype) {
    case DType::f16: return kernel_of_16_bits<Half>(problem, tile);
    case DType::bf16: return kernel_of_16_bits<BFloat16>(problem, tile);
    default:
      return math == Math::tf32x3 ? igemm::kernel_of<Tf32x3, FilterOrder::hwoi>(tile, vec16)
                                  : igemm::kernel_of<float, FilterOrder::hwoi>(tile, vec16);
  }
}

struct State : KernelState {
  KernelFunction kernel = nullptr;
  unsigned threads = 0;
  int tile = 0;
  Plan plan;
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
  return host::igemm::refused(problem);
}

Plan plan_for(const Problem& problem, int tile, const Options& options, const DeviceFacts& device) {
  return host::igemm::plan_tile(problem, kTiles[tile], device, options.math,
                                options.workspace_limit, options.prepacked_filters);
}

Considered consider(const Problem& problem, int tile, const Options& options,
                    const DeviceFacts& device) {
  const Plan plan = plan_for(problem, tile, options, device);
  if (!plan.refused.empty()) return {.reason = plan.refused};
  return {.estimate_us = host::igemm::estimate_us(problem, kTiles[tile], plan, device)};
}

std::shared_ptr<const KernelState> prepare(const Problem& problem, int tile, const Options& options,
                                           const DeviceFacts& device) {
  auto state = std::make_shared<State>();
  state->plan = plan_for(problem, tile, options, device);
  // A plan resized to an empty output is refused too, but nothing of it is launched save prepack.
  if (!state->plan.refused.empty() && !problem.empty_output()) {
    throw Unsupported(state->plan.refused);
  }
  state->workspace_bytes = static_cast<std::size_t>(state->plan.workspace_bytes);
  state->kernel = kernel_of(problem, tile, options.math);
  state->tile = tile;
  state->threads = static_cast<unsigned>(kTiles[tile].threads());
  if (options.prepacked_filters) {
    state->packed_filter_bytes = static_cast<std::size_t>(problem.filter_bytes());
  }
  // Planning for a device model touches no GPU.
  if (device.is_here()) {
    const auto shared_bytes = static_cast<std::size_t>(state->plan.shared_bytes);
    gpu().load(reinterpret_cast<const void*>(state->kernel), shared_bytes,
               preferred_carveout(device, shared_bytes, state->plan.resident));
    if (state->plan.second_launch_blocks > 0) {
      const bool is_split = state->plan.params.split_k > 1;
      gpu().load(is_split ? reinterpret_cast<const void*>(split_k_reduce)
                          : reinterpret_cast<const void*>(store_tapless_outputs),
                 0, kAnyCarveout);
    }
    if (options.prepacked_filters || state->plan.repacked_bytes > 0) load_repack(problem);
  }
  return state;
}

std::size_t workspace_upto(const Problem& problem, int tile, const Options& options,
                           const DeviceFacts& device) {
  return static_cast<std::size_t>(host::igemm::workspace_upto(
      problem, kTiles[tile], device, options.workspace_limit, options.prepacked_filters));
}

void launch_row(const Problem& problem, const KernelState& base, const Tensors& tensors,
                Stream stream) {
  const auto& state = static_cast<const State&>(base);
  const Plan& plan = state.plan;
  const auto epilogue = make_epilogue<float>(problem.desc(), tensors);
  const bool is_split = plan.params.split_k > 1;
  if (plan.params.gemm_blocks > 0) {
    const void* filters = tensors.filters;
    if (plan.repacked_bytes > 0) {
      void* packed = static_cast<char*>(tensors.workspace) + plan.filters_offset;
      enqueue_repack(problem, host::igemm::filter_strides(problem), filters, packed, stream);
      filters = packed;
    }
    Epilogue<float> slices = {};
    slices.output = tensors.workspace;
    slices.output_type = DType::f32;
    launch(state.kernel, {static_cast<unsigned>(plan.params.gemm_blocks), 1, 1},
           {state.threads, 1, 1}, static_cast<std::size_t>(plan.shared_bytes), stream, "igemm_sm80",
           plan.params, static_cast<const char*>(tensors.input), static_cast<const char*>(filters),
           is_split ? slices : epilogue);
  }
  if (plan.second_launch_blocks > 0 && is_split) {
    const Strides& s = problem.desc().output_strides;
    launch(split_k_reduce, {static_cast<unsigned>(plan.second_launch_blocks), 1, 1},
           {kSecondLaunchThreads, 1, 1}, 0, stream, "igemm_sm80", plan.params,
           OutputStrides{s.n, s.h, s.w, s.c}, static_cast<const float*>(tensors.workspace),
           epilogue);
  } else if (plan.second_launch_blocks > 0) {
    launch(store_tapless_outputs, {static_cast<unsigned>(plan.second_launch_blocks), 1, 1},
           {kSecondLaunchThreads, 1, 1}, 0, stream, "igemm_sm80", plan.params, epilogue);
  }
}

Prediction predict(const Problem& problem, const KernelState& base, const DeviceFacts& device) {
  const auto& state = static_cast<const State&>(base);
  return host::igemm::predict(problem, kTiles[state.tile], state.plan, device);
}

void prepack(const Problem& problem, const KernelState&, const void* filters, void* packed,
             Stream stream) {
  enqueue_repack(problem, host::igemm::filter_strides(problem), filters, packed, stream);
}

template <int... kIndex>
constexpr std::array<const char*, sizeof...(kIndex)> tile_names(
    std::integer_sequence<int, kIndex...>) {
  return {kTiles[kIndex].name...};
}
constexpr auto kTileNames = tile_names(std::make_integer_sequence<int, kTileCount>());
constexpr DType kTypes[] = {DType::f16, DType::bf16, DType::f32};

}  // namespace
}  // namespace tconv::cuda::igemm

namespace tconv::host {

extern const Kernel igemm_sm80_kernel;  // the table's name of it (cmake/families.cmake)
constinit const Kernel igemm_sm80_kernel = {.name = "igemm_sm80",
                                            .device = DeviceKind::cuda,
                                            .tiles = cuda::igemm::kTileNames,
                                            .dtypes = cuda::igemm::kTypes,
                                            .declines = cuda::igemm::declines,
                                            .consider = cuda::igemm::consider,
                                            .prepare = cuda::igemm::prepare,
                                            .launch = cuda::igemm::launch_row,
                                            .prepack = cuda::igemm::prepack,
                                            .packed_strides = host::igemm::filter_strides,
                                            .border = Border::zeros,
                                            .workspace_upto = cuda::igemm::workspace_upto,
                                            .predict = cuda::igemm::predict};

}  // namespace tconv::host
