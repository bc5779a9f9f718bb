// SPDX-License-Identifier: Apache-2.0
// warp_instructions.cpp: registers are spread out into small matrices, multiplied row by row, and
// gathered again. Lane 4 * group + member holds what the manual's
// fragment tables give it.
#include "tests/emulator/warp_instructions.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace tconv::emulator {
namespace {

constexpr int kRows = 16, kColumns = 8;  // M and N of every shape but one

// Four columns: what every x86-64 has registers for.
constexpr int kWide = 4;
typedef float FourFloats __attribute__((vector_size(kWide * sizeof(float))));
typedef uint32_t FourWords __attribute__((vector_size(kWide * sizeof(uint32_t))));
typedef uint16_t FourHalves __attribute__((vector_size(kWide * sizeof(uint16_t))));

constexpr uint32_t kTf32Ignored = (1U << 13) - 1;

template <typename T, int kDepth>
struct Operands {
  T a[kRows][kDepth];
  T b[kDepth][kColumns];
};
template <typename T>
using Sums = T[kRows][kColumns];

/// The exponent is moved by a multiplication, which also normalises subnormals; infinities and NaNs
/// get the exponent that they need.
FourFloats widen_f16(FourWords bits) {
  const FourWords magnitude = (bits & 0x7fffU) << 13;
  const FourFloats moved = reinterpret_cast<FourFloats>(magnitude) * 0x1p112F;
  const auto special = reinterpret_cast<FourWords>(magnitude >= (0x7c00U << 13)) & 0x7f800000U;
  return reinterpret_cast<FourFloats>(reinterpret_cast<FourWords>(moved) | special |
                                      (bits & 0x8000U) << 16);
}

FourFloats widen_bf16(FourWords bits) { return reinterpret_cast<FourFloats>(bits << 16); }

template <FourFloats (*widen)(FourWords)>
void widen_all(const uint16_t* bits, int count, float* values) {
  for (int i = 0; i < count; i += kWide) {
    FourHalves narrow;
    std::memcpy(&narrow, bits + i, sizeof(narrow));
    const FourFloats wide = widen(__builtin_convertvector(narrow, FourWords));
    std::memcpy(values + i, &wide, sizeof(wide));
  }
}

/// sum += a * b in the order of k. Four rows at a time hide the latency of the additions.
template <int kDepth>
void multiply(const Operands<float, kDepth>& operands, Sums<float>& sum) {
  for (int n = 0; n < kColumns; n += kWide) {
    FourFloats column[kDepth];
    for (int k = 0; k < kDepth; ++k) std::memcpy(&column[k], &operands.b[k][n], sizeof(column[k]));
    for (int m = 0; m < kRows; m += 4) {
      FourFloats row[4];
      for (int i = 0; i < 4; ++i) std::memcpy(&row[i], &sum[m + i][n], sizeof(row[i]));
      for (int k = 0; k < kDepth; ++k) {
        row[0] += operands.a[m][k] * column[k];
        row[1] += operands.a[m + 1][k] * column[k];
        row[2] += operands.a[m + 2][k] * column[k];
        row[3] += operands.a[m + 3][k] * column[k];
      }
      for (int i = 0; i < 4; ++i) std::memcpy(&sum[m + i][n], &row[i], sizeof(row[i]));
    }
  }
}

/// Accumulators of the shapes m16n8: rows group and group + 8, columns 2 * member and the next.
void spread_sums(const MmaWarp<float, uint32_t>& warp, Sums<float>& sum) {
  for (int lane = 0; lane < kLanes; ++lane) {
    const int row = lane / 4, column = lane % 4 * 2;
    sum[row][column] = warp[lane].sum[0];
    sum[row][column + 1] = warp[lane].sum[1];
    sum[row + 8][column] = warp[lane].sum[2];
    sum[row + 8][column + 1] = warp[lane].sum[3];
  }
}

void gather_sums(const MmaWarp<float, uint32_t>& warp, const Sums<float>& sum) {
  for (int lane = 0; lane < kLanes; ++lane) {
    const int row = lane / 4, column = lane % 4 * 2;
    warp[lane].sum[0] = sum[row][column];
    warp[lane].sum[1] = sum[row][column + 1];
    warp[lane].sum[2] = sum[row + 8][column];
    warp[lane].sum[3] = sum[row + 8][column + 1];
  }
}

template <FourFloats (*widen)(FourWords)>
void mma_m16n8k16(const MmaWarp<float, uint32_t>& warp) {
  Operands<uint16_t, 16> bits;
  for (int lane = 0; lane < kLanes; ++lane) {
    const int group = lane / 4, pair = lane % 4 * 2;
    const auto put_a = [&](int row, int column, uint32_t two) {
      std::memcpy(&bits.a[row][column], &two, sizeof(two));
    };
    put_a(group, pair, warp[lane].a[0]);
    put_a(group + 8, pair, warp[lane].a[1]);
    put_a(group, pair + 8, warp[lane].a[2]);
    put_a(group + 8, pair + 8, warp[lane].a[3]);
    for (int i = 0; i < 2; ++i) {
      const uint32_t two = warp[lane].b[i];
      bits.b[pair + 8 * i][group] = static_cast<uint16_t>(two);
      bits.b[pair + 8 * i + 1][group] = static_cast<uint16_t>(two >> 16);
    }
  }
  Operands<float, 16> operands;
  widen_all<widen>(bits.a[0], kRows * 16, operands.a[0]);
  widen_all<widen>(bits.b[0], 16 * kColumns, operands.b[0]);
  Sums<float> sum;
  spread_sums(warp, sum);
  multiply(operands, sum);
  gather_sums(warp, sum);
}

int8_t byte_of(uint32_t word, int i) { return static_cast<int8_t>(word >> (8 * i)); }

template <bool kTransposed>
void load_matrices(std::span<const void* const> rows,
                   const std::array<uint32_t*, kLanes>& registers) {
  for (std::size_t i = 0; i < rows.size() / 8; ++i) {
    uint16_t matrix[8][8];
    for (int j = 0; j < 8; ++j) std::memcpy(matrix[j], rows[8 * i + j], sizeof(matrix[j]));
    for (int lane = 0; lane < kLanes; ++lane) {
      const int row = lane / 4, pair = lane % 4 * 2;
      const uint32_t low = kTransposed ? matrix[pair][row] : matrix[row][pair];
      const uint32_t high = kTransposed ? matrix[pair + 1][row] : matrix[row][pair + 1];
      registers[lane][i] = low | high << 16;
    }
  }
}

}  // namespace

