// SPDX-License-Identifier: Apache-2.0
// test_igemm_repack_emulated.cpp: the row `igemm_sm80` with filters in orders that its kernel does
// not read: repacked into the workspace before each run, in the emulator, and counted.
#include <gtest/gtest.h>

#include "src/cuda/igemm_sm80/prediction.h"
#include "tests/cuda/igemm_sm80/igemm_runs.h"

namespace tconv::test {
namespace {

TEST(IgemmRepack, EqualsTheReference) {
  uint64_t seed = 0;
  for (const ProblemDesc& d : repacked_problems()) {
    // Odd seeds have room for slices, even ones for the filters alone.
    const Problem problem(d);
    for (const int64_t limit : {int64_t{-1}, problem.filter_bytes()}) {
      int taken = 0;
      for (const igemm::Tile& tile : igemm::kTiles) {
        const Outcome outcome = run_tile(problem, tile, {.seed = ++seed}, seed, Math::tf32, limit);
        if (!outcome.taken) continue;
        ++taken;
        EXPECT_TRUE(outcome.right) << problem.key() << " " << tile.name << "\n" << outcome.finding;
      }
      EXPECT_GE(taken, 2) << problem.key();
    }
  }
}

TEST(IgemmRepack, WorkspaceHoldsSlicesAndThenTheFilters) {
  const Problem problem(repacked_problems()[4]);
  const igemm::Tile& tile = igemm::kTiles[1];
  const auto plan = [&](int64_t limit, bool prepacked = false) {
    return igemm::plan_tile(problem, tile, cuda_facts(), Math::tf32, limit, prepacked);
  };
  const int64_t filters = problem.filter_bytes(), slice = 4 * problem.output_extents().count();
  const igemm::Plan whole = plan(-1);
  ASSERT_GT(whole.params.split_k, 1);
  EXPECT_EQ(whole.repacked_bytes, filters);
  EXPECT_GE(whole.filters_offset, whole.params.split_k * slice);
  EXPECT_EQ(whole.filters_offset % 256, 0);
  EXPECT_EQ(whole.workspace_bytes, whole.filters_offset + filters);
  // A limit is for both; filters come first.
  for (int64_t limit = filters; limit < whole.workspace_bytes; limit += 200) {
    EXPECT_LE(plan(limit).workspace_bytes, limit);
  }
  EXPECT_EQ(plan(filters).params.split_k, 1);
  EXPECT_NE(plan(filters - 1).refused.find("are repacked, which needs " + std::to_string(filters)),
            std::string::npos);
  EXPECT_EQ(plan(0, true).refused, "");
  EXPECT_EQ(plan(0, true).workspace_bytes, 0);
  EXPECT_LT(igemm::estimate_us(problem, tile, plan(-1, true), cuda_facts()) + 1,
            igemm::estimate_us(problem, tile, whole, cuda_facts()));
}

TEST(IgemmRepack, IsPredictedAsTheEmulatorCounts) {
  for (const ProblemDesc& d : repacked_problems()) {
    const Problem problem(d);
    const igemm::Tile& tile = igemm::kTiles[1];
    emulator::configure({.check_memory = false, .check_races = false, .count = true});
    const DeviceFacts device = cuda_facts();
    const Plan plan = make_plan(problem, {.device = DeviceKind::cuda,
                                          .kernels = {"igemm_sm80"},
                                          .tile = tile.name,
                                          .math = Math::tf32});
    const igemm::Plan cut = igemm::plan_tile(problem, tile, device);
    const Prediction predicted = igemm::predict(problem, tile, cut, device);
    EXPECT_NE(predicted.mode.find("repack"), std::string::npos);
    const DeviceOperands operands(small_integers(problem, 1));
    emulator::forget_reports();
    run_on_device(plan, operands.tensors());
    emulator::Counters all;
    for (const emulator::Report& report : emulator::reports()) all.add(report.counters);
    EXPECT_EQ(predicted.blocks, static_cast<double>(all.blocks)) << problem.key();
    // The repack is the first launch.
    const emulator::Counters& repack = emulator::reports().front().counters;
    const double moved = predicted.l2.filters - cut.traffic.filters;
    EXPECT_GE(moved, static_cast<double>(repack.global_loads.moved_bytes() +
                                         repack.global_stores.useful_bytes));
    EXPECT_EQ(repack.global_stores.useful_bytes, static_cast<uint64_t>(problem.filter_bytes()));
    emulator::configure({});
  }
}

}  // namespace
}  // namespace tconv::test
