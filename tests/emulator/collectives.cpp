// SPDX-License-Identifier: Apache-2.0
// collectives.cpp: brings the lanes together and hands their operands to the plain functions.
#include "tests/emulator/collectives.h"

#include <bit>
#include <string>

#include "tests/emulator/findings.h"
#include "tests/emulator/state.h"

namespace tconv::emulator {
namespace {

/// What each lane brings: where it stands, and its operands.
template <typename Operands>
struct Brought {
  const Where* where;
  Operands operands;
};

template <typename Operands>
const Brought<Operands>& brought(const Lanes& lanes, int lane) {
  return *static_cast<const Brought<Operands>*>(lanes.operand[lane]);
}

/// True if all 32 lanes are there; else that is a finding.
template <typename Operands>
bool whole(const Lanes& lanes, const char* name) {
  if (lanes.mask == ~0U) return true;
  const int present = std::popcount(lanes.mask);
  const Where& where = *brought<Operands>(lanes, std::countr_zero(lanes.mask)).where;
  report_at("incomplete warp", where,
            std::string(name) + " by a warp of " + std::to_string(present) + " lanes");
  return false;
}

template <auto kCompute, uint64_t kMultiplyAdds, typename Sum, typename Operand>
void meet_for_mma(const char* name, const MmaLane<Sum, Operand>& lane, const Where& where) {
  using Operands = MmaLane<Sum, Operand>;
  Brought<Operands> mine{&where, lane};
  collective(
      name, 0, &mine,
      [](const Lanes& lanes) {
        if (!whole<Operands>(lanes, "mma")) return;
        MmaWarp<Sum, Operand> warp;
        for (int i = 0; i < kLanes; ++i) warp[i] = brought<Operands>(lanes, i).operands;
        kCompute(warp, *brought<Operands>(lanes, 0).where);
        count_multiply_adds(kMultiplyAdds);
      },
      where);
}

void compute_tf32(const MmaWarp<float, uint32_t>& warp, const Where& where) {
  if (const auto lane = mma_m16n8k8_tf32(warp)) {
    report_at("not a TF32", where,
              "mma: an operand of lane " + std::to_string(*lane) +
                  " has bits that the hardware ignores; convert with cvt_rna_tf32");
  }
}

struct Rows {
  uint32_t* matrix;
  uint32_t shared;
  const unsigned char* row;  ///< null: this lane's address is not used, or leads nowhere
};

template <int kMatrices, bool kTransposed>
void load_matrices(const Lanes& lanes) {
  if (!whole<Rows>(lanes, "ldmatrix")) return;
  const void* rows[kLanes];
  uint32_t addresses[kLanes];
  std::array<uint32_t*, kLanes> registers;
  for (int lane = 0; lane < kLanes; ++lane) {
    const Rows& mine = brought<Rows>(lanes, lane).operands;
    if (lane < 8 * kMatrices && mine.row == nullptr) return;  // found already
    rows[lane] = mine.row;
    addresses[lane] = mine.shared;
    registers[lane] = mine.matrix;
  }
  count_ldmatrix(addresses, kMatrices, *brought<Rows>(lanes, 0).where);
  const std::span<const void* const> used(rows, 8 * kMatrices);
  kTransposed ? ldmatrix_trans(used, registers) : ldmatrix(used, registers);
}

struct Exchange {
  Shuffle mode;
  int width;
  ShuffleLane lane;
};

void exchange(const Lanes& lanes) {
  const int first = std::countr_zero(lanes.mask);
  const Exchange& one = brought<Exchange>(lanes, first).operands;
  std::array<ShuffleLane, kLanes> warp;
  for (int i = 0; i < kLanes; ++i) {
    if ((lanes.mask >> i & 1) != 0) warp[i] = brought<Exchange>(lanes, i).operands.lane;
  }
  if (const auto undefined = shuffle(one.mode, lanes.mask, one.width, warp)) {
    report_at("undefined shuffle", *brought<Exchange>(lanes, undefined->lane).where,
              "lane " + std::to_string(undefined->lane) + " reads lane " +
                  std::to_string(undefined->source) + ", which takes no part");
  }
}

struct Vote {
  bool predicate;
  uint32_t* result;
};

void vote(const Lanes& lanes) {
  uint32_t predicates = 0;
  for (int i = 0; i < kLanes; ++i) {
    if ((lanes.mask >> i & 1) == 0) continue;
    predicates |= uint32_t{brought<Vote>(lanes, i).operands.predicate} << i;
  }
  for (int i = 0; i < kLanes; ++i) {
    if ((lanes.mask >> i & 1) == 0) continue;
    *brought<Vote>(lanes, i).operands.result = vote_ballot(lanes.mask, predicates);
  }
}

}  // namespace

void warp_mma_f16(float* sum, const uint32_t* a, const uint32_t* b, const Where& where) {
  constexpr auto kCompute = [](const MmaWarp<float, uint32_t>& warp, const Where&) {
    mma_m16n8k16_f16(warp);
  };
  meet_for_mma<kCompute, 16 * 8 * 16>("mma.m16n8k16.f16", MmaLane<float, uint32_t>{sum, a, b},
                                      where);
}

void warp_mma_bf16(float* sum, const uint32_t* a, const uint32_t* b, const Where& where) {
  constexpr auto kCompute = [](const MmaWarp<float, uint32_t>& warp, const Where&) {
    mma_m16n8k16_bf16(warp);
  };
  meet_for_mma<kCompute, 16 * 8 * 16>("mma.m16n8k16.bf16", MmaLane<float, uint32_t>{sum, a, b},
                                      where);
}

void warp_mma_tf32(float* sum, const uint32_t* a, const uint32_t* b, const Where& where) {
  meet_for_mma<compute_tf32, 16 * 8 * 8>("mma.m16n8k8.tf32", MmaLane<float, uint32_t>{sum, a, b},
                                         where);
}

void warp_mma_f64(double* sum, const double* a, const double* b, const Where& where) {
  constexpr auto kCompute = [](const MmaWarp<double, double>& warp, const Where&) {
    mma_m8n8k4_f64(warp);
  };
  meet_for_mma<kCompute, 8 * 8 * 4>("mma.m8n8k4.f64", MmaLane<double, double>{sum, a, b}, where);
}

void warp_mma_s8(int32_t* sum, const uint32_t* a, const uint32_t* b, const Where& where) {
  constexpr auto kCompute = [](const MmaWarp<int32_t, uint32_t>& warp, const Where&) {
    mma_m16n8k32_s8(warp);
  };
  meet_for_mma<kCompute, 16 * 8 * 32>("mma.m16n8k32.s8", MmaLane<int32_t, uint32_t>{sum, a, b},
                                      where);
}

void warp_ldmatrix(uint32_t* matrix, uint32_t shared, int matrices, bool transposed,
                   const Where& where) {
  const bool reads = static_cast<int>(hot.thread % kWarp) < 8 * matrices;
  Brought<Rows> mine{&where, {matrix, shared, reads ? read_shared(shared, 16, where) : nullptr}};
  const auto act = matrices == 1 ? (transposed ? load_matrices<1, true> : load_matrices<1, false>)
                   : matrices == 2
                       ? (transposed ? load_matrices<2, true> : load_matrices<2, false>)
                       : (transposed ? load_matrices<4, true> : load_matrices<4, false>);
  collective("ldmatrix", 0, &mine, act, where);
}

uint64_t warp_shuffle(Shuffle mode, uint32_t mask, uint64_t value, uint32_t operand, int width,
                      const Where& where) {
  uint64_t result = value;  // what an undefined exchange leaves
  if (width < 1 || width > kLanes || !std::has_single_bit(static_cast<unsigned>(width))) {
    report_at("undefined shuffle", where,
              "a width of " + std::to_string(width) + "; legal are 1, 2, 4, 8, 16, 32");
    return result;
  }
  Brought<Exchange> mine{&where, {mode, width, {value, operand, &result}}};
  collective("shfl", mask, &mine, exchange, where);
  return result;
}

uint32_t warp_ballot(uint32_t mask, bool predicate, const Where& where) {
  uint32_t result = 0;
  Brought<Vote> mine{&where, {predicate, &result}};
  collective("vote", mask, &mine, vote, where);
  return result;
}

}  // namespace tconv::emulator
