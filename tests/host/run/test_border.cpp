// SPDX-License-Identifier: Apache-2.0
// test_border.cpp: the families of the CPU multiply no pixel beyond the border.
#include "tests/support/border_promises.h"

namespace tconv::test {
namespace {

TEST(Border, FamiliesOfTheCpuKeepTheDefinition) {
  const auto padded = hold_families_to_their_borders(DeviceKind::cpu, enumeration(1000, 100));
  EXPECT_GE(padded.size(), 1u);
  for (const auto& [name, elements] : padded) EXPECT_EQ(elements, 0) << name;
}

}  // namespace
}  // namespace tconv::test
