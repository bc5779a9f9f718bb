// SPDX-License-Identifier: Apache-2.0
// test_warp_instructions.cpp: the products of a warp against the manual's fragment tables and a
// product of plain loops; ldmatrix, shuffles, votes and the conversion to TF32.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "tests/emulator/mma_fragments.h"
#include "tests/emulator/warp_instructions.h"

namespace tconv::emulator {
namespace {

/// One of the manual's tables: at [row][column] the lane and the number of its element.
struct Place {
  int lane, element;
};
using Table = std::vector<std::vector<Place>>;

Table parse(const char* text) {
  Table table;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    auto& row = table.emplace_back();
    std::istringstream cells(line);
    for (std::string cell; cells >> cell;) {
      const auto dot = cell.find('.');
      row.push_back({std::stoi(cell.substr(0, dot)), std::stoi(cell.substr(dot + 1))});
    }
  }
  return table;
}

template <typename T>
using Matrix = std::vector<std::vector<T>>;

/// Registers of 32 lanes, kWords each, filled and read through a table.
template <typename Register, int kCount>
struct Registers {
  std::array<std::array<Register, kCount>, kLanes> lane{};

  template <typename Element>
  void set(const Place& place, Element value) {
    constexpr int kPerRegister = sizeof(Register) / sizeof(Element);
    Register& target = lane[place.lane][place.element / kPerRegister];
    std::memcpy(reinterpret_cast<char*>(&target) + place.element % kPerRegister * sizeof(Element),
                &value, sizeof(value));
  }
  template <typename Element>
  void fill(const Table& table, const Matrix<Element>& matrix) {
    for (std::size_t r = 0; r < table.size(); ++r) {
      for (std::size_t c = 0; c < table[r].size(); ++c) set(table[r][c], matrix[r][c]);
    }
  }
};

uint16_t f16_bits(int x) { return std::bit_cast<uint16_t>(static_cast<_Float16>(x)); }
uint16_t bf16_bits(int x) {
  return static_cast<uint16_t>(std::bit_cast<uint32_t>(static_cast<float>(x)) >> 16);
}
uint32_t f32_bits(int x) { return std::bit_cast<uint32_t>(static_cast<float>(x)); }
double f64_of(int x) { return x; }
int8_t s8_of(int x) { return static_cast<int8_t>(x); }

/// What the tests need to know of an instruction.
template <typename SumType, typename OperandType, int kA, int kB, int kSums, auto kEncode>
struct Shape {
  using Sum = SumType;
  using Operand = OperandType;
  static constexpr int kARegisters = kA, kBRegisters = kB, kSumRegisters = kSums;
  static auto encode(int x) { return kEncode(x); }
};
struct F16 : Shape<float, uint32_t, 4, 2, 4, f16_bits> {
  static constexpr const char *a = fragments::kA16816, *b = fragments::kB16816,
                              *c = fragments::kC168;
  static void run(const MmaWarp<float, uint32_t>& warp) { mma_m16n8k16_f16(warp); }
};
struct Bf16 : Shape<float, uint32_t, 4, 2, 4, bf16_bits> {
  static constexpr const char *a = fragments::kA16816, *b = fragments::kB16816,
                              *c = fragments::kC168;
  static void run(const MmaWarp<float, uint32_t>& warp) { mma_m16n8k16_bf16(warp); }
};
struct Tf32 : Shape<float, uint32_t, 4, 2, 4, f32_bits> {
  static constexpr const char *a = fragments::kA1688, *b = fragments::kB1688, *c = fragments::kC168;
  static void run(const MmaWarp<float, uint32_t>& warp) {
    EXPECT_EQ(mma_m16n8k8_tf32(warp), std::nullopt);
  }
};
struct F64 : Shape<double, double, 1, 1, 2, f64_of> {
  static constexpr const char *a = fragments::kA884, *b = fragments::kB884, *c = fragments::kC88;
  static void run(const MmaWarp<double, double>& warp) { mma_m8n8k4_f64(warp); }
};
struct S8 : Shape<int32_t, uint32_t, 4, 2, 4, s8_of> {
  static constexpr const char *a = fragments::kA16832, *b = fragments::kB16832,
                              *c = fragments::kC168;
  static void run(const MmaWarp<int32_t, uint32_t>& warp) { mma_m16n8k32_s8(warp); }
};

/// The three matrices of an instruction, in the registers of a warp.
template <typename S>
struct Warp {
  using Sum = typename S::Sum;
  using Element = decltype(S::encode(0));
  const Table a_table = parse(S::a), b_table = parse(S::b), c_table = parse(S::c);
  const int m = static_cast<int>(a_table.size()), k = static_cast<int>(b_table.size()),
            n = static_cast<int>(b_table[0].size());
  Registers<typename S::Operand, S::kARegisters> a;
  Registers<typename S::Operand, S::kBRegisters> b;
  Registers<Sum, S::kSumRegisters> c;

