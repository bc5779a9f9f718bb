// SPDX-License-Identifier: Apache-2.0
// compare.h: two tensors of one shape against each other, element by element: how many differ, by
// more than they may, and where first. What one pair of elements adds and how parts are joined is
// here, for the host (compare.cpp) and for CUDA (src/cuda/runtime/compare.cu).
#pragma once

#include <cstdint>
#include <limits>

#include "src/host/problem/dtype.h"
#include "src/host/problem/problem.h"

namespace tconv::host {

/// How far two right values of an element may be apart: a function of the magnitude that its
/// addends come to, |input * filter| + |bias| + |residual|.
struct Tolerance {
  double slope = 0, offset = 0;                           ///< slope*magnitude + offset
  double most = std::numeric_limits<double>::infinity();  ///< nowhere more
  /// From here on some order of the sum overflows: nothing bounds what comes out.
  double limit = std::numeric_limits<double>::infinity();
  /// The first value beyond the elements' type: infinity is as far away as this.
  double end = std::numeric_limits<double>::infinity();

  constexpr double allowed(double magnitude) const {
    const double distance = slope * magnitude + offset;
    return distance < most ? distance : most;
  }
};

struct CompareResult {
  int64_t differ = 0;     ///< elements of different value; NaN is NaN's equal, -0 is 0's
  int64_t wrong = 0;      ///< of these, farther apart than allowed, or only one is NaN
  int64_t one_nan = 0;    ///< of the wrong: only one is NaN
  int64_t unbounded = 0;  ///< of those that differ: they may overflow on the way
  int64_t first = -1, first_wrong = -1;  ///< numbers, in the layout's order; -1: none
  /// Of the element that is farthest apart in units of what is allowed there; where several are
  /// infinitely far, because nothing is, of the one that is farthest apart.
  double ratio = 0, distance = 0, allowed = 0;
  int64_t worst = -1;
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
constexpr CompareResult difference(double x, double y, double magnitude, const Tolerance& tolerance,
                                   int64_t i) {
  if (x == y || (x != x && y != y)) return {};
  CompareResult result;
  result.differ = 1, result.first = i;
  // A magnitude that is no number comes of nothing: then no distance is excused.
  if (magnitude >= tolerance.limit) {
    result.unbounded = 1;
    return result;
  }
  const bool one_nan = x != x || y != y;
  const auto within = [&](double value) {
    return value > tolerance.end ? tolerance.end : value < -tolerance.end ? -tolerance.end : value;
  };
  const double apart = within(x) < within(y) ? within(y) - within(x) : within(x) - within(y);
  const double shown = x < y ? y - x : x - y;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  result.allowed = tolerance.allowed(magnitude >= 0 ? magnitude : 0);
  // clang-tidy 16 takes an infinite constant for one of another type.
  // NOLINTNEXTLINE(bugprone-narrowing-conversions)
  result.distance = one_nan ? kInfinity : shown;
  const bool right = !one_nan && apart <= result.allowed;
  result.ratio = one_nan || !(result.allowed > 0) ? kInfinity : apart / result.allowed;
  result.worst = i;
  if (right) return result;
  result.wrong = 1, result.first_wrong = i;
  result.one_nan = one_nan ? 1 : 0;
  return result;
}

constexpr int64_t earlier(int64_t i, int64_t j) { return j < 0 || (i >= 0 && i < j) ? i : j; }

/// Any order and grouping gives the same.
constexpr CompareResult joined(const CompareResult& x, const CompareResult& y) {
  const bool as_far = y.ratio == x.ratio && y.distance == x.distance;
  const bool farther = y.ratio > x.ratio || (y.ratio == x.ratio && y.distance > x.distance) ||
                       (as_far && y.worst < x.worst);
  CompareResult result = y.worst >= 0 && (x.worst < 0 || farther) ? y : x;
  result.differ = x.differ + y.differ;
  result.wrong = x.wrong + y.wrong;
  result.one_nan = x.one_nan + y.one_nan;
  result.unbounded = x.unbounded + y.unbounded;
  result.first = earlier(x.first, y.first);
  result.first_wrong = earlier(x.first_wrong, y.first_wrong);
  return result;
}

/// Two tensors in one memory, and what may be between them.
struct Compared {
  const void* a = nullptr;
  const void* b = nullptr;
  Region region;  ///< of both
  /// The magnitudes of the elements' addends, densely, in the layout's order; null: all 0.
  const void* magnitudes = nullptr;
  DType magnitude_type = DType::f32;
  Tolerance tolerance;
};

/// All in host memory.
CompareResult compare_on_host(const Compared& what);

}  // namespace tconv::host
