// SPDX-License-Identifier: Apache-2.0
// test_mma_instructions.cpp: the products of a warp against the manual's fragment tables and a
// product of plain loops.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <random>
#include <sstream>
#include <string>
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

}  // namespace
}  // namespace tconv::emulator
