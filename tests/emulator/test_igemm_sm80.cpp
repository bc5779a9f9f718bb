// SPDX-License-Identifier: Apache-2.0
// test_igemm_sm80.cpp: the row `igemm_sm80` in the emulator: equality with the reference on small
// integers, nothing found, several orders of the threads; every synchronisation is missed when it
// is dropped; what a plan predicts is what the emulator counts.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "src/host/igemm_plan.h"
#include "src/host/plan.h"
#include "src/host/reference.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/igemm_runs.h"
#include "tests/gpu/device_operands.h"

namespace tconv::test {
namespace {

// Channels 1, 3, 21, 33: odd rows. 130 channels: several chunks. Boxes that stick out, images of
// one pixel, batches within a box.
std::vector<ProblemDesc> chosen_problems() {
  const Axis half = axis(9, 4, 2, 1);
  std::vector<ProblemDesc> all = {
      problem_of(1, 40, 72, half, axis(17, 4, 2, 1)),
      problem_of(1, 130, 24, axis(7, 3, 2, 1, 1, 1), axis(10, 3, 2, 1, 1, 1), DType::bf16),
      problem_of(2, 72, 24, axis(6, 2, 2, 0), axis(9, 2, 2, 0)),
      problem_of(1, 48, 136, axis(7, 3, 1, 1), axis(19, 3, 1, 1), DType::bf16),
      problem_of(2, 36, 40, axis(5, 5, 2, 2, 1, 1), axis(6, 5, 2, 2, 1, 1)),
      problem_of(33, 32, 16, axis(2, 4, 2, 1), axis(2, 4, 2, 1)),
      problem_of(130, 40, 5, axis(1, 4, 1, 0), axis(1, 4, 1, 0)),
      problem_of(1, 33, 8, axis(3, 1, 1, 0), axis(20, 16, 8, 4)),
      problem_of(2, 32, 16, axis(5, 2, 3, 0), axis(6, 2, 3, 0)),
      problem_of(3, 21, 9, axis(6, 7, 3, 2), axis(5, 7, 3, 1), DType::bf16),
      problem_of(1, 48, 40, axis(9, 3, 2, 1, 2), axis(9, 3, 2, 1, 2)),
      problem_of(1, 3, 40, axis(11, 3, 1, 2, 2), axis(13, 3, 1, 3, 3)),
      problem_of(2, 1, 3, half, half, DType::bf16),
      problem_of(1, 64, 64, axis(1, 1, 1, 0), axis(1, 1, 1, 0)),
      problem_of(1, 72, 40, half, axis(9, 3, 2, 1), DType::f32),
      problem_of(2, 37, 19, axis(7, 3, 1, 1), axis(5, 4, 3, 1), DType::f32),
  };
  // Planes of channels: NCHW.
  for (const ProblemDesc& d :
       {problem_of(1, 64, 24, axis(13, 4, 2, 1), axis(11, 4, 2, 1)),
        problem_of(3, 21, 33, axis(6, 3, 1, 1), axis(7, 5, 3, 1), DType::bf16),
        problem_of(2, 40, 19, axis(5, 3, 2, 1, 2), axis(9, 4, 2, 1), DType::f32)}) {
    all.push_back(d);
    all.back().layout = Layout::nchw;
  }
  ProblemDesc grouped = problem_of(2, 99, 63, axis(8, 4, 2, 1), axis(7, 4, 2, 1));
  grouped.groups = 3;
  all.push_back(grouped);
  // Filters whose columns are neighbours; several chunks of channels.
  all.push_back(problem_of(1, 136, 24, half, axis(11, 4, 2, 1)));
  all.back().filter_order = FilterOrder::ihwo;
  for (std::size_t i = 0; i < all.size(); ++i) {
    ProblemDesc& d = all[i];
    d.has_bias = i % 2 == 0;
    d.has_residual = i % 3 == 0;
    d.activation = static_cast<Activation>(i % 5);
    if (d.activation == Activation::leaky_relu) d.activation_a = 0.5;
    if (d.activation == Activation::clamp) d.activation_a = -6, d.activation_b = 6;
    if (i % 4 == 1) d.output_dtype = DType::f32;
  }
  return all;
}

TEST(IgemmEmulated, EqualsTheReferenceOnChosenProblems) {
  uint64_t seed = 0;
  for (const ProblemDesc& d : chosen_problems()) {
    EXPECT_GE(expect_exact(Problem(d), ++seed), 2);
  }
}

TEST(IgemmEmulated, EqualsTheReferenceOnRandomProblems) {
  std::mt19937_64 random(20261125);
  RandomLimits limits;
  limits.dtypes = {DType::f16, DType::bf16, DType::f32};
  limits.zero_sizes = false;
  int taken = 0;
  const int problems = enumeration(600, 30);
  for (int i = 0; i < problems && !testing::Test::HasFailure(); ++i) {
    limits.max_channels = i % 2 == 0 ? 40 : 8;
    ProblemDesc d = random_desc(random, limits);
    const bool ihwo = d.dtype != DType::f32 && random() % 3 == 0;
    d.filter_order = ihwo ? FilterOrder::ihwo : FilterOrder::hwoi;
    d.input_strides = d.output_strides = d.residual_strides = {};
    if (random() % 3 == 0) {  // slices of wider tensors
      const auto widened = [&](Extents e) {
        e.c += static_cast<int64_t>(random() % 9), e.w += static_cast<int64_t>(random() % 2);
        return dense_strides(d.layout, e);
      };
      d.input_strides = widened({d.batch, d.h.in, d.w.in, d.in_c});
      d.output_strides = widened({d.batch, d.h.out, d.w.out, d.out_c});
    }
    if (random() % 2 == 0) d.alignment = 16;
    taken += expect_exact(Problem(d), static_cast<uint64_t>(i));
  }
  EXPECT_GT(taken, problems);
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
    const DeviceCopy packed(Bytes(plan.state().packed_filter_bytes, kPoison));
    prepack(plan, device.filters.data(), packed.data(), plan.state().packed_filter_bytes, nullptr);
    Tensors tensors = device.tensors();
    tensors.filters = packed.data();
    run(plan, tensors, {}, nullptr);
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
  d.filter_order = FilterOrder::iohw;
  EXPECT_NE(declined(d).find("HWOI"), std::string::npos);
  EXPECT_EQ(declined(d, {.prepacked_filters = true}), "");
  d.filter_order = FilterOrder::ihwo;
  EXPECT_EQ(declined(d), "");
  d.dtype = d.output_dtype = d.bias_dtype = DType::f32;
  EXPECT_NE(declined(d, {.math = Math::tf32}).find("16-bit ones also in IHWO"), std::string::npos);
  d.filter_order = FilterOrder::hwoi;
  EXPECT_NE(declined(d).find("math=tf32"), std::string::npos);
  EXPECT_EQ(declined(d, {.math = Math::tf32}), "");
  EXPECT_EQ(declined(d, {.math = Math::tf32x3}), "");
  d.h.in = 0;
  EXPECT_NE(declined(d, {.math = Math::tf32}).find("empty"), std::string::npos);
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
  EXPECT_NO_THROW(run(make_plan(problem, options), device.tensors(), {}, nullptr));
}

TEST(IgemmEmulated, NeedsEachSynchronisation) {
  // Several chunks and taps, two blocks an axis.
  const Problem problem(problem_of(1, 136, 72, axis(9, 4, 2, 1), axis(17, 4, 2, 1)));
  for (const IgemmTile& tile : kIgemmTiles) EXPECT_EQ(unmissed(problem, tile), "") << tile.name;
  // Rows of odd channels go through registers: there are no copies to wait for. Three chunks: the
  // last is where the epilogue stages.
  const Problem odd(problem_of(1, 149, 21, axis(9, 3, 1, 1), axis(9, 3, 1, 1)));
  EXPECT_EQ(unmissed(odd, kIgemmTiles[1], "__sync"), "");
}

TEST(IgemmEmulated, IssuesWhatThePlanPredicts) {
  std::mt19937_64 random(3);
  for (const ProblemDesc& d : chosen_problems()) {
    const Problem problem(d);
    for (const IgemmTile& tile : kIgemmTiles) {
      if (random() % 2 == 0) continue;
      if (!run_tile(problem, tile, {.check_memory = false, .check_races = false}).taken) continue;
      const IgemmPlan plan = plan_igemm(problem, tile, cuda_facts());
      // A second launch fills outputs without taps.
      const emulator::Counters& counters = emulator::reports().front().counters;
      EXPECT_EQ(static_cast<double>(counters.multiply_adds), plan.issued_macs)
          << problem.key() << " " << tile.name;
    }
  }
}

TEST(IgemmEmulated, ReadsSharedMemoryWithoutConflictsAndStoresWholeRuns) {
  const Problem problem(problem_of(1, 64, 64, axis(9, 4, 2, 1), axis(17, 4, 2, 1)));
  for (const IgemmTile& tile : kIgemmTiles) {
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
