// SPDX-License-Identifier: Apache-2.0
// axis.h: one spatial axis and the only index formula of the library.
#pragma once

#include <cstdint>
#include <type_traits>

namespace tconv::host {

inline constexpr int kNoInput = -1;

/// One spatial axis, in elements. Input i meets output p through tap r where
///     p = i*stride - pad_begin + r*dilation.
/// Kernels use a narrower Index where it is proven to hold everything.
template <typename Index>
struct BasicAxis {
  Index in = 1, kernel = 1, stride = 1, dilation = 1, pad_begin = 0, out = 1;

  /// The extent of a dilated filter.
  constexpr Index keff() const { return (kernel - 1) * dilation + 1; }
  /// The outputs that some tap of some input can reach, before padding cuts them.
  constexpr Index full() const { return (in - 1) * stride + keff(); }
  /// What is cut at the end; negative where the output goes on past the last tap.
  constexpr Index pad_end() const { return full() - pad_begin - out; }

  friend constexpr bool operator==(const BasicAxis&, const BasicAxis&) = default;
};
using Axis = BasicAxis<int64_t>;

/// The input that tap `r` of output `p` reads, or kNoInput: the definition, inverted.
template <typename Index>
constexpr Index input_index(const BasicAxis<Index>& axis, std::type_identity_t<Index> p,
                            std::type_identity_t<Index> r) {
  const Index scaled = p + axis.pad_begin - r * axis.dilation;
  if (scaled < 0 || scaled % axis.stride != 0) return kNoInput;
  const Index i = scaled / axis.stride;
  return i < axis.in ? i : kNoInput;
}

constexpr int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b > 0 ? 1 : 0); }
constexpr int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }
constexpr int64_t floor_mod(int64_t a, int64_t b) { return a - floor_div(a, b) * b; }

}  // namespace tconv::host