void mma_m16n8k16_f16(const MmaWarp<float, uint32_t>& warp) { mma_m16n8k16<widen_f16>(warp); }

void mma_m16n8k16_bf16(const MmaWarp<float, uint32_t>& warp) { mma_m16n8k16<widen_bf16>(warp); }

std::optional<int> mma_m16n8k8_tf32(const MmaWarp<float, uint32_t>& warp) {
  Operands<float, 8> operands;
  for (int lane = 0; lane < kLanes; ++lane) {
    const uint32_t *a = warp[lane].a, *b = warp[lane].b;
    if (((a[0] | a[1] | a[2] | a[3] | b[0] | b[1]) & kTf32Ignored) != 0) return lane;
    const int group = lane / 4, member = lane % 4;
    operands.a[group][member] = std::bit_cast<float>(a[0]);
    operands.a[group + 8][member] = std::bit_cast<float>(a[1]);
    operands.a[group][member + 4] = std::bit_cast<float>(a[2]);
    operands.a[group + 8][member + 4] = std::bit_cast<float>(a[3]);
    operands.b[member][group] = std::bit_cast<float>(b[0]);
    operands.b[member + 4][group] = std::bit_cast<float>(b[1]);
  }
  Sums<float> sum;
  spread_sums(warp, sum);
  multiply(operands, sum);
  gather_sums(warp, sum);
  return std::nullopt;
}

