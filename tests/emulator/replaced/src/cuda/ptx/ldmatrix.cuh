// SPDX-License-Identifier: Apache-2.0
// ldmatrix.cuh, emulated.
#pragma once

#include "tests/emulator/collectives.h"

namespace tconv::cuda::ptx {

using emulator::Where;

inline void ldmatrix_x2(uint32_t (&matrix)[2], uint32_t shared, Where where = Where::current()) {
  emulator::warp_ldmatrix(matrix, shared, 2, false, where);
}
inline void ldmatrix_x4(uint32_t (&matrix)[4], uint32_t shared, Where where = Where::current()) {
  emulator::warp_ldmatrix(matrix, shared, 4, false, where);
}
inline void ldmatrix_x4_trans(uint32_t (&matrix)[4], uint32_t shared,
                              Where where = Where::current()) {
  emulator::warp_ldmatrix(matrix, shared, 4, true, where);
}

}  // namespace tconv::cuda::ptx
