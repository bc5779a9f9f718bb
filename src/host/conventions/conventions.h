// SPDX-License-Identifier: Apache-2.0
// conventions.h: TensorFlow's, PyTorch's and ONNX's arguments <-> ProblemDesc. Each convention
// checks its own rules, in its own argument names, before a Problem is made.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/host/problem/problem.h"

namespace tconv::host {

using Numbers = std::vector<int64_t>;

/// tf.nn.conv2d_transpose. See tconv_tensorflow_args.
struct TensorFlowArgs {
  Numbers input_shape, filter_shape;
  std::optional<Numbers> output_shape;
  Numbers strides;
  std::optional<Numbers> dilations;
  std::string padding = "SAME";  ///< or "VALID", "EXPLICIT"
  Numbers explicit_paddings;     ///< 4 (top, bottom, left, right) or 8
  std::string data_format = "NHWC";
  int64_t groups = 0;  ///< 0: not given
};

/// torch.nn.functional.conv_transpose2d. See tconv_pytorch_args.
struct PyTorchArgs {
  Numbers input_shape, weight_shape;
  std::optional<Numbers> stride, padding, output_padding, dilation;
  int64_t groups = 0;
  std::string memory_format = "contiguous";
};

/// ONNX ConvTranspose (opset 11+). See tconv_onnx_args.
struct OnnxArgs {
  Numbers x_shape, w_shape;
  std::optional<Numbers> strides, pads, output_padding, output_shape, dilations;
  std::string auto_pad = "NOTSET";
  int64_t group = 0;
};

/// Legal output sizes, inclusive, {H, W}.
struct OutputSizes {
  std::array<int64_t, 2> low{}, high{};
};

/// Each sets batch, channels, groups, axes, layout and filter order of `desc`, or throws
/// InvalidProblem in the convention's own names and leaves `desc` as it was.
void translate(const TensorFlowArgs& args, ProblemDesc& desc);
void translate(const PyTorchArgs& args, ProblemDesc& desc);
void translate(const OnnxArgs& args, ProblemDesc& desc);

/// The legal output sizes; output_shape and output_padding are ignored: PyTorch's and ONNX's are
/// those that some legal output_padding gives, ONNX's SAME_* is in * stride alone.
OutputSizes output_sizes(const TensorFlowArgs& args);
OutputSizes output_sizes(const PyTorchArgs& args);
OutputSizes output_sizes(const OnnxArgs& args);

/// The call that translates into the channels, groups and axes of `problem`; nothing, and a
/// sentence in `why`, where the convention has none. Layout: that of `problem`, but ONNX knows NCHW
/// only. The filters' memory order is the convention's.
std::optional<TensorFlowArgs> as_tensorflow(const Problem& problem, std::string* why = nullptr);
std::optional<PyTorchArgs> as_pytorch(const Problem& problem, std::string* why = nullptr);
std::optional<OnnxArgs> as_onnx(const Problem& problem, std::string* why = nullptr);

/// The problem as each convention says it (or why it cannot), and its window classes.
std::string describe(const Problem& problem, bool json);

}  // namespace tconv::host
