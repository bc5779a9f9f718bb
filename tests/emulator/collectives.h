// SPDX-License-Identifier: Apache-2.0
// collectives.h: the instructions of a whole warp, as the emulated ptx functions call them: each
// lane brings its operands, the last one computes for all (warp_instructions.h).
#pragma once

#include <cstdint>

#include "tests/emulator/device_side.h"
#include "tests/emulator/warp_instructions.h"

namespace tconv::emulator {

void warp_mma_f16(float* sum, const uint32_t* a, const uint32_t* b, const Where& where);
void warp_mma_bf16(float* sum, const uint32_t* a, const uint32_t* b, const Where& where);
void warp_mma_tf32(float* sum, const uint32_t* a, const uint32_t* b, const Where& where);
void warp_mma_f64(double* sum, const double* a, const double* b, const Where& where);
void warp_mma_s8(int32_t* sum, const uint32_t* a, const uint32_t* b, const Where& where);

/// `matrices` is 1, 2 or 4. The first 8 * matrices lanes read the 16 bytes at `shared`.
void warp_ldmatrix(uint32_t* matrix, uint32_t shared, int matrices, bool transposed,
                   const Where& where);

uint64_t warp_shuffle(Shuffle mode, uint32_t mask, uint64_t value, uint32_t operand, int width,
                      const Where& where);

/// What the votes of `mask` say, one bit a lane.
uint32_t warp_ballot(uint32_t mask, bool predicate, const Where& where);

}  // namespace tconv::emulator
