// SPDX-License-Identifier: Apache-2.0
// fence.cuh: orders accesses that a barrier alone does not. PTX ISA 8.0, sm_90; section "Parallel
// Synchronization and Communication Instructions: membar / fence".
#pragma once

namespace tconv::cuda::ptx {

/// Makes mbarrier_init of this thread visible to the copy engine and to the cluster. The threads of
/// the block still need a barrier.
__device__ __forceinline__ void fence_mbarrier_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

/// Between this thread's ordinary accesses to shared memory and those that TMA or wgmma make later.
/// Each thread that wrote calls it, before the barrier.
__device__ __forceinline__ void fence_proxy_async_shared() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

}  // namespace tconv::cuda::ptx
