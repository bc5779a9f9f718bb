// SPDX-License-Identifier: Apache-2.0
// test_convert.cpp: the loops of convert.h against the definition of each type.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "src/host/cpu/onednn/convert.h"
#include "tests/support/support.h"

namespace tconv::test {
namespace {

template <typename T>
void expect_conversions_agree(DType type) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const T value{static_cast<uint16_t>(bits)};
    float wide = 0;
    widen_row(type, &value, 1, &wide, 1);
    if (std::isnan(widen(value))) {
      EXPECT_TRUE(std::isnan(wide)) << bits;
      T back{};
      narrow_row(type, &wide, 1, &back);
      EXPECT_TRUE(std::isnan(widen(back))) << bits;
    } else {
      EXPECT_EQ(std::bit_cast<uint32_t>(wide), std::bit_cast<uint32_t>(widen(value))) << bits;
    }
  }
  // Every 16-bit pattern of the upper half with lower halves around the ties.
  for (uint32_t upper = 0; upper < 65536; ++upper) {
    for (const uint32_t lower : {0u, 1u, 0x0fffu, 0x1000u, 0x1001u, 0x7fffu, 0x8000u, 0x8001u,
                                 0xefffu, 0xf000u, 0xf001u, 0xffffu}) {
      const auto x = std::bit_cast<float>(upper << 16 | lower);
      T narrowed{};
      narrow_row(type, &x, 1, &narrowed);
      if (std::isnan(x)) {
        EXPECT_TRUE(std::isnan(widen(narrowed)));
      } else {
        ASSERT_EQ(narrowed.bits, round_to<T>(x).bits) << x;
      }
    }
  }
}

TEST(Convert, AgreesWithTheDefinitionForHalf) { expect_conversions_agree<Half>(DType::f16); }
TEST(Convert, AgreesWithTheDefinitionForBFloat16) {
  expect_conversions_agree<BFloat16>(DType::bf16);
}

}  // namespace
}  // namespace tconv::test
