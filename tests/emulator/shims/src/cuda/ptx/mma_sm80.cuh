// SPDX-License-Identifier: Apache-2.0
// mma_sm80.cuh, emulated. Each counts as the multiply-adds of its whole shape.
#pragma once

#include "tests/emulator/device_side.h"

namespace tconv::cuda::ptx {

using emulator::Where;

inline void mma_m16n8k16_f16(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                             Where where = Where::current()) {
  emulator::resume(emulator::mma_m16n8k16_f16(sum, a, b, where));
}
inline void mma_m16n8k16_bf16(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                              Where where = Where::current()) {
  emulator::resume(emulator::mma_m16n8k16_bf16(sum, a, b, where));
}
/// An operand with any of its low 13 bits set is a finding.
inline void mma_m16n8k8_tf32(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                             Where where = Where::current()) {
  emulator::resume(emulator::mma_m16n8k8_tf32(sum, a, b, where));
}
inline void mma_m8n8k4_f64(double (&sum)[2], double a, double b, Where where = Where::current()) {
  emulator::resume(emulator::mma_m8n8k4_f64(sum, a, b, where));
}
inline void mma_m16n8k32_s8(int32_t (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                            Where where = Where::current()) {
  emulator::resume(emulator::mma_m16n8k32_s8(sum, a, b, where));
}
inline uint32_t cvt_rna_tf32(float x) { return emulator::cvt_rna_tf32(x); }

}  // namespace tconv::cuda::ptx
