// SPDX-License-Identifier: Apache-2.0
// test_igemm_stationary_emulated.cpp: the row `igemm_sm80` where a block computes several boxes and
// keeps its filters, in the emulator. A GPU of one core: it has more boxes than blocks at once.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "src/host/device/device_models.h"
#include "tests/cuda/igemm_sm80/igemm_runs.h"

namespace tconv::test {
namespace {

bool is_stationary(const Problem& problem, const IgemmTile& tile, Math math = Math::tf32) {
  const IgemmPlan plan = plan_of(problem, tile, {.cores = 1}, math);
  return plan.refused.empty() && plan.params.stationary != 0;
}

/// Boxes enough for three turns of every tile; filters that fit; 8 iterations and more.
std::vector<Problem> problems_of_many_boxes() {
  std::vector<Problem> all;
  for (ProblemDesc d : {problem_of(2, 64, 32, axis(19, 4, 2, 1), axis(33, 4, 2, 1)),
                        problem_of(3, 37, 19, axis(17, 3, 1, 1), axis(21, 3, 1, 1)),
                        problem_of(2, 24, 17, axis(12, 3, 2, 1), axis(40, 5, 3, 1)),
                        problem_of(9, 32, 16, axis(9, 3, 2, 1, 2), axis(9, 3, 2, 1, 2)),
                        problem_of(2, 40, 24, axis(19, 2, 2, 0), axis(21, 2, 2, 0)),
                        problem_of(1, 36, 12, axis(24, 3, 2, 1), axis(32, 4, 2, 1), DType::f32)}) {
    d.alignment = 16;
    for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
      d.layout = layout;
      d.has_bias = d.has_residual = layout == Layout::nchw;
      all.emplace_back(d);
      if (d.dtype == DType::f32) continue;
      ProblemDesc ihwo = d;
      ihwo.filter_order = FilterOrder::ihwo;
      ihwo.groups = d.in_c % 2 == 0 && d.out_c % 2 == 0 ? 2 : 1;
      all.emplace_back(ihwo);
    }
  }
  return all;
}

TEST(IgemmStationary, EqualsTheReference) {
  std::map<std::string, int> candidates, runs;
  uint64_t seed = 0;
  const int every =
      enumeration(1, 3);  // of the problems that a tile takes, beginning with its first
  for (const Problem& problem : problems_of_many_boxes()) {
    for (const IgemmTile& tile : kIgemmTiles) {
      if (!is_stationary(problem, tile)) continue;
      if (candidates[tile.name]++ % every != 0) continue;
      ++runs[tile.name];
      const Outcome outcome = run_tile(problem, tile, {.seed = ++seed, .cores = 1}, seed);
      EXPECT_TRUE(outcome.right) << problem.key() << " tile " << tile.name << " "
                                 << outcome.finding;
    }
  }
  EXPECT_EQ(runs.size(), static_cast<std::size_t>(kIgemmTileCount));
  for (const auto& [tile, times] : candidates) EXPECT_GE(times, 3) << tile;
}

TEST(IgemmStationary, ThreeProductsOfTf32) {
  const Problem problem(problem_of(1, 36, 12, axis(24, 3, 2, 1), axis(32, 4, 2, 1), DType::f32));
  int runs = 0;
  for (const IgemmTile& tile : kIgemmTiles) {
    if (!is_stationary(problem, tile, Math::tf32x3)) continue;
    ++runs;
    EXPECT_TRUE(run_tile(problem, tile, {.cores = 1}, 1, Math::tf32x3).right) << tile.name;
  }
  EXPECT_GE(runs, 2);
}

TEST(IgemmStationary, NeedsEachSynchronisation) {
  // Two boxes and more, four iterations and more.
  const Problem problem(problem_of(1, 64, 32, axis(15, 4, 2, 1), axis(17, 4, 2, 1)));
  int tiles = 0;
  for (const IgemmTile& tile : kIgemmTiles) {
    if (!is_stationary(problem, tile)) continue;
    ++tiles;
    EXPECT_EQ(unmissed(problem, tile, "", Math::tf32, 1), "") << tile.name;
  }
  EXPECT_GE(tiles, 3);
}

// On a GPU as it is.
TEST(IgemmStationary, IsForManyBoxesAndFiltersThatFit) {
  const auto stationary = [](int64_t in_c, int64_t size) {
    const Axis both = axis(size, 4, 2, 1);
    const Problem problem(problem_of(1, in_c, 32, both, both));
    const IgemmTile& tile = kIgemmTiles[4];
    const DeviceFacts device = device_model("h200");
    const IgemmPlan plan = plan_igemm(problem, tile, device);
    if (plan.params.stationary == 0) return false;
    EXPECT_LE(plan.params.gemm_blocks, device.cores * plan.resident);
    EXPECT_LE(plan.shared_bytes, device.shared_bytes_per_block);
    return true;
  };
  EXPECT_TRUE(stationary(64, 512));
  EXPECT_FALSE(stationary(64, 32));    // a box for each block
  EXPECT_FALSE(stationary(512, 512));  // 512 KiB of filters
}

}  // namespace
}  // namespace tconv::test
