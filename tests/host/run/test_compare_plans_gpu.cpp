// SPDX-License-Identifier: Apache-2.0
// test_compare_plans_gpu.cpp: every row for CUDA against `gather` and against itself, every
// element, on the device. Not yet run on a GPU.
#include <gtest/gtest.h>

#include <optional>

#include "src/host/problem/errors.h"
#include "src/host/run/compare_plans.h"
#include "tests/support/support.h"

namespace tconv::host {
extern const Kernel gather_kernel;
}  // namespace tconv::host

namespace tconv::test {
namespace {

/// The plan by this row alone; nothing where it declines.
std::optional<Plan> plan_by(const Kernel& row, const Problem& problem) {
  const Kernel* table[] = {&row};
  try {
    return make_plan(problem, {.device = DeviceKind::cuda}, table);
  } catch (const Unsupported&) {
    return std::nullopt;
  }
}

TEST(ComparePlansOnGpu, EveryRowAgreesWithGatherAndWithItself) {
  std::mt19937_64 random(17);
  int compared = 0;
  for (int i = 0; i < enumeration(1000, 100); ++i) {
    const Problem problem(random_desc(random, {.max_channels = 32, .inexact_activations = true}));
    Operands o = uniform(problem, random());
    const std::optional<Plan> gather = plan_by(gather_kernel, problem);
    ASSERT_TRUE(gather);
    for (const Kernel* row : kernel_table()) {
      if (row->device != DeviceKind::cuda) continue;
      const std::optional<Plan> plan = plan_by(*row, problem);
      if (!plan) continue;
      for (const Plan& other : {*gather, *plan}) {
        const PlanComparison found = compare_host(*plan, other, o.tensors(), {});
        ASSERT_TRUE(found.right()) << row->name << " and " << other.kernel().name << ", "
                                   << problem.key() << ": " << describe(problem, found);
        ++compared;
      }
    }
  }
  EXPECT_GE(compared, 200);
}

TEST(ComparePlansOnGpu, AResultOfTwoGigabytesIsComparedThere) {
  ProblemDesc d;
  d.in_c = 16, d.out_c = 64;
  d.h = d.w = {.in = 2048, .kernel = 2, .stride = 2, .out = 4096};
  d.dtype = d.output_dtype = d.bias_dtype = DType::f16;
  const Problem problem(d);
  ASSERT_EQ(problem.output_bytes(), int64_t{1} << 31);
  Operands o = uniform(problem, 1);
  const Plan gather = make_plan(problem, {.device = DeviceKind::cuda, .kernels = {"gather"}});
  const Plan chosen = make_plan(problem, {.device = DeviceKind::cuda});
  const PlanComparison found = compare_host(chosen, gather, o.tensors(), {});
  EXPECT_EQ(found.total, int64_t{1} << 30);
  EXPECT_TRUE(found.right()) << describe(problem, found);
}

}  // namespace
}  // namespace tconv::test
