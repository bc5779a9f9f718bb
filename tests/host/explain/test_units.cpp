// SPDX-License-Identifier: Apache-2.0
// test_units.cpp: numbers as people read them.
#include <gtest/gtest.h>

#include "src/host/explain/units.h"

namespace tconv::host {
namespace {

TEST(Units, TimesHaveThreeDigitsAndTheUnitThatFits) {
  EXPECT_EQ(time_text(0.0178), "0.0178 us");
  EXPECT_EQ(time_text(19.7), "19.7 us");
  EXPECT_EQ(time_text(999.4), "999 us");
  EXPECT_EQ(time_text(999.7), "1 ms");
  EXPECT_EQ(time_text(24051), "24.1 ms");
  EXPECT_EQ(time_text(24000), "24 ms");
  EXPECT_EQ(time_text(999.7e3), "1 s");
  EXPECT_EQ(time_text(2.5e6), "2.5 s");
  EXPECT_EQ(time_text(138.8e6), "139 s");
  EXPECT_EQ(time_text(2460e6), "41 min");
  EXPECT_EQ(time_text(7.2 * 3600e6), "7.2 h");
}

TEST(Units, CountsHaveDecimalMultiples) {
  EXPECT_EQ(count_text(0), "0 ");
  EXPECT_EQ(count_text(950), "950 ");
  EXPECT_EQ(count_text(999.7), "1 k");
  EXPECT_EQ(count_text(12.6e6), "12.6 M");
  EXPECT_EQ(count_text(1.0737e9), "1.07 G");
  EXPECT_EQ(count_text(3e21), "3e+03 E");
}

}  // namespace
}  // namespace tconv::host
