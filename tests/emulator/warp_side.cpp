// SPDX-License-Identifier: Apache-2.0
// warp_side.cpp: instructions of a warp: the lanes meet, the last one computes for all.
#include <array>
#include <string>

#include "tests/emulator/collectives.h"
#include "tests/emulator/device_side.h"
#include "tests/emulator/findings.h"
#include "tests/emulator/memory.h"
#include "tests/emulator/requests.h"
#include "tests/emulator/warp_instructions.h"

namespace tconv::emulator {
namespace {

constexpr uint32_t kWholeWarp = 0xffffffff, kRowBytes = 16;

// ---- ldmatrix. ---------------------------------------------------------------------------------

struct MatrixLane {
  uint32_t* registers;
  uint32_t offset;  ///< of the row that this lane gives, if it gives one
  int matrices;
  bool transposed;
};

void load_matrices(const Lanes& lanes, const Where& where) {
  std::array<const void*, kWarp> rows{};
  std::array<uint32_t*, kWarp> registers{};
  uint32_t offsets[kWarp];
  const auto& first = *static_cast<const MatrixLane*>(lanes.operand[0]);
  for (std::size_t i = 0; i < kWarp; ++i) {
    const auto& lane = *static_cast<const MatrixLane*>(lanes.operand[i]);
    offsets[i] = lane.offset;
    rows[i] = reinterpret_cast<const void*>(hot.shared.base + lane.offset);
    registers[i] = lane.registers;
  }
  const std::span<const void* const> used(rows.data(),
                                          static_cast<std::size_t>(8 * first.matrices));
  first.transposed ? ldmatrix_trans(used, registers) : ldmatrix(used, registers);
  if (hot.counting) count_matrices(offsets, first.matrices, where);
}

/// The row of 16 bytes that the calling lane gives.
uint32_t check_row(uint32_t shared, Where where) {
  const uint32_t offset = shared - kSharedWindow;
  if (offset > kMostSharedBytes - kRowBytes) {
    report_at("read out of bounds", where, "the shared address " + std::to_string(shared));
    abandon_launch();
  }
  if (offset % kRowBytes != 0) {
    report_at("misaligned access", where,
              "shared+" + std::to_string(offset) + ", 16 bytes at once");
    abandon_launch();
  }
  access_at(hot.shared, offset, kRowBytes, false, where);
  return offset;
}

// ---- mma. --------------------------------------------------------------------------------------

template <typename Sum, typename Operand>
MmaWarp<Sum, Operand> warp_of(const Lanes& lanes) {
  MmaWarp<Sum, Operand> warp;
  for (std::size_t i = 0; i < kWarp; ++i) {
    warp[i] = *static_cast<const MmaLane<Sum, Operand>*>(lanes.operand[i]);
  }
  return warp;
}

template <typename Sum, typename Operand, void (*kProduct)(const MmaWarp<Sum, Operand>&),
          int kCount>
void multiply(const Lanes& lanes, const Where&) {
  kProduct(warp_of<Sum, Operand>(lanes));
  hot.multiply_adds += kCount;
}

void multiply_tf32(const Lanes& lanes, const Where& where) {
  hot.multiply_adds += 16 * 8 * 8;
  if (const auto lane = emulator::mma_m16n8k8_tf32(warp_of<float, uint32_t>(lanes))) {
    report_at("not a TF32 operand", where,
              "lane " + std::to_string(*lane) + " holds an f32 with some of its low 13 bits set");
  }
}

template <typename Sum, typename Operand>
Departure meet_for_mma(const char* name, Sum* sum, const Operand* a, const Operand* b,
                       void (*act)(const Lanes&, const Where&), Where where) {
  bring(MmaLane<Sum, Operand>{sum, a, b});
  return collective(name, kWholeWarp, act, where);
}

/// A lane that owns its operands.
struct F64Lane {
  MmaLane<double, double> lane;
  double a, b;
};

// ---- Shuffles and votes. -----------------------------------------------------------------------

struct Shuffling {
  ShuffleLane lane;
  Shuffle mode;
  int width;
};

void do_shuffle(const Lanes& lanes, const Where& where) {
  std::array<ShuffleLane, kWarp> all{};
  const Shuffling* one = nullptr;
  for (std::size_t i = 0; i < kWarp; ++i) {
    if (lanes.operand[i] == nullptr) continue;
    one = static_cast<const Shuffling*>(lanes.operand[i]);
    all[i] = one->lane;
  }
  if (const auto undefined = shuffle(one->mode, lanes.mask, one->width, all)) {
    report_at("undefined shuffle", where,
              "lane " + std::to_string(undefined->lane) + " reads lane " +
                  std::to_string(undefined->source) + ", which takes no part");
  }
}

struct Voting {
  bool predicate;
  uint32_t result;
};

void do_vote(const Lanes& lanes, const Where&) {
  uint32_t predicates = 0;
  for (uint32_t i = 0; i < kWarp; ++i) {
    const auto* const voting = static_cast<const Voting*>(lanes.operand[i]);
    if (voting != nullptr && voting->predicate) predicates |= 1U << i;
  }
  for (void* operand : lanes.operand) {
    if (operand != nullptr) {
      static_cast<Voting*>(operand)->result = vote_ballot(lanes.mask, predicates);
    }
  }
}

}  // namespace

Departure ldmatrix(uint32_t* matrix, int matrices, bool transposed, uint32_t shared, Where where) {
  MatrixLane& lane = bring(MatrixLane{matrix, 0, matrices, transposed});
  // The other lanes' addresses are not looked at.
  if (static_cast<int>(hot.thread) % kWarp < 8 * matrices) lane.offset = check_row(shared, where);
  return collective(transposed ? "ldmatrix.trans" : "ldmatrix", kWholeWarp, load_matrices, where);
}

Departure mma_m16n8k16_f16(float* sum, const uint32_t* a, const uint32_t* b, Where where) {
  return meet_for_mma("mma.m16n8k16.f16", sum, a, b,
                      multiply<float, uint32_t, emulator::mma_m16n8k16_f16, 16 * 8 * 16>, where);
}
Departure mma_m16n8k16_bf16(float* sum, const uint32_t* a, const uint32_t* b, Where where) {
  return meet_for_mma("mma.m16n8k16.bf16", sum, a, b,
                      multiply<float, uint32_t, emulator::mma_m16n8k16_bf16, 16 * 8 * 16>, where);
}
Departure mma_m16n8k8_tf32(float* sum, const uint32_t* a, const uint32_t* b, Where where) {
  return meet_for_mma("mma.m16n8k8.tf32", sum, a, b, multiply_tf32, where);
}
Departure mma_m8n8k4_f64(double* sum, double a, double b, Where where) {
  F64Lane& mine = bring(F64Lane{{sum, nullptr, nullptr}, a, b});
  mine.lane.a = &mine.a;
  mine.lane.b = &mine.b;
  return collective("mma.m8n8k4.f64", kWholeWarp,
                    multiply<double, double, emulator::mma_m8n8k4_f64, 8 * 8 * 4>, where);
}
Departure mma_m16n8k32_s8(int32_t* sum, const uint32_t* a, const uint32_t* b, Where where) {
  return meet_for_mma("mma.m16n8k32.s8", sum, a, b,
                      multiply<int32_t, uint32_t, emulator::mma_m16n8k32_s8, 16 * 8 * 32>, where);
}

uint64_t shuffle(Shuffle mode, uint32_t mask, uint64_t value, uint32_t operand, int width,
                 const Where& where) {
  uint64_t result = 0;
  bring(Shuffling{{value, operand, &result}, mode, width});
  resume(collective("shfl.sync", mask, do_shuffle, where));
  return result;
}

uint32_t ballot(uint32_t mask, bool predicate, const Where& where) {
  const Voting& voting = bring(Voting{predicate, 0});
  resume(collective("vote.sync", mask, do_vote, where));
  return voting.result;
}

}  // namespace tconv::emulator
