// SPDX-License-Identifier: Apache-2.0
// test_compare_plans_emulated.cpp: every family of the emulated build against the one that takes
// everything and against itself, by the comparison that `tconv verify --against` makes; threads run
// in another order each time.
#include <gtest/gtest.h>

#include <optional>

#include "src/host/problem/errors.h"
#include "src/host/run/compare_plans.h"
#include "tests/emulator/emulator.h"
#include "tests/support/support.h"

namespace tconv::emulator {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace): operands and problems

std::optional<Plan> plan_by(const Kernel& row, const Problem& problem) {
  const Kernel* table[] = {&row};
  try {
    return make_plan(problem, {.device = DeviceKind::cuda}, table);
  } catch (const Unsupported&) {
    return std::nullopt;
  }
}

/// Of each device, the table's last family.
const Kernel* takes_everything() {
  const Kernel* last = nullptr;
  for (const Kernel* row : kernel_table()) {
    if (row->device == DeviceKind::cuda) last = row;
  }
  return last;
}

TEST(ComparePlansEmulated, EveryFamilyAgreesWithTheOneThatTakesAllAndWithItself) {
  const Kernel* simplest = takes_everything();
  if (simplest == nullptr) GTEST_SKIP() << "TCONV_ROWS leaves out every family for CUDA";
  std::mt19937_64 random(23);
  int compared = 0;
  for (int i = 0; i < enumeration(1000, 100); ++i) {
    const Problem problem(random_desc(random, {.inexact_activations = true}));
    Operands o = uniform(problem, random());
    const std::optional<Plan> simple = plan_by(*simplest, problem);
    ASSERT_TRUE(simple);
    for (const Kernel* row : kernel_table()) {
      if (row->device != DeviceKind::cuda) continue;
      const std::optional<Plan> plan = plan_by(*row, problem);
      if (!plan) continue;
      for (const Plan& other : {*simple, *plan}) {
        configure({.seed = random()});
        const PlanComparison found = compare_host(*plan, other, o.tensors(), {});
        ASSERT_TRUE(found.right()) << row->name << " and " << other.kernel().name << ", "
                                   << problem.key() << ": " << describe(problem, found);
        ++compared;
      }
    }
  }
  configure({});
  forget_reports();
  EXPECT_GE(compared, 200);
}

}  // namespace
}  // namespace tconv::emulator
