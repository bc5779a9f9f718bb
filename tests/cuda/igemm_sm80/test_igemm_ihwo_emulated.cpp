// SPDX-License-Identifier: Apache-2.0
// test_igemm_ihwo_emulated.cpp: the row `igemm_sm80` with 16-bit filters in the order IHWO, as they
// are, in the emulator: equality, every synchronisation missed, no bank conflicts, whole copies.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "tests/cuda/igemm_sm80/igemm_runs.h"

namespace tconv::test {
namespace {

ProblemDesc ihwo_problem(int64_t batch, int64_t in_c, int64_t out_c, const Axis& h, const Axis& w,
                         DType type = DType::f16, int64_t groups = 1) {
  ProblemDesc d = problem_of(batch, in_c, out_c, h, w, type);
  d.filter_order = FilterOrder::ihwo;
  d.groups = groups;
  return d;
}

// Output channels of 8, 4, 2 and 1: whole copies, pieces, through registers. Columns of several
// phases, column tiles, chunks of channels of which the last is short, groups.
TEST(IgemmIhwo, EqualsTheReference) {
  const Axis half = axis(9, 4, 2, 1);
  std::vector<ProblemDesc> problems = {
      ihwo_problem(1, 136, 72, half, axis(11, 4, 2, 1)),
      ihwo_problem(2, 72, 24, axis(6, 2, 2, 0), axis(9, 2, 2, 0), DType::bf16),
      ihwo_problem(1, 48, 136, axis(7, 3, 1, 1), axis(19, 3, 1, 1), DType::bf16),
      ihwo_problem(1, 130, 12, axis(7, 3, 2, 1), axis(10, 3, 2, 1)),
      ihwo_problem(1, 64, 6, half, half, DType::bf16),
      ihwo_problem(2, 40, 3, half, half),
      ihwo_problem(1, 33, 8, axis(3, 1, 1, 0), axis(20, 16, 8, 4)),
      ihwo_problem(1, 17, 5, axis(3, 1, 1, 0), axis(20, 16, 8, 4), DType::bf16),
      ihwo_problem(3, 24, 40, axis(1, 4, 1, 0), axis(1, 4, 1, 0)),
      ihwo_problem(1, 48, 40, axis(9, 3, 2, 1, 2), axis(9, 3, 2, 1, 2)),
      ihwo_problem(2, 96, 48, axis(8, 4, 2, 1), axis(7, 4, 2, 1), DType::f16, 3),
      ihwo_problem(2, 99, 63, axis(8, 4, 2, 1), axis(7, 4, 2, 1), DType::bf16, 3),
      ihwo_problem(1, 64, 24, axis(13, 4, 2, 1), axis(11, 4, 2, 1)),
      ihwo_problem(1, 21, 33, axis(6, 3, 1, 1), axis(7, 5, 3, 1)),
  };
  problems[12].layout = problems[13].layout = Layout::nchw;
  uint64_t seed = 0;
  for (const ProblemDesc& d : problems) {
    EXPECT_GE(expect_exact(Problem(d), ++seed), 2) << Problem(d).key();
  }
}

/// What a run gives for the first output channel of each pixel.
std::vector<uint16_t> first_channels(const Problem& problem, const Operands& operands,
                                     const char* tile) {
  const DeviceOperands device(operands);
  emulator::configure({});
  run(make_plan(problem, {.device = DeviceKind::cuda, .kernels = {"igemm_sm80"}, .tile = tile}),
      device.tensors(), {}, nullptr);
  const Bytes output = device.output.download();
  std::vector<uint16_t> values;
  for (int64_t i = 0; i < problem.output_extents().count(); i += problem.desc().out_c) {
    uint16_t value = 0;
    std::memcpy(&value, output.data() + i * 2, 2);
    values.push_back(value);
  }
  return values;
}

// Past a group's last channel lie the next group's filters. Zeros of the window would not hide
// them: zero times infinity is NaN.
TEST(IgemmIhwo, ReadsNoFiltersOfTheNextGroup) {
  const Problem problem(ihwo_problem(1, 40, 16, axis(5, 4, 2, 1), axis(5, 4, 2, 1), DType::f16, 2));
  const Operands operands = small_integers(problem, 1);
  Operands poisoned = operands;
  for (auto at = static_cast<std::size_t>(problem.filter_bytes() / 2);
       at < static_cast<std::size_t>(problem.filter_bytes()); at += 2) {
    const uint16_t infinity = 0x7c00;
    std::memcpy(poisoned.filters.data() + at, &infinity, 2);
  }
  for (const IgemmTile& tile : kIgemmTiles) {
    if (!run_tile(problem, tile, {}).taken) continue;
    EXPECT_EQ(first_channels(problem, operands, tile.name),
              first_channels(problem, poisoned, tile.name))
        << tile.name;
  }
}

TEST(IgemmIhwo, NeedsEachSynchronisation) {
  const Problem problem(ihwo_problem(1, 136, 72, axis(9, 4, 2, 1), axis(17, 4, 2, 1)));
  for (const int index : {0, 1, 5}) {  // rows of 256, 128 and 64 bytes
    const IgemmTile& tile = kIgemmTiles[index];
    EXPECT_EQ(unmissed(problem, tile), "") << tile.name;
    for (uint64_t seed = 2; seed <= 3; ++seed) {
      EXPECT_TRUE(run_tile(problem, tile, {.seed = seed}, seed).right) << tile.name;
    }
  }
}

TEST(IgemmIhwo, CopiesWholeChunksAndReadsThemWithoutConflicts) {
  const Problem problem(ihwo_problem(1, 64, 64, axis(9, 4, 2, 1), axis(17, 4, 2, 1)));
  for (const IgemmTile& tile : kIgemmTiles) {
    const Outcome outcome = run_tile(problem, tile, {.count = true});
    ASSERT_TRUE(outcome.right) << tile.name << outcome.finding;
    const emulator::Counters& counters = emulator::reports().back().counters;
    EXPECT_EQ(counters.ldmatrix.wavefronts, counters.ldmatrix.ideal) << tile.name;
    EXPECT_EQ(counters.async_copies.useful_bytes, counters.async_copies.moved_bytes()) << tile.name;
  }
}

TEST(IgemmIhwo, LeavesUnalignedFiltersToSmallTiles) {
  const Problem problem(ihwo_problem(1, 64, 20, axis(9, 4, 2, 1), axis(9, 4, 2, 1)));
  for (const IgemmTile& tile : kIgemmTiles) {
    EXPECT_EQ(run_tile(problem, tile, {}).taken, takes_unaligned_ihwo(tile)) << tile.name;
  }
}

}  // namespace
}  // namespace tconv::test
