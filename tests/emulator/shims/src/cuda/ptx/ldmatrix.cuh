// SPDX-License-Identifier: Apache-2.0
// ldmatrix.cuh, emulated: a row is read by the lane that gives its address.
#pragma once

#include "tests/emulator/device_side.h"

namespace tconv::cuda::ptx {

using emulator::Where;

inline void ldmatrix_x2(uint32_t (&matrix)[2], uint32_t shared, Where where = Where::current()) {
  emulator::resume(emulator::ldmatrix(matrix, 2, false, shared, where));
}
inline void ldmatrix_x4(uint32_t (&matrix)[4], uint32_t shared, Where where = Where::current()) {
  emulator::resume(emulator::ldmatrix(matrix, 4, false, shared, where));
}
inline void ldmatrix_x4_trans(uint32_t (&matrix)[4], uint32_t shared,
                              Where where = Where::current()) {
  emulator::resume(emulator::ldmatrix(matrix, 4, true, shared, where));
}

}  // namespace tconv::cuda::ptx
