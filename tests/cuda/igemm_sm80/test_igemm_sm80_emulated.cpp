// SPDX-License-Identifier: Apache-2.0
// test_igemm_sm80_emulated.cpp: the row `igemm_sm80` in the emulator: equality with the reference
// on small integers, nothing found, several orders of the threads; every synchronisation is missed
// when it is dropped; what a plan predicts is what the emulator counts.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "src/cuda/igemm_sm80/plan.h"
#include "src/host/cpu/reference.h"
#include "src/host/plan/plan.h"
#include "src/host/run/run.h"
#include "tests/cuda/igemm_sm80/igemm_runs.h"
#include "tests/emulator/emulator.h"
#include "tests/gpu/device_operands.h"

namespace tconv::host {
extern const Kernel igemm_sm80_kernel;
}  // namespace tconv::host

namespace tconv::test {
namespace {

TEST(IgemmEmulated, EqualsTheReferenceOnChosenProblems) {
  uint64_t seed = 0;
  for (const ProblemDesc& d : chosen_problems()) {
    EXPECT_GE(expect_exact(Problem(d), ++seed), 2);
  }
}

TEST(IgemmEmulated, TakesFiltersInAnyOrderPrepacked) {
  for (const FilterOrder order : {FilterOrder::hwoi, FilterOrder::ihwo, FilterOrder::iohw}) {
    ProblemDesc d = problem_of(1, 48, 20, axis(5, 3, 2, 1), axis(6, 4, 2, 1));
    d.groups = 2;
    d.filter_order = order;
    const Problem problem(d);
    const Plan plan = make_plan(
        problem,
        {.device = DeviceKind::cuda, .kernels = {"igemm_sm80"}, .prepacked_filters = true});
    const Operands operands = small_integers(problem, 1);
    Operands expected = operands;
    reference_conv2d_transpose(problem, expected.tensors(), 1);
    const DeviceOperands device(operands);
    const DeviceCopy packed(Bytes(plan.packed_filter_bytes(), kPoison));
    prepack(plan, device.filters.data(), packed.data(), plan.packed_filter_bytes(), nullptr);
    Tensors tensors = device.tensors();
    tensors.filters = packed.data();
    run_on_device(plan, tensors);
    EXPECT_TRUE(device.output.download() == expected.output) << problem.key();
  }
}

/// Why the row takes no problem like this.
std::string declined(const ProblemDesc& d, const Options& options = {}) {
  return igemm_sm80_kernel.declines(Problem(d), options, cuda_facts());
}

TEST(IgemmEmulated, SaysWhatItDoesNotTake) {
  ProblemDesc d = problem_of(1, 8, 8, axis(4, 3, 1, 1), axis(4, 3, 1, 1));
  EXPECT_EQ(declined(d), "");
  for (const FilterOrder order : {FilterOrder::iohw, FilterOrder::ihwo, FilterOrder::hwoi}) {
    d.filter_order = order;
    EXPECT_EQ(declined(d), "");
  }
  d.dtype = d.output_dtype = d.bias_dtype = DType::f32;
  EXPECT_NE(declined(d).find("math=tf32"), std::string::npos);
  EXPECT_EQ(declined(d, {.math = Math::tf32}), "");
  EXPECT_EQ(declined(d, {.math = Math::tf32x3}), "");
  d.h.in = 0;
  EXPECT_NE(declined(d, {.math = Math::tf32}).find("empty"), std::string::npos);
}

TEST(IgemmEmulated, SplitsTheDepthWhereBlocksAreFew) {
  const Problem problem(problem_of(1, 600, 40, axis(5, 3, 1, 1), axis(6, 3, 1, 1)));
  const auto split_k = [&](int64_t limit) {
    return igemm::plan_tile(problem, igemm::kTiles[0], cuda_facts(), Math::tf32, limit)
        .params.split_k;
  };
  const int64_t slice = problem.output_extents().count() * 4;
  EXPECT_GT(split_k(-1), 4);
  EXPECT_EQ(split_k(0), 1);
  EXPECT_LE(split_k(4 * slice), 4);
  EXPECT_GT(split_k(4 * slice), 1);
  // Other cuts have other sums, each the same at every run.
  expect_exact(problem, 1);
}

TEST(IgemmEmulated, SlicesOfSeveralChunks) {
  for (const igemm::Tile& tile : igemm::kTiles) expect_slices_of_several_chunks(tile);
}

TEST(IgemmEmulated, AnyOrderOfTheThreads) {
  const Problem problem(problem_of(1, 136, 24, axis(9, 4, 2, 1), axis(17, 4, 2, 1)));
  for (uint64_t seed = 1; seed <= 4; ++seed) expect_exact(problem, seed);
}

/// Operands with all bits of f32: the emulator reports one that reaches the tensor cores unrounded.
TEST(IgemmEmulated, RoundsOperandsToTf32) {
  ProblemDesc d = problem_of(1, 24, 16, axis(5, 3, 2, 1), axis(5, 3, 2, 1));
  d.dtype = d.output_dtype = d.bias_dtype = DType::f32;
  const Problem problem(d);
  const Options options = {
      .device = DeviceKind::cuda, .kernels = {"igemm_sm80"}, .math = Math::tf32};
  const DeviceOperands device(uniform(problem, 1));
  emulator::configure({});
  EXPECT_NO_THROW(run_on_device(make_plan(problem, options), device.tensors()));
}

TEST(IgemmEmulated, NeedsEachSynchronisation) {
  // Several chunks and taps, two blocks an axis.
  const Problem problem(problem_of(1, 136, 72, axis(9, 4, 2, 1), axis(17, 4, 2, 1)));
  for (const igemm::Tile& tile : igemm::kTiles) EXPECT_EQ(unmissed(problem, tile), "") << tile.name;
  // Rows of odd channels go through registers: there are no copies to wait for. Three chunks: the
  // last is where the epilogue stages.
  const Problem odd(problem_of(1, 149, 21, axis(9, 3, 1, 1), axis(9, 3, 1, 1)));
  EXPECT_EQ(unmissed(odd, igemm::kTiles[1], "__sync"), "");
}

TEST(IgemmEmulated, IssuesWhatThePlanPredicts) {
  std::mt19937_64 random(3);
  for (const ProblemDesc& d : chosen_problems()) {
    const Problem problem(d);
    for (const igemm::Tile& tile : igemm::kTiles) {
      if (random() % 2 == 0) continue;
      if (!run_tile(problem, tile, {.check_memory = false, .check_races = false}).taken) continue;
      const igemm::Plan plan = igemm::plan_tile(problem, tile, cuda_facts(), Math::tf32, 0);
      // A second launch writes outputs without taps.
      const emulator::Counters& counters = emulator::reports().front().counters;
      EXPECT_EQ(static_cast<double>(counters.multiply_adds), plan.issued_macs)
          << problem.key() << " " << tile.name;
    }
  }
}

TEST(IgemmEmulated, ReadsSharedMemoryWithoutConflictsAndStoresWholeRuns) {
  const Problem problem(problem_of(1, 64, 64, axis(9, 4, 2, 1), axis(17, 4, 2, 1)));
  for (const igemm::Tile& tile : igemm::kTiles) {
    const Outcome outcome = run_tile(problem, tile, {.count = true});
    ASSERT_TRUE(outcome.right) << tile.name << outcome.finding;
    const emulator::Counters& counters = emulator::reports().back().counters;
    EXPECT_EQ(counters.ldmatrix.wavefronts, counters.ldmatrix.ideal) << tile.name;
    EXPECT_EQ(counters.global_stores.useful_bytes, 16 * counters.global_stores.lanes) << tile.name;
    EXPECT_EQ(counters.global_stores.moved_bytes(), counters.global_stores.useful_bytes)
        << tile.name;
  }
}

}  // namespace
}  // namespace tconv::test