// For the fused multiply-add of the machine where it has one.
#if defined(__x86_64__) && !defined(__clang__)
[[gnu::target_clones("fma", "default")]]
#endif
void mma_m8n8k4_f64(const MmaWarp<double, double>& warp) {
  double a[8][4], b[4][kColumns];
  for (int lane = 0; lane < kLanes; ++lane) {
    a[lane / 4][lane % 4] = *warp[lane].a;
    b[lane % 4][lane / 4] = *warp[lane].b;
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    for (int i = 0; i < 2; ++i) {
      double sum = warp[lane].sum[i];
      for (int k = 0; k < 4; ++k) sum = std::fma(a[lane / 4][k], b[k][lane % 4 * 2 + i], sum);
      warp[lane].sum[i] = sum;
    }
  }
}

void mma_m16n8k32_s8(const MmaWarp<int32_t, uint32_t>& warp) {
  Operands<float, 32> operands;
  for (int lane = 0; lane < kLanes; ++lane) {
    const int group = lane / 4, first = lane % 4 * 4;
    for (int i = 0; i < 4; ++i) {
      operands.a[group][first + i] = byte_of(warp[lane].a[0], i);
      operands.a[group + 8][first + i] = byte_of(warp[lane].a[1], i);
      operands.a[group][first + 16 + i] = byte_of(warp[lane].a[2], i);
      operands.a[group + 8][first + 16 + i] = byte_of(warp[lane].a[3], i);
      operands.b[first + i][group] = byte_of(warp[lane].b[0], i);
      operands.b[first + 16 + i][group] = byte_of(warp[lane].b[1], i);
    }
  }
  // 32 products of bytes stay below 2^24: f32 holds them exactly.
  Sums<float> products{};
  multiply(operands, products);
  for (int lane = 0; lane < kLanes; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const auto product =
          static_cast<int32_t>(products[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2]);
      int32_t& sum = warp[lane].sum[i];
      sum = static_cast<int32_t>(static_cast<uint32_t>(sum) + static_cast<uint32_t>(product));
    }
  }
}

void ldmatrix(std::span<const void* const> rows, const std::array<uint32_t*, kLanes>& registers) {
  load_matrices<false>(rows, registers);
}

void ldmatrix_trans(std::span<const void* const> rows,
                    const std::array<uint32_t*, kLanes>& registers) {
  load_matrices<true>(rows, registers);
}

int shuffle_source(Shuffle mode, int lane, uint32_t operand, int width) {
  const int first = lane & ~(width - 1), last = first | (width - 1);
  const int value = static_cast<int>(operand % kLanes);  // the hardware takes five bits
  int source = lane;
  switch (mode) {
    case Shuffle::idx: return first | (value & (width - 1));
    case Shuffle::up: source = lane - value; return source >= first ? source : lane;
    case Shuffle::down: source = lane + value; break;
    case Shuffle::bfly: source = lane ^ value; break;  // an earlier segment may be read
  }
  return source <= last ? source : lane;
}

std::optional<UndefinedShuffle> shuffle(Shuffle mode, uint32_t mask, int width,
                                        const std::array<ShuffleLane, kLanes>& lanes) {
  std::array<int, kLanes> sources{};
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    sources[lane] = shuffle_source(mode, lane, lanes[lane].operand, width);
    if ((mask >> sources[lane] & 1) == 0) return UndefinedShuffle{lane, sources[lane]};
  }
  // A result may be where a value comes from: lanes hold copies of the values.
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((mask >> lane & 1) != 0) *lanes[lane].result = lanes[sources[lane]].value;
  }
  return std::nullopt;
}

uint32_t cvt_rna_tf32(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if (std::isnan(x)) return 0x7fffe000;  // which NaN is left open; this one is itself a TF32
  if (std::isinf(x)) return bits;
  return (bits + (1U << 12)) & ~kTf32Ignored;  // in sign and magnitude a half rounds away
}

}  // namespace tconv::emulator
