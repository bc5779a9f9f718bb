// SPDX-License-Identifier: Apache-2.0
// test_warp_instructions.cpp: ldmatrix, shuffles, votes and the conversion to TF32. (The products
// of a warp: test_mma_instructions.cpp.)
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/emulator/warp_instructions.h"

namespace tconv::emulator {
namespace {

/// 32 rows of eight elements that say where they are: 100 * row + column.
struct Rows {
  uint16_t element[kLanes][8];
  std::array<std::array<uint32_t, 4>, kLanes> registers{};
  std::vector<const void*> address;
  std::array<uint32_t*, kLanes> targets;
  explicit Rows(int matrices) {
    for (int r = 0; r < kLanes; ++r) {
      for (int c = 0; c < 8; ++c) element[r][c] = static_cast<uint16_t>(100 * r + c);
      targets[r] = registers[r].data();
    }
    for (int i = 0; i < 8 * matrices; ++i) address.push_back(element[31 - i]);  // any order of rows
  }
};

class Ldmatrix : public testing::TestWithParam<int> {};

TEST_P(Ldmatrix, LaneHoldsTwoNeighboursOfARow) {
  // Which row and columns a lane receives, as the manual's figure has it.
  constexpr int kRow[kLanes] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3,
                                4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7};
  constexpr int kColumn[kLanes] = {0, 2, 4, 6, 0, 2, 4, 6, 0, 2, 4, 6, 0, 2, 4, 6,
                                   0, 2, 4, 6, 0, 2, 4, 6, 0, 2, 4, 6, 0, 2, 4, 6};
  Rows rows(GetParam()), transposed(GetParam());
  ldmatrix(rows.address, rows.targets);
  ldmatrix_trans(transposed.address, transposed.targets);
  for (int lane = 0; lane < kLanes; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const auto element = [&](int row, int column) {
        return static_cast<uint32_t>(100 * (31 - (8 * i + row)) + column);
      };
      const int r = kRow[lane], c = kColumn[lane];
      const bool loaded = i < GetParam();
      ASSERT_EQ(rows.registers[lane][i], loaded ? element(r, c) | element(r, c + 1) << 16 : 0);
      ASSERT_EQ(transposed.registers[lane][i],
                loaded ? element(c, r) | element(c + 1, r) << 16 : 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Matrices, Ldmatrix, testing::Values(1, 2, 4));

struct Exchange {
  std::array<ShuffleLane, kLanes> lanes;
  std::array<uint64_t, kLanes> result{};
  explicit Exchange(uint32_t operand) {
    for (int i = 0; i < kLanes; ++i) {
      lanes[i] = {.value = 1000U + i, .operand = operand, .result = &result[i]};
    }
  }
  std::vector<int> sources(Shuffle mode, int width) {
    EXPECT_FALSE(shuffle(mode, ~0U, width, lanes));
    std::vector<int> from;
    for (const uint64_t r : result) from.push_back(static_cast<int>(r - 1000));
    return from;
  }
};

TEST(Shuffle, OverTheWholeWarp) {
  const std::vector<int> up3 = {0,  1,  2,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
                                13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28};
  const std::vector<int> down3 = {3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18,
                                  19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 29, 30, 31};
  const std::vector<int> xor5 = {5,  4,  7,  6,  1,  0,  3,  2,  13, 12, 15, 14, 9,  8,  11, 10,
                                 21, 20, 23, 22, 17, 16, 19, 18, 29, 28, 31, 30, 25, 24, 27, 26};
  EXPECT_EQ(Exchange(3).sources(Shuffle::up, 32), up3);
  EXPECT_EQ(Exchange(3).sources(Shuffle::down, 32), down3);
  EXPECT_EQ(Exchange(5).sources(Shuffle::bfly, 32), xor5);
  EXPECT_EQ(Exchange(9).sources(Shuffle::idx, 32), std::vector<int>(32, 9));
  EXPECT_EQ(Exchange(32 + 9).sources(Shuffle::idx, 32), std::vector<int>(32, 9));  // five bits
}

TEST(Shuffle, StaysInItsSegment) {
  const std::vector<int> up3 = {0,  1,  2,  0,  1,  2,  3,  4,  8,  9,  10, 8,  9,  10, 11, 12,
                                16, 17, 18, 16, 17, 18, 19, 20, 24, 25, 26, 24, 25, 26, 27, 28};
  const std::vector<int> down3 = {3,  4,  5,  6,  7,  5,  6,  7,  11, 12, 13, 14, 15, 13, 14, 15,
                                  19, 20, 21, 22, 23, 21, 22, 23, 27, 28, 29, 30, 31, 29, 30, 31};
  const std::vector<int> idx10 = {2,  2,  2,  2,  2,  2,  2,  2,  10, 10, 10, 10, 10, 10, 10, 10,
                                  18, 18, 18, 18, 18, 18, 18, 18, 26, 26, 26, 26, 26, 26, 26, 26};
  // A butterfly across segments reads the earlier one; from there it would reach too far and stays.
  const std::vector<int> xor8 = {0,  1,  2,  3,  4,  5,  6,  7,  0,  1,  2,  3,  4,  5,  6,  7,
                                 16, 17, 18, 19, 20, 21, 22, 23, 16, 17, 18, 19, 20, 21, 22, 23};
  EXPECT_EQ(Exchange(3).sources(Shuffle::up, 8), up3);
  EXPECT_EQ(Exchange(3).sources(Shuffle::down, 8), down3);
  EXPECT_EQ(Exchange(10).sources(Shuffle::idx, 8), idx10);
  EXPECT_EQ(Exchange(8).sources(Shuffle::bfly, 8), xor8);
}

TEST(Shuffle, ReportsASourceOutsideTheMask) {
  Exchange e(1);
  const auto undefined = shuffle(Shuffle::down, 0x0000ffff, 32, e.lanes);
  ASSERT_TRUE(undefined);
  EXPECT_EQ(undefined->lane, 15);
  EXPECT_EQ(undefined->source, 16);
  EXPECT_EQ(e.result[0], 0U);  // nothing was written
  EXPECT_FALSE(shuffle(Shuffle::down, 0x0000ffff, 16, e.lanes));
  EXPECT_EQ(e.result[15], 1015U);
  EXPECT_EQ(e.result[16], 0U);  // not in the mask
}

TEST(Vote, CountsTheMaskAlone) {
  EXPECT_EQ(vote_ballot(0x0000ffff, 0xff00ff00), 0x0000ff00U);
  EXPECT_TRUE(vote_any(0x0000ffff, 0xff00ff00));
  EXPECT_FALSE(vote_any(0x000000ff, 0xff00ff00));
  EXPECT_TRUE(vote_all(0x0000ff00, 0xff00ff00));
  EXPECT_FALSE(vote_all(0x0001ff00, 0xff00ff00));
  EXPECT_TRUE(vote_uni(0x0000ff00, 0xff00ff00));
  EXPECT_TRUE(vote_uni(0x000000ff, 0xff00ff00));
  EXPECT_FALSE(vote_uni(0x00000180, 0xff00ff00));
}

TEST(CvtRnaTf32, RoundsToNearestTiesAway) {
  const auto converted = [](float x) { return std::bit_cast<float>(cvt_rna_tf32(x)); };
  EXPECT_EQ(converted(0), 0);
  EXPECT_EQ(cvt_rna_tf32(-0.0F), 0x80000000U);
  EXPECT_EQ(converted(1), 1);
  EXPECT_EQ(converted(1 + 0x1p-11F), 1 + 0x1p-10F);  // a tie
  EXPECT_EQ(converted(-1 - 0x1p-11F), -1 - 0x1p-10F);
  EXPECT_EQ(converted(1 + 0x1p-11F - 0x1p-23F), 1);
  EXPECT_EQ(converted(1 + 3 * 0x1p-11F), 1 + 2 * 0x1p-10F);  // to even would be the same
  EXPECT_EQ(converted(2 - 0x1p-23F), 2);                     // carries into the exponent
  EXPECT_EQ(converted(std::numeric_limits<float>::max()), std::numeric_limits<float>::infinity());
  EXPECT_EQ(converted(std::numeric_limits<float>::denorm_min()), 0);
  EXPECT_EQ(converted(0x1p-137F), 0x1p-136F);  // half of the last place of a subnormal
}

TEST(CvtRnaTf32, KeepsInfinitiesAndNans) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(cvt_rna_tf32(kInfinity), 0x7f800000U);
  EXPECT_EQ(cvt_rna_tf32(-kInfinity), 0xff800000U);
  for (const uint32_t bits : {0x7fffffffU, 0x7f800001U, 0xffc00000U}) {
    const uint32_t nan = cvt_rna_tf32(std::bit_cast<float>(bits));
    EXPECT_TRUE(std::isnan(std::bit_cast<float>(nan)));
    EXPECT_EQ(nan & 0x1fffU, 0U);  // mma takes it
  }
}

}  // namespace
}  // namespace tconv::emulator
