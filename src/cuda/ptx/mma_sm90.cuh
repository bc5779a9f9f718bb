// SPDX-License-Identifier: Apache-2.0
// mma_sm90.cuh: what mma.sync gained with Hopper. PTX ISA 7.8, sm_90; section "Warp Level Matrix
// Multiply-Accumulate Instructions: mma". All lanes of the warp must call.
#pragma once

namespace tconv::cuda::ptx {

__device__ __forceinline__ void mma_m16n8k16_f64(double (&sum)[4], const double (&a)[8],
                                                 const double (&b)[4]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f64.f64.f64.f64 {%0, %1, %2, %3}, "
      "{%4, %5, %6, %7, %8, %9, %10, %11}, {%12, %13, %14, %15}, {%0, %1, %2, %3};"
      : "+d"(sum[0]), "+d"(sum[1]), "+d"(sum[2]), "+d"(sum[3])
      : "d"(a[0]), "d"(a[1]), "d"(a[2]), "d"(a[3]), "d"(a[4]), "d"(a[5]), "d"(a[6]), "d"(a[7]),
        "d"(b[0]), "d"(b[1]), "d"(b[2]), "d"(b[3]));
}

}  // namespace tconv::cuda::ptx
