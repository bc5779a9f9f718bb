// SPDX-License-Identifier: Apache-2.0
// warp_instructions.h: what the instructions of a whole warp compute, as plain functions over the
// operands of its 32 lanes. No scheduler, no memory model, no counters: the emulator's ptx
// functions call these once all lanes have arrived. Semantics are those of the PTX ISA manual,
// sections "Warp Level Matrix Multiply-Accumulate Instructions", "shfl.sync", "vote.sync" and
// "cvt".
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "tests/emulator/shuffle.h"

namespace tconv::emulator {

constexpr int kLanes = 32;

/// One lane's registers of an mma: `sum` is read and written.
template <typename Sum, typename Operand>
struct MmaLane {
  Sum* sum;
  const Operand* a;
  const Operand* b;
};
template <typename Sum, typename Operand>
using MmaWarp = std::array<MmaLane<Sum, Operand>, kLanes>;

/// sum += a * b. The manual leaves the order of the sum open: here it is c, then k = 0, 1, ...,
/// each step rounded to f32 (the products are exact). Subnormal operands keep their values.
void mma_m16n8k16_f16(const MmaWarp<float, uint32_t>& warp);
void mma_m16n8k16_bf16(const MmaWarp<float, uint32_t>& warp);

/// Operands must be TF32: f32 whose low 13 bits are zero. If a lane holds another, that lane is the
/// answer and no sum is written.
[[nodiscard]] std::optional<int> mma_m16n8k8_tf32(const MmaWarp<float, uint32_t>& warp);

/// A chain of fused multiply-adds, as the manual has it.
void mma_m8n8k4_f64(const MmaWarp<double, double>& warp);

/// Sums wrap at 32 bits.
void mma_m16n8k32_s8(const MmaWarp<int32_t, uint32_t>& warp);

/// Loads one, two or four 8x8 matrices of 16-bit elements. `rows[8 * i + j]` is row j of matrix i
/// (16 readable bytes); `registers[lane][i]` receives this lane's part of matrix i.
void ldmatrix(std::span<const void* const> rows, const std::array<uint32_t*, kLanes>& registers);
void ldmatrix_trans(std::span<const void* const> rows,
                    const std::array<uint32_t*, kLanes>& registers);

/// The lane that `lane` reads from: its own where the source lies outside its segment of `width`
/// lanes (a power of two up to 32), as __shfl_sync and its kin have it. `operand` is the source
/// lane, the distance, or the mask of the butterfly.
int shuffle_source(Shuffle mode, int lane, uint32_t operand, int width);

struct ShuffleLane {
  uint64_t value = 0;
  uint32_t operand = 0;
  uint64_t* result = nullptr;
};

/// A lane that reads a lane outside the mask: the result is undefined.
struct UndefinedShuffle {
  int lane, source;
};

/// Exchanges the values of the lanes in `mask`; the others are not looked at. All results are
/// written unless one is undefined.
[[nodiscard]] std::optional<UndefinedShuffle> shuffle(Shuffle mode, uint32_t mask, int width,
                                                      const std::array<ShuffleLane, kLanes>& lanes);

/// Votes of the lanes in `mask`; bit l of `predicates` is lane l's.
constexpr uint32_t vote_ballot(uint32_t mask, uint32_t predicates) { return mask & predicates; }
constexpr bool vote_any(uint32_t mask, uint32_t predicates) { return (mask & predicates) != 0; }
constexpr bool vote_all(uint32_t mask, uint32_t predicates) { return (mask & ~predicates) == 0; }
constexpr bool vote_uni(uint32_t mask, uint32_t predicates) {
  return vote_all(mask, predicates) || !vote_any(mask, predicates);
}

/// To the nearest TF32, ties away from zero; infinities stay, a NaN becomes a NaN.
uint32_t cvt_rna_tf32(float x);

}  // namespace tconv::emulator
