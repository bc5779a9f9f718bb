// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tests/probes_on_host/model.h"
namespace tconv::cuda::ptx {
inline uint32_t cluster_ctarank() { return model::here.rank; }
inline void cluster_arrive() {}
inline void cluster_wait() { model::here.cluster->all->arrive_and_wait(); }
inline uint32_t mapa_shared_cluster(uint32_t shared, uint32_t rank) {
  return shared | (rank + 1) << 24;
}
}  // namespace tconv::cuda::ptx
