// SPDX-License-Identifier: Apache-2.0
// fma.cuh: a * b + sum, rounded once. One function per type, so that the emulator can count them.
#pragma once

namespace tconv::cuda::ptx {

__device__ __forceinline__ float fma_rn(float a, float b, float sum) {
  return __fmaf_rn(a, b, sum);
}
__device__ __forceinline__ double fma_rn(double a, double b, double sum) {
  return __fma_rn(a, b, sum);
}

}  // namespace tconv::cuda::ptx
