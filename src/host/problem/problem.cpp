// SPDX-License-Identifier: Apache-2.0
// problem.cpp: the one constructor that validates everything.
#include "src/host/problem/problem.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>

#include "src/host/problem/checked_math.h"
#include "src/host/problem/errors.h"

namespace tconv::host {
namespace {

// Every size stays below this, so that sums of three of them and differences of sums (output + pad
// - tap * dilation) fit int64 without a check in any index formula.
constexpr int64_t kLargestSize = int64_t{1} << 61;

void check_range(const std::string& field, int64_t value, int64_t low) {
  if (value < low || value > kLargestSize) {
    refuse(field, value, "in [" + std::to_string(low) + ", 2^61]");
  }
}

void check_axis(const std::string& name, const Axis& axis) {
  check_range(name + ".in", axis.in, 0);
  check_range(name + ".kernel", axis.kernel, 1);
  check_range(name + ".stride", axis.stride, 1);
  check_range(name + ".dilation", axis.dilation, 1);
  check_range(name + ".pad_begin", axis.pad_begin, -kLargestSize);
  check_range(name + ".out", axis.out, 0);
  const Checked extent(name + ": (in - 1) * stride + (kernel - 1) * dilation + 1");
  const int64_t keff = extent.add(extent.mul(axis.kernel - 1, axis.dilation), 1);
  const int64_t full = extent.add(extent.mul(axis.in - 1, axis.stride), keff);
  check_range(name + ": (kernel - 1) * dilation + 1", keff, 1);
  check_range(name + ": (in - 1) * stride + (kernel - 1) * dilation + 1", full, -kLargestSize);
}

void check_channels(const ProblemDesc& d) {
  check_range("batch", d.batch, 0);
  check_range("in_c", d.in_c, 0);
  check_range("out_c", d.out_c, 0);
  check_range("groups", d.groups, 1);
  if (d.in_c % d.groups != 0) {
    refuse("in_c", d.in_c, "a multiple of groups = " + std::to_string(d.groups));
  }
  if (d.out_c % d.groups != 0) {
    refuse("out_c", d.out_c, "a multiple of groups = " + std::to_string(d.groups));
  }
}

template <typename Enum>
void check_enum(const std::string& field, Enum value, Enum first, Enum last) {
  if (value < first || value > last) {
    refuse(field, static_cast<int>(value),
           "in [" + std::to_string(static_cast<int>(first)) + ", " +
               std::to_string(static_cast<int>(last)) + "]");
  }
}

void check_types(const ProblemDesc& d) {
  check_enum("dtype", d.dtype, DType::f16, DType::f64);
  check_enum("output_dtype", d.output_dtype, DType::f16, DType::f64);
  check_enum("bias_dtype", d.bias_dtype, DType::f16, DType::f64);
  check_enum("layout", d.layout, Layout::nhwc, Layout::nchw);
  check_enum("filter_order", d.filter_order, FilterOrder::hwoi, FilterOrder::ohwi);
  check_enum("activation", d.activation, Activation::identity, Activation::silu);
  if ((d.output_dtype == DType::f64) != (d.dtype == DType::f64)) {
    refuse("output_dtype", name_of(d.output_dtype),
           std::string(d.dtype == DType::f64 ? "f64" : "f16, bf16 or f32") + " where dtype is " +
               name_of(d.dtype));
  }
  if (d.bias_dtype != d.dtype && d.bias_dtype != DType::f32) {
    refuse("bias_dtype", name_of(d.bias_dtype), std::string(name_of(d.dtype)) + " or f32");
  }
}

void check_activation(const ProblemDesc& d) {
  // 0 is what the numbers are where nobody gives them.
  if (d.activation == Activation::leaky_relu &&
      (!std::isfinite(d.activation_a) || d.activation_a == 0)) {
    refuse("activation_a", std::to_string(d.activation_a),
           "finite and not 0, the slope of leaky_relu (with 0 it is relu)");
  }
  if (d.activation == Activation::clamp && !(d.activation_a < d.activation_b)) {
    refuse("activation_a", std::to_string(d.activation_a),
           "less than activation_b = " + std::to_string(d.activation_b) + ", the ends of clamp");
  }
}

void check_alignment(const ProblemDesc& d) {
  const auto smallest = static_cast<int32_t>(std::max(size_of(d.dtype), size_of(d.output_dtype)));
  if (d.alignment < smallest || d.alignment > 256 ||
      !std::has_single_bit(static_cast<uint32_t>(d.alignment))) {
    refuse("alignment", d.alignment, "a power of two in [" + std::to_string(smallest) + ", 256]");
  }
}

/// What a tensor is used for. What is only read may have elements that share an address.
enum class Access { read, written };

/// Checks the strides of tensor `name`, or fills in dense ones; returns its bytes to the last
/// element.
int64_t check_tensor(const std::string& name, Layout layout, const Extents& e, DType type,
                     Access access, Strides& strides) {
  const Checked size(name + " size");
  const int64_t elements = size.mul(size.mul(e.n, e.h), size.mul(e.w, e.c));
  size.mul(size.mul(std::max<int64_t>(e.n, 1), std::max<int64_t>(e.h, 1)),
           size.mul(std::max<int64_t>(e.w, 1), std::max<int64_t>(e.c, 1)));  // dense strides, too
  if (!strides.given()) strides = dense_strides(layout, e);
  struct Dimension {
    const char* name;
    int64_t extent, stride;
  };
  const bool nhwc = layout == Layout::nhwc;
  const std::array<Dimension, 4> inner_first = {
      nhwc ? Dimension{"c", e.c, strides.c} : Dimension{"w", e.w, strides.w},
      nhwc ? Dimension{"w", e.w, strides.w} : Dimension{"h", e.h, strides.h},
      nhwc ? Dimension{"h", e.h, strides.h} : Dimension{"c", e.c, strides.c},
      Dimension{"n", e.n, strides.n}};
  if (elements == 0) return 0;
  if (inner_first[0].stride != 1) {
    refuse(name + "_strides." + inner_first[0].name, inner_first[0].stride,
           "1, the innermost of " + std::string(name_of(layout)));
  }
  int64_t span = 1;  // elements from the first to past the last of the dimensions seen so far
  for (const Dimension& dimension : inner_first) {
    if (dimension.extent > 1 && access == Access::written && dimension.stride < span) {
      refuse(name + "_strides." + dimension.name, dimension.stride,
             "at least " + std::to_string(span) + ", so that no two elements share an address");
    }
    if (dimension.extent > 1 && dimension.stride < 0) {
      refuse(name + "_strides." + dimension.name, dimension.stride, "at least 0");
    }
    span =
        size.add(span, size.mul(dimension.extent - 1, dimension.extent > 1 ? dimension.stride : 0));
  }
  return size.mul(span, static_cast<int64_t>(size_of(type)));
}

FilterStrides make_filter_strides(const ProblemDesc& d) {
  const int64_t co = d.out_c / d.groups, ci = d.in_c, kh = d.h.kernel, kw = d.w.kernel;
  switch (d.filter_order) {
    case FilterOrder::ihwo: return {.r = kw * co, .s = co, .k = 1, .c = kh * kw * co};
    case FilterOrder::iohw: return {.r = kw, .s = 1, .k = kh * kw, .c = co * kh * kw};
    case FilterOrder::ohwi: return {.r = kw * ci, .s = ci, .k = kh * kw * ci, .c = 1};
    case FilterOrder::hwoi: break;
  }
  return {.r = kw * co * ci, .s = co * ci, .k = ci, .c = 1};
}

/// Products that can meet in one output of this axis.
int64_t most_taps(const Axis& axis) {
  const int64_t tap_step = axis.stride / std::gcd(axis.stride, axis.dilation);
  return std::min(axis.in, ceil_div(axis.kernel, tap_step));
}

}  // namespace

const char* name_of(Layout layout) { return layout == Layout::nchw ? "nchw" : "nhwc"; }

const char* name_of(FilterOrder order) {
  constexpr const char* names[] = {"?", "hwoi", "ihwo", "iohw", "ohwi"};
  return names[static_cast<int>(order)];
}

const char* name_of(Activation activation) {
  constexpr const char* names[] = {"identity", "relu", "leaky_relu", "prelu",     "clamp",
                                   "sigmoid",  "tanh", "gelu",       "gelu_tanh", "silu"};
  return names[static_cast<int>(activation)];
}

double useful_pairs(const Axis& axis) {
  // p = steps*a + others*b - pad: walk the shorter of inputs and taps, count the other in closed
  // form.
  const bool walk_taps = axis.kernel <= axis.in;
  const int64_t steps = walk_taps ? axis.kernel : axis.in;
  const int64_t others = walk_taps ? axis.in : axis.kernel;
  const int64_t a = walk_taps ? axis.dilation : axis.stride;
  const int64_t b = walk_taps ? axis.stride : axis.dilation;
  if (steps > int64_t{1} << 24) return static_cast<double>(steps) * static_cast<double>(others);
  double pairs = 0;
  for (int64_t i = 0; i < steps; ++i) {
    const int64_t first = std::max<int64_t>(0, ceil_div(axis.pad_begin - i * a, b));
    const int64_t last = std::min(others - 1, floor_div(axis.out - 1 + axis.pad_begin - i * a, b));
    if (last >= first) pairs += static_cast<double>(last - first + 1);
  }
  return pairs;
}

Problem::Problem(ProblemDesc desc) : desc_(std::move(desc)) {
  ProblemDesc& d = desc_;
  if (d.groups == 0) d.groups = 1;
  if (d.dtype == DType::same) d.dtype = DType::f32;
  if (d.output_dtype == DType::same) d.output_dtype = d.dtype;
  if (d.bias_dtype == DType::same) d.bias_dtype = d.dtype;
  check_types(d);
  check_axis("h", d.h);
  check_axis("w", d.w);
  check_channels(d);
  check_activation(d);
  check_alignment(d);
  input_bytes_ =
      check_tensor("input", d.layout, input_extents(), d.dtype, Access::read, d.input_strides);
  output_bytes_ = check_tensor("output", d.layout, output_extents(), d.output_dtype,
                               Access::written, d.output_strides);
  if (!d.residual_strides.given()) d.residual_strides = d.output_strides;
  const int64_t residual_bytes = check_tensor("residual", d.layout, output_extents(),
                                              d.output_dtype, Access::read, d.residual_strides);
  residual_bytes_ = d.has_residual ? residual_bytes : 0;
  const Checked size("filter size");
  const int64_t taps = size.mul(d.h.kernel, d.w.kernel);
  // Both with empty channels and without: the strides must fit, too.
  size.mul(taps, size.mul(std::max<int64_t>(d.out_c, 1), std::max<int64_t>(d.in_c, 1)));
  filter_bytes_ = size.mul(size.mul(taps, size.mul(d.out_c / d.groups, d.in_c)),
                           static_cast<int64_t>(size_of(d.dtype)));
  filter_strides_ = make_filter_strides(d);

  // What does not matter is set to its default, so that equal problems have equal keys.
  if (!d.has_bias) d.bias_dtype = d.dtype;
  if (!d.has_residual) d.residual_strides = d.output_strides;
  const bool one_number = d.activation == Activation::leaky_relu;
  if (!one_number && d.activation != Activation::clamp) d.activation_a = 0;
  if (d.activation != Activation::clamp) d.activation_b = 0;
  key_ = make_key(d);
}

int64_t Problem::bias_bytes() const {
  return desc_.has_bias ? desc_.out_c * static_cast<int64_t>(size_of(desc_.bias_dtype)) : 0;
}

int64_t Problem::slopes_bytes() const {
  return desc_.activation == Activation::prelu
             ? desc_.out_c * static_cast<int64_t>(size_of(slopes_dtype()))
             : 0;
}

int64_t Problem::longest_sum() const {
  return most_taps(desc_.h) * most_taps(desc_.w) * in_c_per_group();
}

double Problem::useful_macs() const {
  const double channels = static_cast<double>(in_c_per_group()) * static_cast<double>(desc_.out_c);
  if (channels == 0 || desc_.batch == 0 || empty_output()) return 0;
  return static_cast<double>(desc_.batch) * channels * useful_pairs(desc_.h) *
         useful_pairs(desc_.w);
}

double Problem::least_bytes() const {
  // Of an expanded tensor no more than its span, of a slice no more than its elements.
  const auto bytes = [](const Extents& e, DType type, int64_t span) {
    return std::min(static_cast<double>(e.count()) * static_cast<double>(size_of(type)),
                    static_cast<double>(span));
  };
  return bytes(input_extents(), desc_.dtype, input_bytes_) + static_cast<double>(filter_bytes_) +
         static_cast<double>(bias_bytes() + slopes_bytes()) +
         bytes(output_extents(), desc_.output_dtype, output_bytes_) +
         bytes(output_extents(), desc_.output_dtype, residual_bytes_);
}

}  // namespace tconv::host
