// SPDX-License-Identifier: Apache-2.0
// cp_async.cuh: copies from global to shared memory that go on while the thread does. PTX ISA 7.0,
// sm_80; section "Data Movement and Conversion Instructions: cp.async".
//
// `shared` and `global` are aligned to the size. Of the size, `bytes` (0 to all) are read from
// `global` and the rest of the target is filled with zeros; with 0 bytes `global` is not read.
#pragma once

#include <cstdint>

namespace tconv::cuda::ptx {

/// Past the L1 cache: for what one block reads once.
__device__ __forceinline__ void cp_async_cg_16(uint32_t shared, const void* global,
                                               uint32_t bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(global),
               "r"(bytes)
               : "memory");
}

/// Through the L1 cache. Size is 4, 8 or 16.
template <int kSize>
__device__ __forceinline__ void cp_async_ca(uint32_t shared, const void* global, uint32_t bytes) {
  static_assert(kSize == 4 || kSize == 8 || kSize == 16);
  asm volatile("cp.async.ca.shared.global [%0], [%1], %3, %2;" ::"r"(shared), "l"(global),
               "r"(bytes), "n"(kSize)
               : "memory");
}

/// Closes this thread's group of copies; empty groups count.
__device__ __forceinline__ void cp_async_commit_group() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

/// Waits until at most kPending of this thread's groups are in flight. What other threads copied is
/// visible after their wait and a barrier.
template <int kPending>
__device__ __forceinline__ void cp_async_wait_group() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

}  // namespace tconv::cuda::ptx
