// SPDX-License-Identifier: Apache-2.0
// test_border_emulated.cpp: the families for CUDA keep the definition at the border, or multiply
// zeros there, as they say: in the emulator.
#include "tests/support/border_promises.h"

namespace tconv::test {
namespace {

TEST(BorderEmulated, FamiliesForCudaDoWhatTheySay) {
  const auto padded = hold_families_to_their_borders(DeviceKind::cuda, enumeration(60, 12));
  for (const auto& [name, elements] : padded) {
    // igemm_sm80 says so: if it no longer did, its entry in the table would be wrong.
    EXPECT_EQ(elements > 0, name == "igemm_sm80") << name;
  }
}

}  // namespace
}  // namespace tconv::test
