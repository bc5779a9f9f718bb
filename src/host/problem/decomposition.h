// SPDX-License-Identifier: Apache-2.0
// decomposition.h: a transposed convolution as a handful of dense matrix products, per axis.
//
// Phase r = p mod stride of an output p = q*stride + r decides which taps can reach it. With
// g = gcd(stride, dilation), s' = stride/g, d' = dilation/g, a phase meets taps only if g divides
// r + pad_begin; they are  k0(r) + s'*t,  t = 0 .. T(r)-1, and tap t reads input  q + shift(r) -
// d'*t. Phases with equal (shift, T) read identical input windows: one window class, one dense
// product with their columns side by side. At dilation 1 there are at most three classes, whatever
// the stride (one is the class without taps); in general the number is bounded by the kernel, never
// by the stride: no list here has an entry per phase.
#pragma once

#include <cstdint>
#include <numeric>
#include <vector>

#include "src/host/problem/axis.h"

namespace tconv::host {

/// Phases  first_phase + phase_step*j,  j = 0 .. phase_count-1, that read the same input window.
/// The j-th has taps  first_tap + j + tap_step*t,  t = 0 .. tap_count-1, and tap t of output
/// q*stride + phase reads input  q + shift - input_step*t  (if that is inside the input).
struct WindowClass {
  int64_t first_phase = 0, phase_step = 1, phase_count = 0;
  int64_t first_tap = 0, tap_step = 1, tap_count = 0;
  int64_t shift = 0, input_step = 1;

  friend constexpr bool operator==(const WindowClass&, const WindowClass&) = default;
};

/// How one phase meets the filter: the same numbers for a single phase.
struct PhaseWindow {
  int64_t first_tap = 0, tap_step = 1, tap_count = 0;
  int64_t shift = 0, input_step = 1;
};

/// One axis, taken apart.
struct AxisDecomposition {
  Axis axis;                         ///< normalised: see normalise()
  std::vector<WindowClass> classes;  ///< with taps, by ascending first_phase
  int64_t tapless_phases = 0;        ///< phases of [0, stride) that no tap reaches: bias only
  /// Number of classes, the one without taps included where there is one.
  int64_t class_count() const {
    return static_cast<int64_t>(classes.size()) + (tapless_phases > 0 ? 1 : 0);
  }
};

/// An axis with one input pixel may have any stride without changing a result; with the stride
/// equal to the dilated kernel every tap is a phase of its own and the axis is one exact product.
constexpr Axis normalise(Axis axis) {
  if (axis.in == 1) axis.stride = axis.keff();
  return axis;
}

/// How `phase` in [0, stride) meets the filter, in O(1) but for the inverse of d' mod s'.
PhaseWindow phase_window(const Axis& axis, int64_t phase);

/// x in [0, m) with  a*x = 1 (mod m); a and m share no factor.
int64_t inverse_mod(int64_t a, int64_t m);

/// Output positions of a phase in [0, out).
constexpr int64_t phase_extent(const Axis& axis, int64_t phase) {
  return phase < axis.out ? ceil_div(axis.out - phase, axis.stride) : 0;
}

/// At least class_count(), in O(1): to be asked first where kernel and dilation may be astronomic.
int64_t class_bound(const Axis& axis);

/// Normalises and decomposes. Work and size grow with the number of classes only.
AxisDecomposition decompose(const Axis& axis);

}  // namespace tconv::host
