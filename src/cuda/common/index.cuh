// SPDX-License-Identifier: Apache-2.0
// index.cuh: sizes and element offsets of one problem in a kernel's index type. Plain C++, tested
// on the CPU; kernels only call it.
#pragma once

#include <cstdint>
#include <limits>

#include "src/host/problem/problem.h"

namespace tconv::cuda {

using host::BasicAxis;
using host::kNoInput;

/// The coordinates of an output element.
template <typename Index>
struct Position {
  Index n, p, q, k;
};

/// Element strides of a 4-D tensor. 0 for an extent of 1, whose stride may be any number.
template <typename Index>
struct Steps {
  Index n, h, w, c;
  constexpr Index offset(Index in, Index ih, Index iw, Index ic) const {
    return in * n + ih * h + iw * w + ic * c;
  }
};

template <typename Index>
struct FilterSteps {
  Index r, s, k, c;
  constexpr Index offset(Index ir, Index is, Index ik, Index ic) const {
    return ir * r + is * s + ik * k + ic * c;
  }
};

/// A problem's sizes and strides, as a kernel gets them: by value.
template <typename Index>
struct Shape {
  Index outputs, out_c, in_c_per_group, out_c_per_group;
  BasicAxis<Index> h, w;
  Steps<Index> input, residual, output;
  FilterSteps<Index> filters;
  bool channels_last;
};

template <typename Index>
constexpr BasicAxis<Index> narrowed(const host::Axis& axis) {
  const auto to_index = [](int64_t x) { return static_cast<Index>(x); };
  return {.in = to_index(axis.in),
          .kernel = to_index(axis.kernel),
          .stride = to_index(axis.stride),
          .dilation = to_index(axis.dilation),
          .pad_begin = to_index(axis.pad_begin),
          .out = to_index(axis.out)};
}

template <typename Index>
constexpr Index step_of(int64_t extent, int64_t stride) {
  return extent > 1 ? static_cast<Index>(stride) : Index{0};
}

template <typename Index>
constexpr Steps<Index> make_steps(const host::Extents& e, const host::Strides& strides) {
  if (e.count() == 0) return {};  // nobody has checked the strides of an empty tensor
  return {.n = step_of<Index>(e.n, strides.n),
          .h = step_of<Index>(e.h, strides.h),
          .w = step_of<Index>(e.w, strides.w),
          .c = step_of<Index>(e.c, strides.c)};
}

template <typename Index>
FilterSteps<Index> make_filter_steps(const host::Problem& problem) {
  if (problem.filter_bytes() == 0) return {};
  const host::FilterStrides f = problem.filter_strides();
  const host::ProblemDesc& d = problem.desc();
  return {.r = step_of<Index>(d.h.kernel, f.r),
          .s = step_of<Index>(d.w.kernel, f.s),
          .k = step_of<Index>(problem.out_c_per_group(), f.k),
          .c = step_of<Index>(d.in_c, f.c)};
}

template <typename Index>
Shape<Index> make_shape(const host::Problem& problem) {
  const host::ProblemDesc& d = problem.desc();
  const host::Extents outputs = problem.output_extents();
  return {.outputs = static_cast<Index>(outputs.count()),
          .out_c = static_cast<Index>(d.out_c),
          .in_c_per_group = static_cast<Index>(problem.in_c_per_group()),
          .out_c_per_group = static_cast<Index>(problem.out_c_per_group()),
          .h = narrowed<Index>(d.h),
          .w = narrowed<Index>(d.w),
          .input = make_steps<Index>(problem.input_extents(), d.input_strides),
          .residual = make_steps<Index>(outputs, d.residual_strides),
          .output = make_steps<Index>(outputs, d.output_strides),
          .filters = make_filter_steps<Index>(problem),
          .channels_last = d.layout == host::Layout::nhwc};
}

/// Output element `i`, counted in the order of the layout: neighbours in i are neighbours in
/// memory.
template <typename Index>
constexpr Position<Index> position_of(const Shape<Index>& d, Index i) {
  if (d.channels_last) {
    const Index pixel = i / d.out_c, row = pixel / d.w.out;
    return {.n = row / d.h.out, .p = row % d.h.out, .q = pixel % d.w.out, .k = i % d.out_c};
  }
  const Index row = i / d.w.out, plane = row / d.h.out;
  return {.n = plane / d.out_c, .p = row % d.h.out, .q = i % d.w.out, .k = plane % d.out_c};
}

/// True if Index holds every value of input_index() on this axis, steps between included.
template <typename Index>
constexpr bool axis_fits(const host::Axis& axis) {
  constexpr int64_t kLow = std::numeric_limits<Index>::min();
  constexpr int64_t kHigh = std::numeric_limits<Index>::max();
  const int64_t last_tap = axis.keff() - 1;  // r * dilation of the last tap
  return axis.in <= kHigh && axis.kernel <= kHigh && axis.stride <= kHigh &&
         axis.dilation <= kHigh && axis.out <= kHigh && axis.pad_begin >= kLow &&
         axis.pad_begin <= kHigh && last_tap <= kHigh && axis.out - 1 + axis.pad_begin <= kHigh &&
         axis.pad_begin - last_tap >= kLow;
}

/// True if Index holds every number that a kernel forms from make_shape<Index>(problem): sizes,
/// tap positions, element offsets, and one past the last output rounded up to `block` threads.
template <typename Index>
bool fits(const host::Problem& problem, int64_t block) {
  constexpr int64_t kHigh = std::numeric_limits<Index>::max();
  if (problem.empty_output()) return true;  // nothing is launched
  const host::ProblemDesc& d = problem.desc();
  const auto elements = [](int64_t bytes, host::DType type) {
    return bytes / static_cast<int64_t>(host::size_of(type));
  };
  const int64_t outputs = problem.output_extents().count();
  return outputs <= kHigh && host::ceil_div(outputs, block) * block - 1 <= kHigh &&
         d.batch <= kHigh && d.in_c <= kHigh && d.out_c <= kHigh && axis_fits<Index>(d.h) &&
         axis_fits<Index>(d.w) && elements(problem.input_bytes(), d.dtype) <= kHigh &&
         elements(problem.filter_bytes(), d.dtype) <= kHigh &&
         elements(problem.residual_bytes(), d.output_dtype) <= kHigh &&
         elements(problem.output_bytes(), d.output_dtype) <= kHigh;
}

}  // namespace tconv::cuda
