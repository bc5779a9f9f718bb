// SPDX-License-Identifier: Apache-2.0
// axis.h: the only index formula of the library, on an axis as tconv/types.h has it.
#pragma once

#include <cstdint>
#include <type_traits>

#include "tconv/types.h"

namespace tconv::host {

using tconv::Axis;
using tconv::BasicAxis;

inline constexpr int kNoInput = -1;

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
