// SPDX-License-Identifier: Apache-2.0
// gather.cu: one thread per output element. Takes every problem.
//
//   output[n,p,q,k] = round(activation(sum + bias[k] + residual[n,p,q,k]))
//   sum = over taps (r,s), channels c of the group:  input[n,h,w,c] * filters[r,s,k,c]
//   n batch | h,w input pixel | p,q output pixel | r,s tap | c input channel | k output channel
//
// The threads of a warp are neighbours in the output's innermost dimension: k for NHWC, where input
// is a broadcast, and q for NCHW, where filters are nearly one. Limited by L1. Sums are f32 (f64
// for f64), fused, in the order r, s, c, rounded once: the same bits on every run. Not yet run on a
// GPU.
#include <algorithm>
#include <memory>
#include <string>

#include "src/cuda/common/dtype.cuh"
#include "src/cuda/common/epilogue.cuh"
#include "src/cuda/common/index.cuh"
#include "src/cuda/ptx/fma.cuh"
#include "src/cuda/runtime/launch.cuh"
#include "src/host/plan/kernel.h"

namespace tconv::cuda {
namespace {

using namespace host;  // NOLINT(google-build-using-namespace): of our own library

constexpr int kThreads = 256;

/// What the registers must leave room for. Left to itself, ptxas of CUDA 13.0 spills one 64-bit
/// instance on sm_100; with this none spills on sm_80 to sm_120.
template <typename Index>
constexpr int kBlocksPerSm = sizeof(Index) == 8 ? 4 : 6;

/// What one launch covers at most: the hardware's limit of blocks. Only tensors of more than a
/// tebibyte need a second launch.
constexpr int64_t kLargestGrid = (int64_t{1} << 31) - 1;

/// Writes the outputs from `first` on, as many as there are threads or outputs.
template <typename T, typename Index>
__global__ void __launch_bounds__(kThreads, kBlocksPerSm<Index>)
    gather(const Shape<Index> d, const Index first, const T* __restrict__ input,
           const T* __restrict__ filters, const Epilogue<SumOf<T>> epilogue) {
  // Prologue: the output element that this thread owns.
  const Index i = first + static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= d.outputs) return;
  const auto [n, p, q, k] = position_of(d, i);
  const Index first_c = k / d.out_c_per_group * d.in_c_per_group;
  const Index k_in_group = k % d.out_c_per_group;

  // Mainloop: the taps that land on an input pixel.
  SumOf<T> sum = 0;
  for (Index r = 0; r < d.h.kernel; ++r) {
    const Index h = input_index(d.h, p, r);
    if (h == kNoInput) continue;
    for (Index s = 0; s < d.w.kernel; ++s) {
      const Index w = input_index(d.w, q, s);
      if (w == kNoInput) continue;
      const T* pixel = input + d.input.offset(n, h, w, first_c);
      const T* tap = filters + d.filters.offset(r, s, k_in_group, first_c);
      for (Index c = 0; c < d.in_c_per_group; ++c) {
        sum = ptx::fma_rn(value_of(pixel[c * d.input.c]), value_of(tap[c * d.filters.c]), sum);
      }
    }
  }

