// SPDX-License-Identifier: Apache-2.0
// fake_rows.h: rows for CUDA whose kernels are functions of the host, for tests over a FakeGpu.
#pragma once

#include <memory>
#include <string>

#include "src/host/cpu/reference.h"
#include "src/host/device/gpu.h"
#include "src/host/plan/kernel_table.h"

namespace tconv::test::rows {

using namespace tconv::host;

/// What the "kernel" of a fake row is launched with.
struct Arguments {
  const Problem* problem;
  Tensors tensors;
};

/// A stand-in for a kernel's address, and the FakeGpu's on_launch that computes the right answer.
inline void kernel() {}
inline void compute(const Launch& launch) {
  const auto& arguments = *static_cast<const Arguments*>(launch.arguments[0]);
  reference_conv2d_transpose(*arguments.problem, arguments.tensors, 1);
}

inline std::string declines(const Problem&, const Options&, const DeviceFacts&) { return ""; }
inline Considered consider(const Problem& problem, int, const Options&, const DeviceFacts& device) {
  return {.estimate_us = 1 + problem.useful_macs() / device.f32_macs_per_us};
}
/// A workspace that grows with the input, like that of a row that repacks it.
inline std::shared_ptr<const KernelState> prepare(const Problem& problem, int,
                                                  const Options& options,
                                                  const DeviceFacts& device) {
  if (device.is_here()) gpu().load(reinterpret_cast<const void*>(kernel), 0, kAnyCarveout);
  auto state = std::make_shared<KernelState>();
  const Extents in = problem.input_extents();
  state->workspace_bytes = static_cast<std::size_t>((in.count() * 4 + 255) / 256 * 256);
  if (options.prepacked_filters) {
    state->packed_filter_bytes = static_cast<std::size_t>(problem.filter_bytes());
  }
  return state;
}
inline void launch(const Problem& problem, const KernelState&, const Tensors& tensors,
                   Stream stream) {
  Arguments arguments{&problem, tensors};
  void* pointers[] = {&arguments};
  gpu().launch({.kernel = reinterpret_cast<const void*>(kernel),
                .grid = {7, 1, 1},
                .block = {128, 1, 1},
                .arguments = pointers,
                .stream = stream,
                .name = "fake"});
}
inline void prepack(const Problem&, const KernelState& state, const void* filters, void* packed,
                    Stream stream) {
  gpu().copy(packed, filters, state.packed_filter_bytes, Copy::on_device, stream);
}

inline FilterStrides packed_strides(const Problem& problem) { return problem.filter_strides(); }

inline constexpr const char* kTiles[] = {"element"};
inline constexpr DType kTypes[] = {DType::f32};
inline constexpr Kernel kFake = {.name = "fake",
                                 .device = DeviceKind::cuda,
                                 .tiles = kTiles,
                                 .dtypes = kTypes,
                                 .declines = declines,
                                 .consider = consider,
                                 .prepare = prepare,
                                 .launch = launch,
                                 .prepack = prepack,
                                 .packed_strides = packed_strides};

}  // namespace tconv::test::rows
