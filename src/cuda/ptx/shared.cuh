// SPDX-License-Identifier: Apache-2.0
// shared.cuh: the dynamic shared memory of a block, and addresses in it.
#pragma once

#include <cstdint>

namespace tconv::cuda::ptx {

/// The block's dynamic shared memory, aligned to 1024 bytes (what TMA's widest swizzle wants). The
/// only shared memory that kernels use: static arrays would not be seen by the emulator.
__device__ __forceinline__ unsigned char* dynamic_shared() {
  extern __shared__ __align__(1024) unsigned char tconv_dynamic_shared[];
  return tconv_dynamic_shared;
}

/// A shared pointer as the 32-bit address that ldmatrix, cp.async and mbarrier take.
__device__ __forceinline__ uint32_t shared_address(const void* shared) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

}  // namespace tconv::cuda::ptx