  Matrix<Element> encoded(const Matrix<int>& matrix) const {
    Matrix<Element> result;
    for (const auto& row : matrix) {
      auto& target = result.emplace_back();
      for (const int x : row) target.push_back(S::encode(x));
    }
    return result;
  }
  void set_a(const Matrix<int>& matrix) { a.fill(a_table, encoded(matrix)); }
  void set_b(const Matrix<int>& matrix) { b.fill(b_table, encoded(matrix)); }
  MmaWarp<Sum, typename S::Operand> lanes() {
    MmaWarp<Sum, typename S::Operand> warp;
    for (int i = 0; i < kLanes; ++i)
      warp[i] = {c.lane[i].data(), a.lane[i].data(), b.lane[i].data()};
    return warp;
  }
  void run() { S::run(lanes()); }
  Sum at(int row, int column) const {
    const Place& place = c_table[row][column];
    return c.lane[place.lane][place.element];
  }
};

Matrix<int> zeros(int rows, int columns) { return Matrix<int>(rows, std::vector<int>(columns)); }

template <typename S>
class Mma : public testing::Test {};
using Shapes = testing::Types<F16, Bf16, Tf32, F64, S8>;
TYPED_TEST_SUITE(Mma, Shapes);

TYPED_TEST(Mma, TablesNameEveryElementOnce) {
  const Warp<TypeParam> warp;
  using Element = typename Warp<TypeParam>::Element;
  const auto elements = [](const Table& table) {
    std::vector<std::pair<int, int>> all;
    for (const auto& row : table) {
      EXPECT_EQ(row.size(), table[0].size());
      for (const Place& place : row) all.emplace_back(place.lane, place.element);
    }
    std::sort(all.begin(), all.end());
    EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end());
    return static_cast<int>(all.size());
  };
  constexpr int kPerRegister = sizeof(typename TypeParam::Operand) / sizeof(Element);
  EXPECT_EQ(elements(warp.a_table), kLanes * TypeParam::kARegisters * kPerRegister);
  EXPECT_EQ(elements(warp.b_table), kLanes * TypeParam::kBRegisters * kPerRegister);
  EXPECT_EQ(elements(warp.c_table), kLanes * TypeParam::kSumRegisters);
}

TYPED_TEST(Mma, RandomIntegersEqualTheNaiveProduct) {
  std::mt19937 random(1);
  std::uniform_int_distribution<int> value(-100, 100), large(-1000000, 1000000);
  for (int round = 0; round < 50; ++round) {
    Warp<TypeParam> warp;
    Matrix<int> a = zeros(warp.m, warp.k), b = zeros(warp.k, warp.n), c = zeros(warp.m, warp.n);
    for (auto& row : a) std::generate(row.begin(), row.end(), [&] { return value(random); });
    for (auto& row : b) std::generate(row.begin(), row.end(), [&] { return value(random); });
    for (auto& row : c) std::generate(row.begin(), row.end(), [&] { return large(random); });
    warp.set_a(a);
    warp.set_b(b);
    for (int i = 0; i < warp.m; ++i) {
      for (int j = 0; j < warp.n; ++j) {
        warp.c.set(warp.c_table[i][j], static_cast<typename TypeParam::Sum>(c[i][j]));
      }
    }
    warp.run();
    for (int i = 0; i < warp.m; ++i) {
      for (int j = 0; j < warp.n; ++j) {
        int expected = c[i][j];
        for (int l = 0; l < warp.k; ++l) expected += a[i][l] * b[l][j];
        ASSERT_EQ(warp.at(i, j), expected)
            << "round " << round << ", row " << i << ", column " << j;
      }
    }
  }
}

TYPED_TEST(Mma, AnImpulseReachesOneRowAndColumn) {
  const Warp<TypeParam> sizes;
  for (int m = 0; m < sizes.m; ++m) {
    for (int k = 0; k < sizes.k; ++k) {
      const int n = (3 * m + k) % sizes.n;
      Warp<TypeParam> warp;
      warp.a.set(warp.a_table[m][k], TypeParam::encode(3));
      warp.b.set(warp.b_table[k][n], TypeParam::encode(5));
      warp.b.set(warp.b_table[(k + 1) % sizes.k][n], TypeParam::encode(7));  // meets a zero of a
      warp.run();
      for (int i = 0; i < sizes.m; ++i) {
        for (int j = 0; j < sizes.n; ++j) {
          ASSERT_EQ(warp.at(i, j), i == m && j == n ? 15 : 0) << "m " << m << ", k " << k;
        }
      }
    }
  }
}

