// SPDX-License-Identifier: Apache-2.0
// convention_options.h: the options of a convention -> that convention's arguments.
#pragma once

#include <tconv/tconv_c.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/cli/arguments.h"

namespace tconv::cli {

/// Dimensions that a file may lack because its convention does: then they are 1.
struct FileDimensions {
  bool batch = true, height = true;
};

/// "hwoi": the dimensions of the filters, the outermost first.
const char* letters_of(tconv_filter_order order);

/// The geometry as TensorFlow, PyTorch or ONNX says it. Refuses options of another convention.
class ConventionOptions {
 public:
  ConventionOptions(const ProblemArgs& args, std::vector<int64_t> input_shape,
                    std::vector<int64_t> filter_shape);

  /// Sets batch, channels, groups, axes, layout and filter order.
  void translate(tconv_problem_desc& desc) const;
  /// The legal output sizes, whatever output shape or padding was typed.
  tconv_output_sizes output_sizes() const;

  /// How files hold the tensors: PyTorch's are [n,c,h,w] and [ci,co,kh,kw] in either memory format,
  /// unless --filter-order says how files and memory hold the filters.
  tconv_layout file_layout() const;
  tconv_filter_order file_filter_order() const;
  /// Which dimensions files have besides width and channels: those of the rank that was given.
  FileDimensions file_dimensions() const;
  /// The output_padding of H and W, where the output's size depends on it.
  std::optional<std::array<int64_t, 2>> output_padding() const;

 private:
  enum Convention { kTensorFlow, kPyTorch, kOnnx };
  using Numbers = std::optional<std::vector<int64_t>>;

  std::vector<int64_t> in_conventions_order(std::vector<int64_t> shape) const;
  void refuse_strangers(const ProblemArgs& args) const;
  void parse_padding(const std::string& value);
  Numbers one_an_axis(Numbers numbers) const;
  tconv_tensorflow_args tensorflow() const;
  tconv_pytorch_args pytorch() const;
  tconv_onnx_args onnx() const;

  Convention convention_ = kTensorFlow;
  std::vector<int64_t> input_shape_, filter_shape_;
  Numbers strides_, dilations_, padding_, output_padding_, output_shape_, output_size_, pads_;
  std::string padding_mode_ = "SAME", auto_pad_ = "NOTSET";
  std::string data_format_, memory_format_ = "contiguous";
  int64_t groups_ = 0;
  std::optional<tconv_filter_order> filter_order_;
};

}  // namespace tconv::cli
