// SPDX-License-Identifier: Apache-2.0
// test_fast_divmod.cpp: divisions by a number that is known before a kernel starts, against those
// of the CPU.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>

#include "src/cuda/common/fast_divmod.h"

namespace tconv::test {
namespace {

using cuda::FastDivmod;

TEST(FastDivmod, DividesExactly) {
  constexpr int32_t kLast = std::numeric_limits<int32_t>::max();
  std::mt19937 random(5);
  for (int i = 0; i < 200000; ++i) {
    const auto shift = random() % 31;
    const int32_t d = i < 1000 ? i + 1 : 1 + static_cast<int32_t>(random() % (kLast >> shift));
    const FastDivmod divisor(d);
    const auto any = static_cast<int32_t>(random() % kLast);
    const int32_t multiple = any / d * d;
    for (const int32_t n : {0, d - 1, any, multiple, multiple > 0 ? multiple - 1 : 0, kLast,
                            kLast - 1, kLast / d * d, d}) {
      ASSERT_EQ(divisor.quotient(n), n / d) << n << " / " << d;
      ASSERT_EQ(divisor.remainder(n), n % d);
    }
  }
  EXPECT_EQ(FastDivmod().quotient(kLast), kLast);
}

}  // namespace
}  // namespace tconv::test
