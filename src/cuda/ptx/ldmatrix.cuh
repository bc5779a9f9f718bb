// SPDX-License-Identifier: Apache-2.0
// ldmatrix.cuh: 8x8 matrices of 16-bit elements from shared memory into the fragments of mma. PTX
// ISA 6.5, sm_75; section "Warp Level Matrix Multiply-Accumulate Instructions: ldmatrix".
//
// Lane 8*i + j gives the address of row j of matrix i: 16 bytes, aligned to 16. All lanes of the
// warp must call. Lane l receives in `matrix[i]` the elements 2*(l%4) and 2*(l%4)+1 of row l/4 of
// matrix i; with `_trans` the rows 2*(l%4) and 2*(l%4)+1 of column l/4.
#pragma once

#include <cstdint>

namespace tconv::cuda::ptx {

/// Lanes 0..15 give the addresses.
__device__ __forceinline__ void ldmatrix_x2(uint32_t (&matrix)[2], uint32_t shared) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(matrix[0]), "=r"(matrix[1])
               : "r"(shared)
               : "memory");
}

__device__ __forceinline__ void ldmatrix_x4(uint32_t (&matrix)[4], uint32_t shared) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(matrix[0]), "=r"(matrix[1]), "=r"(matrix[2]), "=r"(matrix[3])
               : "r"(shared)
               : "memory");
}

__device__ __forceinline__ void ldmatrix_x4_trans(uint32_t (&matrix)[4], uint32_t shared) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(matrix[0]), "=r"(matrix[1]), "=r"(matrix[2]), "=r"(matrix[3])
               : "r"(shared)
               : "memory");
}

}  // namespace tconv::cuda::ptx
