// SPDX-License-Identifier: Apache-2.0
// test_tf32x3.cpp: the two parts of an f32 that the implicit GEMM multiplies.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>

#include "tests/support/cuda_on_host/cuda_on_host.h"
// What the header needs comes first.

#include "src/cuda/common/tf32x3.cuh"

namespace tconv::cuda {
namespace {

struct Parts {
  float big, small;
};

Parts parts_of(float x) {
  uint32_t big = std::bit_cast<uint32_t>(x), small = 0;
  split(big, small);
  EXPECT_EQ((big | small) & 0x1fffU, 0U) << "not TF32";
  return {std::bit_cast<float>(big), std::bit_cast<float>(small)};
}

/// The nearest number of 11 bits, ties away from zero, as PTX says of cvt.rna.tf32.
float to_tf32(float x) {
  if (x == 0) return x;
  const double scale = std::ldexp(1, 10 - std::max(std::ilogb(x), -126));
  return static_cast<float>(std::round(x * scale) / scale);
}

TEST(Tf32x3, SplitsWhatF32Holds) {
  std::mt19937 random(1);
  for (int i = 0; i < 1000000; ++i) {
    const float x = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (!(std::fabs(x) < 0x1.ffep127F)) continue;
    const Parts parts = parts_of(x);
    ASSERT_EQ(parts.big, to_tf32(x)) << x;
    ASSERT_EQ(parts.small, to_tf32(x - to_tf32(x))) << x;
    const double left = std::fabs(static_cast<double>(x) - parts.big - parts.small);
    ASSERT_LE(left, std::max(0x1p-22 * std::fabs(x), 0x1p-137)) << x;
  }
  EXPECT_EQ(parts_of(1 + 0x1p-11F).big, 1 + 0x1p-10F) << "ties";
  EXPECT_TRUE(std::signbit(parts_of(-0.0F).big));
}

TEST(Tf32x3, KeepsInfinitiesOutOfTheLargePart) {
  for (const float sign : {1.0F, -1.0F}) {
    const Parts infinite = parts_of(sign * INFINITY);
    EXPECT_EQ(infinite.big, sign);
    EXPECT_EQ(infinite.small, sign * INFINITY);
    for (const float x : {0x1.ffep127F, 0x1.fffffep127F}) {
      const Parts huge = parts_of(sign * x);
      EXPECT_TRUE(std::isfinite(huge.big) && huge.big * sign > 0);
      EXPECT_EQ(huge.small, sign * 0x1.ffcp127F);
    }
  }
  for (const uint32_t bits : {0x7fc00000U, 0x7fffffffU, 0xffc00001U}) {
    const Parts nan = parts_of(std::bit_cast<float>(bits));
    EXPECT_TRUE(std::isfinite(nan.big) && std::isnan(nan.small));
  }
}

}  // namespace
}  // namespace tconv::cuda