  // Epilogue: round once.
  finish(epilogue, sum, k, d.residual.offset(n, p, q, k), d.output.offset(n, p, q, k));
}

// ---- The row of the table. ----------------------------------------------------------------------

template <typename T, typename Index>
void launch_as(const Problem& problem, const Tensors& tensors, Stream stream) {
  const auto shape = make_shape<Index>(problem);
  const auto epilogue = make_epilogue<SumOf<T>>(problem.desc(), tensors);
  const int64_t outputs = problem.output_extents().count();
  for (int64_t first = 0; first < outputs; first += kLargestGrid * kThreads) {
    const int64_t blocks = std::min(kLargestGrid, ceil_div(outputs - first, kThreads));
    launch(gather<T, Index>, {static_cast<unsigned>(blocks), 1, 1}, {kThreads, 1, 1}, 0, stream,
           "gather", shape, static_cast<Index>(first), static_cast<const T*>(tensors.input),
           static_cast<const T*>(tensors.filters), epilogue);
  }
}

struct GatherState : KernelState {
  void (*launch)(const Problem&, const Tensors&, Stream) = nullptr;
};

std::string declines(const Problem&, const Options&, const DeviceFacts&) { return ""; }

/// Model numbers, not measured: they rank this row behind every other that takes a problem.
Considered consider(const Problem& problem, int, const Options&, const DeviceFacts& device) {
  // Two loads and half a dozen integer instructions a multiply-add, the loads through L1.
  constexpr double kShareOfPeak = 1.0 / 16;
  // An integer division tells whether a tap lands on an input.
  constexpr double kMacsPerTapTest = 2;
  constexpr double kLaunchUs = 3;
  const ProblemDesc& d = problem.desc();
  const auto outputs = static_cast<double>(problem.output_extents().count());
  const double rows_met = 1 + static_cast<double>(d.h.kernel) / static_cast<double>(d.h.stride);
  const double tests = static_cast<double>(d.h.kernel) + rows_met * static_cast<double>(d.w.kernel);
  const double macs = problem.useful_macs() + outputs * tests * kMacsPerTapTest;
  const double peak = d.dtype == DType::f64 ? device.f64_macs_per_us : device.f32_macs_per_us;
  const double arithmetic_us = macs / (peak * kShareOfPeak);
  const double memory_us = problem.least_bytes() / device.bytes_per_us;
  return {.estimate_us = kLaunchUs + std::max(arithmetic_us, memory_us)};
}

template <typename Index>
void prepare_for(DType type, const DeviceFacts& device, GatherState& state) {
  with_type(type, [&]<typename T>() {
    state.launch = launch_as<T, Index>;
    // Planning for a device model touches no GPU.
    if (device.is_here()) {
      gpu().load(reinterpret_cast<const void*>(gather<T, Index>), 0, kAnyCarveout);
    }
  });
}

std::shared_ptr<const KernelState> prepare(const Problem& problem, int, const Options& options,
                                           const DeviceFacts& device) {
  auto state = std::make_shared<GatherState>();
  // The row's own filter order is the problem's: packing copies.
  if (options.prepacked_filters) {
    state->packed_filter_bytes = static_cast<std::size_t>(problem.filter_bytes());
  }
  if (fits<int32_t>(problem, kThreads)) {
    prepare_for<int32_t>(problem.desc().dtype, device, *state);
  } else {
    prepare_for<int64_t>(problem.desc().dtype, device, *state);
  }
  return state;
}

void prepack(const Problem&, const KernelState& state, const void* filters, void* packed,
             Stream stream) {
  gpu().copy(packed, filters, state.packed_filter_bytes, Copy::on_device, stream);
}

FilterStrides packed_strides(const Problem& problem) { return problem.filter_strides(); }

void launch_row(const Problem& problem, const KernelState& state, const Tensors& tensors,
                Stream stream) {
  static_cast<const GatherState&>(state).launch(problem, tensors, stream);
}

/// What L2 moves is left out: most loads are L1's.
Prediction predict(const Problem& problem, const KernelState&, const DeviceFacts& device) {
  const int64_t outputs = problem.output_extents().count();
  const int resident =
      fits<int32_t>(problem, kThreads) ? kBlocksPerSm<int32_t> : kBlocksPerSm<int64_t>;
  Prediction result;
  result.mode = "element";
  result.box = std::to_string(kThreads) + " elements";
  result.blocks = static_cast<double>(ceil_div(outputs, kThreads));
  result.waves = result.blocks / resident / device.cores;
  result.issued_macs = problem.useful_macs();
  result.dram_bytes = problem.least_bytes();
  return result;
}

constexpr const char* kTiles[] = {"element"};
constexpr DType kTypes[] = {DType::f16, DType::bf16, DType::f32, DType::f64};

}  // namespace
}  // namespace tconv::cuda

namespace tconv::host {

extern const Kernel gather_kernel;  // the table's name of it (cmake/families.cmake)
constinit const Kernel gather_kernel = {.name = "gather",
                                        .device = DeviceKind::cuda,
                                        .tiles = cuda::kTiles,
                                        .dtypes = cuda::kTypes,
                                        .declines = cuda::declines,
                                        .consider = cuda::consider,
                                        .prepare = cuda::prepare,
                                        .launch = cuda::launch_row,
                                        .prepack = cuda::prepack,
                                        .packed_strides = cuda::packed_strides,
                                        .predict = cuda::predict};

}  // namespace tconv::host
