// SPDX-License-Identifier: Apache-2.0
// mbarrier.cuh: barriers in shared memory that count arrivals and, for TMA, bytes. PTX ISA 8.0,
// sm_90; section "Parallel Synchronization and Communication Instructions: mbarrier".
//
// A barrier is 8 bytes, aligned to 8. A phase ends when as many arrivals as mbarrier_init said and
// all expected bytes are in; the first phase has parity 0. Addresses are 32-bit shared addresses.
#pragma once

#include <cstdint>

namespace tconv::cuda::ptx {

/// One thread; then fence_mbarrier_init and a barrier of the block (of the cluster, if it arrives).
__device__ __forceinline__ void mbarrier_init(uint32_t barrier, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

__device__ __forceinline__ void mbarrier_arrive(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

/// Arrives, and tells the phase to wait for `bytes` more (below 2^20) from asynchronous copies.
__device__ __forceinline__ void mbarrier_arrive_expect_tx(uint32_t barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}

/// Arrives at a barrier of another block of the cluster: an address from mapa_shared_cluster.
__device__ __forceinline__ void mbarrier_arrive_cluster(uint32_t barrier) {
  asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(barrier)
               : "memory");
}

/// Has the phase with this parity ended? May sleep for a short, bounded time before it says no.
/// After yes, what was copied or released to the barrier is visible to this thread.
__device__ __forceinline__ bool mbarrier_try_wait_parity(uint32_t barrier, uint32_t parity) {
  uint32_t ended;
  asm volatile(
      "{\n"
      ".reg .pred ended;\n"
      "mbarrier.try_wait.parity.shared::cta.b64 ended, [%1], %2;\n"
      "selp.u32 %0, 1, 0, ended;\n"
      "}"
      : "=r"(ended)
      : "r"(barrier), "r"(parity)
      : "memory");
  return ended != 0;
}

/// The same where blocks of the cluster arrive: acquires at the scope of the cluster.
__device__ __forceinline__ bool mbarrier_try_wait_parity_cluster(uint32_t barrier,
                                                                 uint32_t parity) {
  uint32_t ended;
  asm volatile(
      "{\n"
      ".reg .pred ended;\n"
      "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 ended, [%1], %2;\n"
      "selp.u32 %0, 1, 0, ended;\n"
      "}"
      : "=r"(ended)
      : "r"(barrier), "r"(parity)
      : "memory");
  return ended != 0;
}

}  // namespace tconv::cuda::ptx