TEST(MmaF16, WidensEveryValueExactly) {
  const Warp<F16> sizes;
  for (uint32_t first = 0; first < 65536; first += 256) {
    Warp<F16> warp;  // a * identity gives back a, columns 0 to 7 and then 8 to 15
    for (int half = 0; half < 2; ++half) {
      warp.b = {};
      warp.c = {};
      for (int n = 0; n < 8; ++n) warp.b.set(warp.b_table[8 * half + n][n], f16_bits(1));
      for (int m = 0; m < 16; ++m) {
        for (int k = 0; k < 16; ++k) {
          const auto bits = static_cast<uint16_t>(first + m * 16 + k);
          // A special value would make NaNs of the zeros that it meets: it comes alone.
          const bool here = k / 8 == half && (bits & 0x7c00) != 0x7c00;
          warp.a.set(warp.a_table[m][k], here ? bits : uint16_t{0});
        }
      }
      warp.run();
      for (int m = 0; m < 16; ++m) {
        for (int n = 0; n < 8; ++n) {
          const auto bits = static_cast<uint16_t>(first + m * 16 + 8 * half + n);
          if ((bits & 0x7c00) == 0x7c00) continue;
          ASSERT_EQ(warp.at(m, n), static_cast<float>(std::bit_cast<_Float16>(bits))) << bits;
        }
      }
    }
  }
}

TEST(MmaF16, InfinitiesAndNans) {
  for (const uint16_t bits : {0x7c00, 0xfc00, 0x7c01, 0x7e00, 0xffff}) {
    Warp<F16> warp;
    warp.a.set(warp.a_table[4][9], bits);
    for (int n = 0; n < 8; ++n) warp.b.set(warp.b_table[9][n], f16_bits(2));
    warp.run();
    const auto value = static_cast<float>(std::bit_cast<_Float16>(bits));
    EXPECT_EQ(warp.at(3, 0), 0);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(warp.at(4, 5)));
    } else {
      EXPECT_EQ(warp.at(4, 5), value);
    }
  }
}

TEST(MmaF16, SumsInTheOrderOfK) {
  Warp<F16> warp;
  const auto place = [&](int k, int a, int b) {
    warp.a.set(warp.a_table[2][k], f16_bits(a));
    warp.b.set(warp.b_table[k][3], f16_bits(b));
  };
  place(0, 1, 1);
  place(7, 4096, 4096);  // 2^24: from here on a 1 is lost, and another 1
  place(8, 1, 1);
  place(15, -4096, 4096);
  warp.run();
  EXPECT_EQ(warp.at(2, 3), 0);  // 2^24 + 1 ties to 2^24
  place(0, 0, 0);
  place(15, 1, 1);
  warp.c.set(warp.c_table[2][3], -16777216.0F);
  warp.run();
  EXPECT_EQ(warp.at(2, 3), 2);  // -2^24 + 2^24 + 1 + 1: c comes first
}

TEST(MmaTf32, NamesTheLaneWithLowBits) {
  for (int bit = 0; bit < 13; ++bit) {
    for (int lane = 0; lane < kLanes; ++lane) {
      for (int which = 0; which < 6; ++which) {
        Warp<Tf32> warp;
        warp.set_a(Matrix<int>(16, std::vector<int>(8, 1)));
        warp.set_b(Matrix<int>(8, std::vector<int>(8, 1)));
        (which < 4 ? warp.a.lane[lane][which] : warp.b.lane[lane][which - 4]) |= 1U << bit;
        ASSERT_EQ(mma_m16n8k8_tf32(warp.lanes()), lane);
        ASSERT_EQ(warp.at(0, 0), 0);  // nothing was written
      }
    }
  }
}

TEST(MmaF64, IsAChainOfFusedMultiplyAdds) {
  Warp<F64> warp;
  const double x = 1 + 0x1p-30;
  warp.a.set(warp.a_table[1][0], x);
  warp.b.set(warp.b_table[0][2], x);
  warp.c.set(warp.c_table[1][2], -1.0);
  warp.run();
  EXPECT_EQ(warp.at(1, 2), 0x1p-29 + 0x1p-60);  // the square alone would lose the last bit
}

TEST(MmaS8, WrapsAndKnowsItsSigns) {
  Warp<S8> warp;
  warp.set_a(Matrix<int>(16, std::vector<int>(32, -128)));
  warp.set_b(Matrix<int>(32, std::vector<int>(8, -128)));
  for (auto& lane : warp.c.lane) lane.fill(std::numeric_limits<int32_t>::max());
  warp.run();
  const int64_t wrapped = int64_t{std::numeric_limits<int32_t>::max()} + 32 * 128 * 128;
  for (int m = 0; m < 16; ++m) {
    for (int n = 0; n < 8; ++n) ASSERT_EQ(warp.at(m, n), static_cast<int32_t>(wrapped));
  }
}

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
