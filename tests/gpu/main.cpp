// SPDX-License-Identifier: Apache-2.0
// main.cpp: of the tests that need a GPU. Without one they are skipped with the reason, not passed:
// CTest knows the exit code.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "src/host/device/gpu.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (testing::GTEST_FLAG(list_tests)) return RUN_ALL_TESTS();
  const std::string absence = tconv::host::gpu().absence();
  if (!absence.empty()) {
    std::printf("skipped: %s\n", absence.c_str());
    return TCONV_SKIPPED;
  }
  const int status = RUN_ALL_TESTS();
  const testing::UnitTest& tests = *testing::UnitTest::GetInstance();
  const bool all_skipped = tests.skipped_test_count() == tests.test_to_run_count();
  return status == 0 && all_skipped ? TCONV_SKIPPED : status;
}
