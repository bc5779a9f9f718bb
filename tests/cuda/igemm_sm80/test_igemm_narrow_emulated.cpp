// SPDX-License-Identifier: Apache-2.0
// test_igemm_narrow_emulated.cpp: the tests of the row `igemm_sm80` that run on every mutation of
// it: with the few instances of narrow/src/cuda/igemm_instances.cuh alone, and quick.
#include <gtest/gtest.h>

#include "src/cuda/igemm_sm80/prediction.h"
#include "src/host/verify/verify.h"
#include "tests/cuda/igemm_sm80/igemm_runs.h"

namespace tconv::test {
namespace {

/// As has_instance of the narrow instances.
bool is_compiled(const Problem& problem, int tile) {
  const ProblemDesc& d = problem.desc();
  const bool wide = igemm_is_wide(problem);
  if (d.dtype == DType::bf16) return false;
  if (d.filter_order == FilterOrder::ihwo) return tile == 1 && wide;
  return d.dtype == DType::f16 ? tile == 1 || !wide : tile == 1 && !wide;
}

void expect_exact(const ProblemDesc& desc, int tile, uint64_t seed) {
  const Problem problem(desc);
  if (!is_compiled(problem, tile)) return;
  // Whole on few cores, where boxes are full as those of large problems; and split.
  const bool whole = (seed + static_cast<uint64_t>(tile)) % 2 == 0;
  const int64_t workspace_limit = whole ? 0 : -1;
  const emulator::Config config = {.seed = seed, .cores = whole ? 4 : 0};
  const Outcome outcome =
      run_tile(problem, kIgemmTiles[tile], config, seed, Math::tf32, workspace_limit);
  ASSERT_TRUE(outcome.right || !outcome.taken)
      << problem.key() << " tile " << kIgemmTiles[tile].name << " " << outcome.finding;
  if (!outcome.taken) return;
  const IgemmPlan plan = plan_of(problem, kIgemmTiles[tile], config, Math::tf32, workspace_limit);
  ASSERT_EQ(static_cast<double>(emulator::reports().front().counters.multiply_adds),
            plan.issued_macs)
      << problem.key() << " tile " << kIgemmTiles[tile].name;
}

void expect_all_exact(int tile) {
  uint64_t seed = 0;
  for (ProblemDesc d : chosen_problems()) {
    if (d.filter_order == FilterOrder::ihwo) {
      ASSERT_NO_FATAL_FAILURE(expect_exact(d, tile, ++seed));
    }
    d.filter_order = FilterOrder::hwoi;
    // There are no instances for bf16.
    if (d.dtype == DType::bf16) d.dtype = d.bias_dtype = DType::f16, d.output_dtype = DType::f32;
    ASSERT_NO_FATAL_FAILURE(expect_exact(d, tile, ++seed));
  }
}

/// Of narrow/narrow_phases.cu alone.
TEST(IgemmNarrow, PhasesEqualTheReference) { expect_all_exact(4); }
TEST(IgemmNarrow, EqualsTheReference) { expect_all_exact(1); }

/// On a GPU of one core: blocks of several boxes. The last problem's boxes are four positions wide,
/// and the first misses five of its seventeen taps.
TEST(IgemmNarrow, StationaryFilters) {
  uint64_t seed = 0;
  for (const ProblemDesc& d : {problem_of(1, 64, 32, axis(15, 4, 2, 1), axis(17, 4, 2, 1)),
                               problem_of(2, 37, 19, axis(11, 3, 1, 1), axis(14, 3, 1, 1)),
                               problem_of(16, 24, 16, axis(1, 1, 1, 0), axis(9, 17, 1, 8))}) {
    const Problem problem(d);
    int stationary = 0;
    for (const int tile : {1, 4}) {
      if (!is_compiled(problem, tile)) continue;
      const emulator::Config config = {.seed = ++seed, .count = true, .cores = 1};
      const IgemmPlan plan = plan_of(problem, kIgemmTiles[tile], config);
      const Outcome outcome = run_tile(problem, kIgemmTiles[tile], config, seed);
      ASSERT_TRUE(outcome.right || !outcome.taken) << problem.key() << " " << outcome.finding;
      if (!outcome.taken) continue;
      stationary += plan.params.stationary;
      const PlanCounters predicted = count_igemm(problem, kIgemmTiles[tile], plan, cuda_facts());
      const emulator::Counters counted = emulator::reports().front().counters;
      EXPECT_EQ(static_cast<double>(counted.async_copies.requests), predicted.copies.requests)
          << problem.key();
      EXPECT_EQ(static_cast<double>(counted.ldmatrix.wavefronts), predicted.shared_wavefronts)
          << problem.key();
    }
    EXPECT_GE(stationary, 1) << problem.key();
  }
}

TEST(IgemmNarrow, SharesOfSeveralChunks) { expect_shares_of_several_chunks(kIgemmTiles[1]); }

/// Operands with all bits of f32: the emulator reports one that reaches the tensor cores unrounded.
TEST(IgemmNarrow, RoundsOperandsToTf32) {
  ProblemDesc d = problem_of(1, 24, 16, axis(5, 3, 2, 1), axis(5, 3, 2, 1), DType::f32);
  d.layout = Layout::nchw;
  const Problem problem(d);
  const Options options = {.device = DeviceKind::cuda,
                           .kernels = {"igemm_sm80"},
                           .tile = kIgemmTiles[1].name,
                           .math = Math::tf32};
  const DeviceOperands device(uniform(problem, 1));
  emulator::configure({});
  EXPECT_NO_THROW(run_on_device(make_plan(problem, options), device.tensors()));
}

/// Products of small parts, where every sum is exact, and what rounding leaves of any number.
TEST(IgemmNarrow, MultipliesInThreeProducts) {
  const Options options = {.device = DeviceKind::cuda,
                           .kernels = {"igemm_sm80"},
                           .tile = kIgemmTiles[1].name,
                           .math = Math::tf32x3};
  const Problem problem(problem_of(2, 21, 33, axis(6, 3, 2, 1), axis(7, 5, 3, 1), DType::f32));
  for (const bool wide_input : {true, false}) {
    const Operands operands = wide_integers(problem, wide_input, 1);
    Operands expected = operands;
    reference_conv2d_transpose(problem, expected.tensors(), 1);
    EXPECT_TRUE(result_of(problem, options, operands) == expected.output) << wide_input;
  }
  // Short sums: in long ones the bound of the additions hides what TF32 loses.
  const Problem small(problem_of(1, 5, 33, axis(4, 2, 2, 0), axis(5, 2, 2, 0), DType::f32));
  Operands operands = uniform(small, 1);
  operands.output = result_of(small, options, operands);
  const VerifyReport report = verify(
      small, operands.tensors(), {.scope = VerifyScope::whole, .threads = 1, .math = Math::tf32x3});
  EXPECT_TRUE(report.right()) << describe_mismatch(small, report);
}

}  // namespace
}  // namespace tconv::test
