// SPDX-License-Identifier: Apache-2.0
// test_dtype.cpp: the 16-bit types, exhaustively.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "src/host/problem/dtype.h"

namespace tconv::host {
namespace {

template <typename T>
T from_bits(int bits) {
  return {static_cast<uint16_t>(bits)};
}

/// Written from the format's definition: sign, exponent, fraction.
template <typename T>
double by_definition(int bits) {
  constexpr bool half = std::is_same_v<T, Half>;
  constexpr int fraction_bits = half ? 10 : 7, bias = half ? 15 : 127;
  const int sign = bits >> 15, exponent = bits >> fraction_bits & ((1 << (15 - fraction_bits)) - 1);
  const int fraction = bits & ((1 << fraction_bits) - 1);
  const int special = (1 << (15 - fraction_bits)) - 1;
  double magnitude = 0;
  if (exponent == special) {
    magnitude = fraction == 0 ? INFINITY : NAN;
  } else if (exponent == 0) {
    magnitude = std::ldexp(fraction, 1 - bias - fraction_bits);
  } else {
    magnitude = std::ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
  }
  return sign == 1 ? -magnitude : magnitude;
}

template <typename T>
class SixteenBits : public testing::Test {};
using Types = testing::Types<Half, BFloat16>;
TYPED_TEST_SUITE(SixteenBits, Types);

TYPED_TEST(SixteenBits, EveryValueWidensByItsDefinitionAndRoundsBackToItself) {
  for (int bits = 0; bits < 65536; ++bits) {
    const double value = widen(from_bits<TypeParam>(bits));
    const double expected = by_definition<TypeParam>(bits);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(value)) << bits;
      ASSERT_TRUE(std::isnan(widen(round_to<TypeParam>(value)))) << bits;
    } else {
      ASSERT_EQ(value, expected) << bits;
      ASSERT_EQ(round_to<TypeParam>(value).bits, bits);
    }
  }
}

TYPED_TEST(SixteenBits, BetweenNeighboursTheNearerIsTakenAndATieGoesToEven) {
  for (int bits = 0; bits < 0x7fff; ++bits) {
    const double low = widen(from_bits<TypeParam>(bits));
    const double high = widen(from_bits<TypeParam>(bits + 1));
    if (std::isinf(low) || std::isnan(low)) continue;
    // Past the largest number the next value would be a power of two: infinity from its midpoint
    // on.
    const double next = std::isinf(high) ? std::ldexp(1, std::ilogb(low) + 1) : high;
    const double middle = low + (next - low) / 2;
    ASSERT_EQ(round_to<TypeParam>(std::nextafter(middle, low)).bits, bits);
    ASSERT_EQ(round_to<TypeParam>(std::nextafter(middle, next)).bits, bits + 1);
    ASSERT_EQ(round_to<TypeParam>(middle).bits, bits % 2 == 0 ? bits : bits + 1);
    ASSERT_EQ(round_to<TypeParam>(-middle).bits, 0x8000 | (bits % 2 == 0 ? bits : bits + 1));
  }
}

TEST(DTypes, LoadAndStoreUseTheTypesOwnRounding) {
  const double value = 1 + std::ldexp(1, -9) + std::ldexp(1, -30);
  double memory = 0;
  for (const auto& [type, expected] :
       {std::pair{DType::f64, value}, std::pair{DType::f32, 1 + std::ldexp(1, -9)},
        std::pair{DType::f16, 1 + std::ldexp(1, -9)}, std::pair{DType::bf16, 1.0}}) {
    store(type, &memory, 0, value);
    EXPECT_EQ(load(type, &memory, 0), expected) << name_of(type);
    EXPECT_EQ(rounded(type, value), expected) << name_of(type);
  }
}

}  // namespace
}  // namespace tconv::host
