// SPDX-License-Identifier: Apache-2.0
// test_igemm_random_emulated.cpp: the row `igemm_sm80` in the emulator on random problems, each
// with a tile that takes it: equality with the reference, nothing found. Three of four problems
// keep the pipeline busy: three iterations and two M tiles an axis or more.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <string>

#include "tests/cuda/igemm_sm80/igemm_runs.h"

namespace tconv::test {
namespace {

/// Iterations of the blocks that have fewest, and M tiles of the axis that has fewest.
bool is_busy(const igemm::Tile& tile, const igemm::Plan& plan) {
  const igemm::Params& p = plan.params;
  const int64_t chunks = ceil_div(p.channel_bytes, tile.row_bytes);
  int64_t fewest = igemm::kMaxTaps;
  for (int g = 0; g < p.group_count; ++g) {
    fewest = std::min<int64_t>(fewest, chunks * p.groups[g].iterations);
  }
  return fewest >= 3 && p.h.tiles * p.h.input_step >= 2 && p.w.tiles * p.w.input_step >= 2;
}

ProblemDesc random_problem(std::mt19937_64& random, const igemm::Tile& tile, bool busy) {
  RandomLimits limits;
  limits.dtypes = {DType::f16, DType::bf16, DType::f32};
  limits.zero_sizes = false;
  limits.max_in = !busy ? 6 : tile.m > 128 ? 36 : 24;
  // Few of them large: the reference takes its time.
  const std::array<int64_t, 6> channels = {8, 8, 24, 40, 40, 150};
  limits.max_channels = channels[random() % channels.size()];
  ProblemDesc d = random_desc(random, limits);
  d.filter_order = std::array{FilterOrder::hwoi, FilterOrder::hwoi, FilterOrder::ihwo,
                              FilterOrder::iohw}[random() % 4];
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
  return d;
}

bool is_small(const igemm::Tile& tile, const Problem& problem) {
  const int share = tile.m > 128 ? 2 : 1;
  return problem.useful_macs() < 5e5 * share && problem.output_extents().count() < 8000 * share;
}

TEST(IgemmRandom, EqualsTheReference) {
  std::mt19937_64 random(20261125);
  const int problems = enumeration(1200, 40);
  std::map<std::string, int> runs;
  int persistent = 0;
  for (int i = 0; i < problems; ++i) {
    const igemm::Tile& tile = igemm::kTiles[i % igemm::kTileCount];
    const bool busy = i / igemm::kTileCount % 4 != 3;
    const Math math = random() % 4 == 0 ? Math::tf32x3 : Math::tf32;
    const auto limit = random() % 2 == 0 ? 0 : -1;
    const int cores = random() % 2 == 0 ? 1 : 0;  // few: several M tiles for a block
    bool taken = false;  // one of many: some tiles take few problems, and drawing costs little
    for (int tries = 0; tries < 100000 && !taken; ++tries) {
      const Problem problem(random_problem(random, tile, busy));
      if (!is_small(tile, problem)) continue;
      const igemm::Plan plan = plan_of(problem, tile, {.cores = cores}, math, limit);
      if (!plan.refused.empty() || (busy && !is_busy(tile, plan))) continue;
      const auto seed = static_cast<uint64_t>(i);
      const Outcome outcome =
          run_tile(problem, tile, {.seed = seed, .cores = cores}, seed, math, limit);
      ASSERT_TRUE(outcome.taken && outcome.right)
          << problem.key() << " tile " << tile.name << " seed " << seed << "\n"
          << outcome.finding;
      ++runs[std::string(tile.name) + " " + name_of(problem.desc().layout)];
      persistent += plan.params.persistent_filters;
      taken = true;
    }
    ASSERT_TRUE(taken) << "no problem for tile " << tile.name;
  }
  EXPECT_GT(persistent, problems / 10);
  if (problems > 1000) {
    EXPECT_EQ(runs.size(), 2U * igemm::kTileCount);
    for (const auto& [what, times] : runs) EXPECT_GT(times, 40) << what;
  }
}

}  // namespace
}  // namespace tconv::test
