// SPDX-License-Identifier: Apache-2.0
// cluster.cuh: blocks that run side by side and see each other's shared memory. PTX ISA 7.8, sm_90;
// sections "Special Registers: %cluster_ctarank", "barrier.cluster", "mapa".
#pragma once

#include <cstdint>

namespace tconv::cuda::ptx {

__device__ __forceinline__ uint32_t cluster_ctarank() {
  uint32_t rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}

/// All threads of the cluster arrive once, then wait.
__device__ __forceinline__ void cluster_arrive() {
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}
__device__ __forceinline__ void cluster_wait() {
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}

/// The address in the shared::cluster window of what block `rank` has at `shared`.
__device__ __forceinline__ uint32_t mapa_shared_cluster(uint32_t shared, uint32_t rank) {
  uint32_t remote;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(remote) : "r"(shared), "r"(rank));
  return remote;
}

}  // namespace tconv::cuda::ptx
