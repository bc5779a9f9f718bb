// SPDX-License-Identifier: Apache-2.0
// test_igemm_gpu.cpp: the row `igemm_sm80` on a GPU, tile by tile, against the reference. Not yet
// run on one.
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "src/cuda/igemm_sm80/plan.h"
#include "src/host/cpu/reference.h"
#include "src/host/plan/plan.h"
#include "src/host/problem/errors.h"
#include "src/host/verify/verify.h"
#include "tests/cuda/igemm_sm80/igemm_problems.h"
#include "tests/gpu/device_operands.h"

namespace tconv::test {
namespace {

Options options_of(const igemm::Tile& tile, Math math, int64_t workspace_limit) {
  return {.device = DeviceKind::cuda,
          .kernels = {"igemm_sm80"},
          .tile = tile.name,
          .workspace_limit = workspace_limit,
          .math = math};
}

/// Runs twice: the second into an output full of garbage as the first was.
Bytes output_of(const Plan& plan, const Operands& operands) {
  DeviceOperands device(operands);
  run_on_device(plan, device.tensors());
  Bytes first = device.output.download();
  device.output.upload(operands.output);
  run_on_device(plan, device.tensors());
  EXPECT_TRUE(first == device.output.download()) << plan.problem().key() << ": other bits";
  return first;
}

/// How many tiles take the problem.
int expect_exact(const ProblemDesc& desc, Math math, int64_t workspace_limit, uint64_t seed) {
  const Problem problem(desc);
  const Operands operands = small_integers(problem, seed);
  Operands expected = operands;
  reference_conv2d_transpose(problem, expected.tensors(), 1);
  int taken = 0;
  for (const igemm::Tile& tile : igemm::kTiles) {
    try {
      const Plan plan = make_plan(problem, options_of(tile, math, workspace_limit));
      ++taken;
      EXPECT_TRUE(output_of(plan, operands) == expected.output)
          << problem.key() << " tile " << tile.name << " workspace " << workspace_limit;
    } catch (const Unsupported&) {
    }
  }
  return taken;
}

TEST(IgemmOnGpu, EqualsTheReferenceOnChosenProblems) {
  uint64_t seed = 0;
  for (const ProblemDesc& d : chosen_problems()) {
    EXPECT_GE(expect_exact(d, Math::tf32, 0, ++seed), 1);
    EXPECT_GE(expect_exact(d, Math::tf32, -1, seed), 1);
    if (d.dtype == DType::f32) expect_exact(d, Math::tf32x3, -1, seed);
  }
}

/// In a workspace for the filters alone, and in one for slices, too.
TEST(IgemmOnGpu, EqualsTheReferenceWithFiltersThatAreRepacked) {
  uint64_t seed = 0;
  for (const ProblemDesc& d : repacked_problems()) {
    EXPECT_GE(expect_exact(d, Math::tf32, Problem(d).filter_bytes(), ++seed), 1);
    EXPECT_GE(expect_exact(d, Math::tf32, -1, seed), 1);
  }
}

/// More M tiles than blocks run at once: several for a block, whose filters stay.
TEST(IgemmOnGpu, EqualsTheReferenceWithPersistentFilters) {
  uint64_t seed = 0;
  int persistent = 0;
  for (ProblemDesc d :
       {problem_of(3, 20, 12, axis(160, 4, 2, 1), axis(340, 4, 2, 1)),
        problem_of(3, 24, 16, axis(160, 3, 1, 1), axis(340, 3, 1, 1), DType::f32)}) {
    for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
      d.layout = layout;
      d.alignment = 16;
      for (const igemm::Tile& tile : igemm::kTiles) {
        persistent += igemm::plan_tile(Problem(d), tile, cuda_facts()).params.persistent_filters;
      }
      EXPECT_GE(expect_exact(d, Math::tf32, 0, ++seed), 3);
    }
  }
  EXPECT_GE(persistent, 4) << "for this GPU the problems are too small";
}

TEST(IgemmOnGpu, EqualsTheReferenceOnRandomProblems) {
  std::mt19937_64 random(20261125);
  RandomLimits limits;
  limits.dtypes = {DType::f16, DType::bf16, DType::f32};
  limits.zero_sizes = false;
  limits.max_in = 24, limits.max_channels = 150;
  int taken = 0;
  const int problems = enumeration(2000, 200);
  for (int i = 0; i < problems && !testing::Test::HasFailure(); ++i) {
    ProblemDesc d = random_desc(random, limits);
    d.filter_order = std::array{FilterOrder::hwoi, FilterOrder::hwoi, FilterOrder::ihwo,
                                FilterOrder::iohw}[random() % 4];
    taken += expect_exact(d, random() % 4 == 0 ? Math::tf32x3 : Math::tf32,
                          random() % 2 == 0 ? 0 : -1, static_cast<uint64_t>(i));
  }
  EXPECT_GT(taken, problems);
}

// Uniform operands, each result within the bound of the math that made it.
TEST(IgemmOnGpu, KeepsWithinTheBound) {
  for (ProblemDesc d : chosen_problems()) {
    const Problem problem(d);
    const Operands operands = uniform(problem, 5);
    for (const Math math : {Math::tf32, Math::tf32x3}) {
      if (d.dtype != DType::f32 && math == Math::tf32x3) continue;
      const Plan plan =
          make_plan(problem, {.device = DeviceKind::cuda, .kernels = {"igemm_sm80"}, .math = math});
      Operands result = operands;
      result.output = output_of(plan, operands);
      const VerifyReport report = verify(problem, result.tensors(), {.math = math});
      EXPECT_TRUE(report.right()) << describe_mismatch(problem, report);
    }
  }
}

}  // namespace
}  // namespace tconv::test
