// SPDX-License-Identifier: Apache-2.0
// dtype.h: the element types on the host. Storage, widening (exact) and rounding (to nearest even).
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace tconv::host {

enum class DType : int32_t { f16 = 1, bf16 = 2, f32 = 3, f64 = 4 };

struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

constexpr std::size_t size_of(DType type) {
  return type == DType::f64 ? 8 : type == DType::f32 ? 4 : 2;
}
constexpr const char* name_of(DType type) {
  constexpr const char* names[] = {"?", "f16", "bf16", "f32", "f64"};
  return names[static_cast<int>(type)];
}

/// Calls `body.template operator()<T>()` with the C++ type of `type`: the only switch over types.
template <typename Body>
decltype(auto) with_type(DType type, Body&& body) {
  switch (type) {
    case DType::f16: return body.template operator()<Half>();
    case DType::bf16: return body.template operator()<BFloat16>();
    case DType::f64: return body.template operator()<double>();
    case DType::f32: break;
  }
  return body.template operator()<float>();
}

// ---- Widening: exact. -----------------------------------------------------------------------

constexpr float widen(float x) { return x; }
constexpr double widen(double x) { return x; }
constexpr float widen(BFloat16 x) { return std::bit_cast<float>(uint32_t{x.bits} << 16); }
constexpr float widen(Half x) {
  const uint32_t sign = uint32_t{x.bits} >> 15 << 31, exponent = x.bits >> 10 & 31;
  const uint32_t fraction = x.bits & 1023;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | fraction << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  const float subnormal = static_cast<float>(fraction) * 0x1p-24f;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(subnormal) | sign);
}

// ---- Rounding: one rounding from f64, to nearest, ties to even. --------------------------------

namespace detail {

/// Rounds to a 16-bit format whose bits continue those of a small float: `fraction_bits` of
/// fraction, exponents from `min_exponent` (of the smallest normal) up, overflow to infinity.
template <int fraction_bits, int min_exponent>
uint16_t round16(double x) {
  constexpr uint16_t kInfinity = (0x7fff >> fraction_bits) << fraction_bits;
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  if (std::isnan(x)) return sign | kInfinity | 1 << (fraction_bits - 1);
  const double magnitude = std::fabs(x);
  if (magnitude == 0) return sign;
  if (std::isinf(x)) return sign | kInfinity;
  // In units of the last place the value is rounded by nearbyint, in the default rounding mode.
  const int exponent = std::max(std::ilogb(magnitude), min_exponent);
  const double units = std::nearbyint(std::ldexp(magnitude, fraction_bits - exponent));
  // A carry out of the fraction moves into the exponent field by itself; subnormals have none.
  const auto biased = static_cast<int64_t>(exponent - min_exponent) << fraction_bits;
  const int64_t bits = biased + static_cast<int64_t>(units);
  return sign | static_cast<uint16_t>(bits < kInfinity ? bits : kInfinity);
}

}  // namespace detail

template <typename T>
T round_to(double x) {
  if constexpr (std::is_same_v<T, Half>) {
    return {detail::round16<10, -14>(x)};
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return {detail::round16<7, -126>(x)};
  } else {
    return static_cast<T>(x);
  }
}

/// Element `i` of an array of `type`, exactly.
inline double load(DType type, const void* data, int64_t i) {
  return with_type(type,
                   [&]<typename T>() -> double { return widen(static_cast<const T*>(data)[i]); });
}

/// Rounds `x` once into element `i` of an array of `type`.
inline void store(DType type, void* data, int64_t i, double x) {
  with_type(type, [&]<typename T>() { static_cast<T*>(data)[i] = round_to<T>(x); });
}

/// `x` rounded once to `type` and widened again.
inline double rounded(DType type, double x) {
  return with_type(type, [&]<typename T>() -> double { return widen(round_to<T>(x)); });
}

}  // namespace tconv::host
