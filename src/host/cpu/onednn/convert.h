// SPDX-License-Identifier: Apache-2.0
// convert.h: whole rows of f16, bf16 and f32 to f32 and back, without a branch in the loop.
//
// dtype.h defines what these conversions mean, one element at a time and from f64; here the same
// values come from f32 at the speed of memory: selects on bits, which compilers turn into vector
// code for any instruction set.
#pragma once

#include <bit>
#include <cstdint>

#include "src/host/problem/dtype.h"

namespace tconv::host {

// ---- One element. ---------------------------------------------------------------------------

/// condition ? a : b, in a form that stays without a branch: compilers like to move the arithmetic
/// behind `a` into one, and then no vector code comes out.
constexpr uint32_t select(bool condition, uint32_t a, uint32_t b) {
  const uint32_t mask = 0u - static_cast<uint32_t>(condition);
  return (a & mask) | (b & ~mask);
}
constexpr float select(bool condition, float a, float b) {
  return std::bit_cast<float>(
      select(condition, std::bit_cast<uint32_t>(a), std::bit_cast<uint32_t>(b)));
}

constexpr float widen_branchless(float x) { return x; }
constexpr float widen_branchless(BFloat16 x) {
  return std::bit_cast<float>(uint32_t{x.bits} << 16);
}
constexpr float widen_branchless(Half x) {
  const uint32_t sign = (uint32_t{x.bits} & 0x8000u) << 16;
  const uint32_t rest = (uint32_t{x.bits} & 0x7fffu) << 13;
  const uint32_t normal = rest + (112u << 23);  // the exponent's bias, 15 -> 127
  // Infinities and NaNs keep the largest exponent; a subnormal is a small normal minus 2^-14.
  const uint32_t special = rest | 0x7f800000u;
  const float subnormal = std::bit_cast<float>(rest + (113u << 23)) - 0x1p-14f;
  const uint32_t large = select(rest >= (31u << 23), special, normal);
  const uint32_t bits = select(rest < (1u << 23), std::bit_cast<uint32_t>(subnormal), large);
  return std::bit_cast<float>(bits | sign);
}

template <typename T>
constexpr T narrow(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if constexpr (std::is_same_v<T, float>) {
    return x;
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    const uint32_t quiet_nan = bits >> 16 | 0x40u;
    const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
    return {static_cast<uint16_t>(select(is_nan, quiet_nan, rounded))};
  } else {
    const uint32_t sign = bits >> 16 & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    // Rounding carries into the exponent, up to infinity, by itself.
    const uint32_t normal = (magnitude - (112u << 23) + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
    // The unit in the last place of 0.5f is the smallest subnormal: the addition rounds.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    const uint32_t subnormal = std::bit_cast<uint32_t>(shifted) - 0x3f000000u;
    const uint32_t special = select(magnitude > 0x7f800000u, 0x7e00u, 0x7c00u);
    const uint32_t large = select(magnitude >= 0x47800000u, special, normal);  // 2^16
    const uint32_t rest = select(magnitude < 0x38800000u, subnormal, large);   // 2^-14
    return {static_cast<uint16_t>(rest | sign)};
  }
}

// ---- Rows. -----------------------------------------------------------------------------------

/// `count` contiguous elements of `type` (not f64), widened to every `to_stride`-th float of `to`.
void widen_row(DType type, const void* from, int64_t count, float* to, int64_t to_stride);

/// to[i] += from[i], for `count` contiguous elements of `type` (not f64).
void add_row(DType type, const void* from, int64_t count, float* to);

/// `count` floats, each rounded once to `type` (not f64).
void narrow_row(DType type, const float* from, int64_t count, void* to);

/// Calls `body.template operator()<T>()` with the C++ type of `type`, which is not f64: what a row
/// with f32 sums can meet.
template <typename Body>
decltype(auto) with_narrow_type(DType type, Body&& body) {
  if (type == DType::f16) return body.template operator()<Half>();
  if (type == DType::bf16) return body.template operator()<BFloat16>();
  return body.template operator()<float>();
}

/// The address of element `i` of an array of `type`.
inline const void* element(DType type, const void* data, int64_t i) {
  return static_cast<const std::byte*>(data) + i * static_cast<int64_t>(size_of(type));
}
inline void* element(DType type, void* data, int64_t i) {
  return static_cast<std::byte*>(data) + i * static_cast<int64_t>(size_of(type));
}

}  // namespace tconv::host
