// SPDX-License-Identifier: Apache-2.0
// pin.cuh: no instruction at all: a value that ptxas may not look through.
#pragma once

#include <cstdint>

namespace tconv::cuda::ptx {

/// Keeps `x` in a register. ptxas otherwise recomputes loop invariants from threadIdx in every
/// iteration to save registers that the kernel has to spare.
__device__ __forceinline__ void pin(int32_t& x) { asm volatile("" : "+r"(x)); }
__device__ __forceinline__ void pin(uint32_t& x) { asm volatile("" : "+r"(x)); }
__device__ __forceinline__ void pin(float& x) { asm volatile("" : "+f"(x)); }
template <typename T>
__device__ __forceinline__ void pin(T*& x) {
  asm volatile("" : "+l"(x));
}

}  // namespace tconv::cuda::ptx
