// SPDX-License-Identifier: Apache-2.0
// compare.h: two tensors of one shape against each other, element by element: how many differ, by
// how much, and where first. What one pair of elements adds and how parts are joined is here, for
// the host (compare.cpp) and for CUDA (src/cuda/runtime/compare.cu).
#pragma once

#include <cstdint>
#include <limits>

#include "src/host/problem/dtype.h"
#include "src/host/problem/problem.h"

namespace tconv::host {

struct CompareResult {
  int64_t differ = 0;  ///< elements of different value; NaN is NaN's equal, -0 is 0's
  double worst = 0;    ///< the largest distance of two values; infinite where one alone is NaN
  int64_t first = -1;  ///< number of the first that differs, in the layout's order; -1: none
};

/// The elements of a tensor in memory; bytes between them are not looked at.
struct Region {
  DType type = DType::f32;
  Layout layout = Layout::nhwc;
  Extents extents;
  Strides strides;

  constexpr int64_t count() const { return extents.count(); }
  /// Where element number `i` of the layout's order is, in elements. No stride of an extent of 1
  /// counts.
  constexpr int64_t offset(int64_t i) const {
    const Extents& e = extents;
    if (layout == Layout::nhwc) {
      const int64_t pixel = i / e.c, row = pixel / e.w;
      return strides.offset(row / e.h, row % e.h, pixel % e.w, i % e.c);
    }
    const int64_t row = i / e.w, plane = row / e.h;
    return strides.offset(plane / e.c, row % e.h, i % e.w, plane % e.c);
  }
  /// True if offset(i) is i.
  constexpr bool is_dense() const {
    const Strides dense = dense_strides(layout, extents);
    return (extents.n <= 1 || strides.n == dense.n) && (extents.h <= 1 || strides.h == dense.h) &&
           (extents.w <= 1 || strides.w == dense.w) && (extents.c <= 1 || strides.c == dense.c);
  }
  /// Bytes from the first element to the end of the last.
  constexpr int64_t bytes() const {
    return count() == 0 ? 0 : (offset(count() - 1) + 1) * static_cast<int64_t>(size_of(type));
  }
};

/// `count` elements side by side.
constexpr Region dense_region(DType type, int64_t count) {
  return {.type = type, .extents = {1, 1, 1, count}, .strides = {count, count, count, 1}};
}

/// What a pair of elements, number `i`, adds.
constexpr CompareResult difference(double x, double y, int64_t i) {
  if (x == y || (x != x && y != y)) return {};
  const double distance = x < y ? y - x : x - y;
  // Not a number: one of them is, or there is no difference to infinity.
  return {1, distance == distance ? distance : std::numeric_limits<double>::infinity(), i};
}

/// Any order and grouping gives the same.
constexpr CompareResult joined(const CompareResult& x, const CompareResult& y) {
  const bool from_x = x.first >= 0 && (y.first < 0 || x.first < y.first);
  return {x.differ + y.differ, x.worst < y.worst ? y.worst : x.worst, from_x ? x.first : y.first};
}

/// Both in host memory. A null `b` is all zeros: then `worst` is the largest magnitude in `a`.
CompareResult compare_on_host(const void* a, const void* b, const Region& region);

}  // namespace tconv::host
