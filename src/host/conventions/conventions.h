// SPDX-License-Identifier: Apache-2.0
// conventions.h: TensorFlow's, PyTorch's and ONNX's arguments <-> ProblemDesc. Each convention
// checks its own rules, in its own argument names, before a Problem is made.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "src/host/problem/problem.h"
#include "tconv/types.h"

namespace tconv::host {

using tconv::Numbers;
using tconv::OnnxArgs;
using tconv::PyTorchArgs;
using tconv::TensorFlowArgs;

/// Legal output sizes, inclusive, {H, W}.
struct OutputSizes {
  std::array<int64_t, 2> low{}, high{};
};

/// What a convention says with one spatial axis has a height of 1 (kernel, stride, output 1), and
/// what it says without a batch has a batch of 1.
///
/// Each sets batch, channels, groups, axes, layout and filter order of `desc`, or throws
/// InvalidProblem in the convention's own names and leaves `desc` as it was. The details of `args`
/// are not looked at: those of `desc` stand.
void translate(const TensorFlowArgs& args, ProblemDesc& desc);
void translate(const PyTorchArgs& args, ProblemDesc& desc);
void translate(const OnnxArgs& args, ProblemDesc& desc);

/// The output's shape with the original's rank and in its order.
Numbers output_shape(const TensorFlowArgs& args);
Numbers output_shape(const PyTorchArgs& args);
Numbers output_shape(const OnnxArgs& args);

/// The legal output sizes; output_shape, output_size and output_padding are ignored: PyTorch's and
/// ONNX's are those that some legal output_padding gives, ONNX's SAME_* is in * stride alone.
OutputSizes output_sizes(const TensorFlowArgs& args);
OutputSizes output_sizes(const PyTorchArgs& args);
OutputSizes output_sizes(const OnnxArgs& args);

/// The call that translates into the channels, groups and axes of `problem`; nothing, and a
/// sentence in `why`, where the convention has none. Layout: that of `problem`, but ONNX knows NCHW
/// only. The filters' memory order is the convention's.
std::optional<TensorFlowArgs> as_tensorflow(const Problem& problem, std::string* why = nullptr);
std::optional<PyTorchArgs> as_pytorch(const Problem& problem, std::string* why = nullptr);
std::optional<OnnxArgs> as_onnx(const Problem& problem, std::string* why = nullptr);

}  // namespace tconv::host
