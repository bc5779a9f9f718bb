// SPDX-License-Identifier: Apache-2.0
// decomposition.cpp: one axis into window classes, class by class.
//
// With u = (phase + pad_begin) / g the definition  p + pad_begin = i*stride + tap*dilation  reads,
// divided by g,  u + q*s' = i*s' + tap*d'.  Every u is  k0*d' + s'*shift  for exactly one k0 in
// [0, s'), and the phases of [0, stride) are the s' consecutive values of u from ceil(pad_begin/g).
// So going one tap further (k0 + 1) goes d' further in u, `dilation` further in phases, until u
// leaves that interval and wraps by whole s' into another shift: each run between two wraps is one
// class, cut once more where the number of taps falls by one.
#include "src/host/problem/decomposition.h"

#include <algorithm>
#include <tuple>

namespace tconv::host {
namespace {

// Tap positions are products of two sizes: 128 bits keep them exact without a proof at each line.
using Wide = __int128;

constexpr Wide ceil_div_wide(Wide a, Wide b) { return a / b + (a % b > 0 ? 1 : 0); }

/// An axis divided by gcd(stride, dilation).
struct Reduced {
  int64_t gcd, stride, dilation;
  int64_t first_u;     ///< the smallest u whose phase is not negative
  int64_t tap_phases;  ///< phases that meet taps: those with k0 = 0 .. tap_phases-1
  int64_t long_taps;   ///< phases with k0 below this have one tap more than the rest

  explicit Reduced(const Axis& axis)
      : gcd(std::gcd(axis.stride, axis.dilation)),
        stride(axis.stride / gcd),
        dilation(axis.dilation / gcd),
        first_u(ceil_div(axis.pad_begin, gcd)),
        tap_phases(std::min(stride, axis.kernel)),
        long_taps(axis.kernel % stride) {}

  /// The shift of the phase whose first tap is k0: it moves u into the interval of phases.
  int64_t shift(int64_t k0) const {
    return static_cast<int64_t>(ceil_div_wide(first_u - Wide{k0} * dilation, stride));
  }
  int64_t phase(int64_t k0, int64_t pad_begin) const {
    const Wide u = Wide{k0} * dilation + Wide{shift(k0)} * stride;
    return static_cast<int64_t>(u * gcd - pad_begin);
  }
  /// One past the last k0 of the class that starts at k0.
  int64_t class_end(int64_t k0) const {
    const Wide last_u = Wide{first_u} + stride - Wide{shift(k0)} * stride;
    const Wide wraps = ceil_div_wide(last_u, dilation);
    const int64_t taps_change = k0 < long_taps ? long_taps : tap_phases;
    return static_cast<int64_t>(std::min({wraps, Wide{taps_change}, Wide{tap_phases}}));
  }
};

}  // namespace

// Euclid's algorithm on (a, m).
int64_t inverse_mod(int64_t a, int64_t m) {
  int64_t r0 = m, r1 = a % m, x0 = 0, x1 = 1;
  while (r1 != 0) {
    const int64_t quotient = r0 / r1;
    std::tie(r0, r1) = std::pair(r1, r0 - quotient * r1);
    std::tie(x0, x1) = std::pair(x1, x0 - quotient * x1);
  }
  return floor_mod(x0, m);
}

PhaseWindow phase_window(const Axis& axis, int64_t phase) {
  const Reduced reduced(axis);
  PhaseWindow window{.tap_step = reduced.stride, .input_step = reduced.dilation};
  const Wide position = Wide{phase} + axis.pad_begin;
  if (position % reduced.gcd != 0) return window;
  const auto u = static_cast<int64_t>(position / reduced.gcd);
  const Wide inverse = inverse_mod(reduced.dilation, reduced.stride);
  const auto k0 = static_cast<int64_t>(inverse * floor_mod(u, reduced.stride) % reduced.stride);
  if (k0 >= axis.kernel) return window;
  window.first_tap = k0;
  window.tap_count = ceil_div(axis.kernel - k0, reduced.stride);
  window.shift = reduced.shift(k0);
  return window;
}

int64_t class_bound(const Axis& original) {
  const Axis axis = normalise(original);
  const Reduced reduced(axis);
  const int64_t shifts = reduced.shift(0) - reduced.shift(reduced.tap_phases - 1) + 1;
  // One more where the number of taps changes, one for the phases without taps.
  return std::min(reduced.tap_phases, shifts + 1) + 1;
}

AxisDecomposition decompose(const Axis& original) {
  AxisDecomposition result{.axis = normalise(original), .classes = {}};
  const Axis& axis = result.axis;
  const Reduced reduced(axis);
  result.tapless_phases = axis.stride - reduced.tap_phases;
  for (int64_t k0 = 0; k0 < reduced.tap_phases;) {
    const int64_t end = reduced.class_end(k0);
    result.classes.push_back({.first_phase = reduced.phase(k0, axis.pad_begin),
                              .phase_step = axis.dilation,
                              .phase_count = end - k0,
                              .first_tap = k0,
                              .tap_step = reduced.stride,
                              .tap_count = ceil_div(axis.kernel - k0, reduced.stride),
                              .shift = reduced.shift(k0),
                              .input_step = reduced.dilation});
    k0 = end;
  }
  std::ranges::sort(result.classes, {}, &WindowClass::first_phase);
  return result;
}

}  // namespace tconv::host
