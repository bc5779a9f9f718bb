// SPDX-License-Identifier: Apache-2.0
// barrier.cuh: named barriers of a block: 1 to 15 (0 is __syncthreads). PTX ISA 2.0; section
// "Parallel Synchronization and Communication Instructions: bar".
#pragma once

#include <cstdint>

namespace tconv::cuda::ptx {

/// Waits until `threads` threads (a multiple of 32) have arrived at barrier `id` with bar_sync or
/// bar_arrive; what they wrote before is visible then.
__device__ __forceinline__ void bar_sync(uint32_t id, uint32_t threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

/// Arrives without waiting: what this thread wrote before is visible to those that wait.
__device__ __forceinline__ void bar_arrive(uint32_t id, uint32_t threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

}  // namespace tconv::cuda::ptx
