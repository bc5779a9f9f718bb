// SPDX-License-Identifier: Apache-2.0
// to_c.h: the plain structs of types.h as tconv_c.h has them. Part of tconv.h.
#ifndef TCONV_TO_C_H_
#define TCONV_TO_C_H_

#include <cstdint>
#include <optional>

#include "tconv_c_conventions.h"
#include "tconv_c_problem.h"
#include "types.h"

namespace tconv::detail {

template <typename Struct>
Struct sized() {
  Struct s{};
  s.struct_size = sizeof(Struct);
  return s;
}

/// A list that is there, even if it is empty, has a pointer.
struct List {
  const int64_t* data = nullptr;
  int32_t count = 0;
};
inline List list(const Numbers& numbers) {
  static constexpr int64_t kNothing = 0;
  return {numbers.empty() ? &kNothing : numbers.data(), static_cast<int32_t>(numbers.size())};
}
inline List list(const std::optional<Numbers>& numbers) {
  return numbers ? list(*numbers) : List{};
}

inline tconv_strides to_c(const Strides& s) { return {s.n, s.h, s.w, s.c}; }
inline tconv_axis to_c(const Axis& a) {
  return {a.in, a.kernel, a.stride, a.dilation, a.pad_begin, a.out};
}

inline tconv_problem_desc to_c(const Details& d) {
  auto c = sized<tconv_problem_desc>();
  c.name = d.name.c_str();
  c.dtype = static_cast<int32_t>(d.dtype);
  c.output_dtype = static_cast<int32_t>(d.output_dtype);
  c.has_bias = d.has_bias;
  c.bias_dtype = static_cast<int32_t>(d.bias_dtype);
  c.has_residual = d.has_residual;
  c.activation = static_cast<int32_t>(d.activation);
  c.activation_a = d.activation_a;
  c.activation_b = d.activation_b;
  c.input_strides = to_c(d.input_strides);
  c.output_strides = to_c(d.output_strides);
  c.residual_strides = to_c(d.residual_strides);
  c.alignment = d.alignment;
  return c;
}

inline tconv_status fill(const ProblemDesc& d, tconv_problem_desc& c) {
  c.batch = d.batch, c.in_c = d.in_c, c.out_c = d.out_c, c.groups = d.groups;
  c.h = to_c(d.h), c.w = to_c(d.w);
  c.layout = static_cast<int32_t>(d.layout);
  c.filter_order = static_cast<int32_t>(d.filter_order);
  return TCONV_OK;
}

inline tconv_tensorflow_args to_args(const TensorFlowArgs& a) {
  const List input = list(a.input_shape), filter = list(a.filter_shape);
  const List output = list(a.output_shape), strides = list(a.strides);
  const List dilations = list(a.dilations), pads = list(a.explicit_paddings);
  return {sizeof(tconv_tensorflow_args),
          input.data,
          input.count,
          filter.data,
          filter.count,
          output.data,
          output.count,
          strides.data,
          strides.count,
          dilations.data,
          dilations.count,
          a.padding.c_str(),
          pads.data,
          pads.count,
          a.data_format.c_str(),
          a.groups};
}

inline tconv_pytorch_args to_args(const PyTorchArgs& a) {
  const List input = list(a.input_shape), weight = list(a.weight_shape);
  const List stride = list(a.stride), padding = list(a.padding);
  const List output_padding = list(a.output_padding), dilation = list(a.dilation);
  const List output_size = list(a.output_size);
  return {sizeof(tconv_pytorch_args),
          input.data,
          input.count,
          weight.data,
          weight.count,
          stride.data,
          stride.count,
          padding.data,
          padding.count,
          output_padding.data,
          output_padding.count,
          dilation.data,
          dilation.count,
          a.groups,
          a.memory_format.c_str(),
          output_size.data,
          output_size.count};
}

inline tconv_onnx_args to_args(const OnnxArgs& a) {
  const List x = list(a.x_shape), w = list(a.w_shape), strides = list(a.strides);
  const List pads = list(a.pads), output_padding = list(a.output_padding);
  const List output = list(a.output_shape), dilations = list(a.dilations);
  return {sizeof(tconv_onnx_args),
          x.data,
          x.count,
          w.data,
          w.count,
          strides.data,
          strides.count,
          pads.data,
          pads.count,
          output_padding.data,
          output_padding.count,
          output.data,
          output.count,
          dilations.data,
          dilations.count,
          a.auto_pad.c_str(),
          a.group};
}

inline tconv_status output_shape(const TensorFlowArgs& a, int64_t (&shape)[4], int32_t& rank) {
  const tconv_tensorflow_args args = to_args(a);
  return tconv_tensorflow_output_shape(&args, shape, &rank);
}
inline tconv_status output_shape(const PyTorchArgs& a, int64_t (&shape)[4], int32_t& rank) {
  const tconv_pytorch_args args = to_args(a);
  return tconv_pytorch_output_shape(&args, shape, &rank);
}
inline tconv_status output_shape(const OnnxArgs& a, int64_t (&shape)[4], int32_t& rank) {
  const tconv_onnx_args args = to_args(a);
  return tconv_onnx_output_shape(&args, shape, &rank);
}

inline tconv_status fill(const TensorFlowArgs& a, tconv_problem_desc& c) {
  const tconv_tensorflow_args args = to_args(a);
  return tconv_problem_desc_from_tensorflow(&args, &c);
}
inline tconv_status fill(const PyTorchArgs& a, tconv_problem_desc& c) {
  const tconv_pytorch_args args = to_args(a);
  return tconv_problem_desc_from_pytorch(&args, &c);
}
inline tconv_status fill(const OnnxArgs& a, tconv_problem_desc& c) {
  const tconv_onnx_args args = to_args(a);
  return tconv_problem_desc_from_onnx(&args, &c);
}

inline tconv_status output_sizes(const TensorFlowArgs& a, tconv_output_sizes& sizes) {
  const tconv_tensorflow_args args = to_args(a);
  return tconv_tensorflow_output_sizes(&args, &sizes);
}
inline tconv_status output_sizes(const PyTorchArgs& a, tconv_output_sizes& sizes) {
  const tconv_pytorch_args args = to_args(a);
  return tconv_pytorch_output_sizes(&args, &sizes);
}
inline tconv_status output_sizes(const OnnxArgs& a, tconv_output_sizes& sizes) {
  const tconv_onnx_args args = to_args(a);
  return tconv_onnx_output_sizes(&args, &sizes);
}

}  // namespace tconv::detail

#endif  // TCONV_TO_C_H_
