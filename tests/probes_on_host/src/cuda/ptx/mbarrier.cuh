// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tests/probes_on_host/model.h"
namespace tconv::cuda::ptx {
inline void mbarrier_init(uint32_t barrier, uint32_t arrivals) {
  const std::lock_guard lock(model::here.cluster->mutex);
  model::block_of(barrier).barriers[barrier & 0xffffff] = {arrivals, arrivals, 0, 0};
}
inline void mbarrier_arrive(uint32_t barrier) { model::arrive(barrier, 0); }
inline void mbarrier_arrive_expect_tx(uint32_t barrier, uint32_t bytes) {
  model::arrive(barrier, bytes);
}
inline void mbarrier_arrive_cluster(uint32_t barrier) { model::arrive(barrier, 0); }
inline bool mbarrier_try_wait_parity(uint32_t barrier, uint32_t parity) {
  return model::ended(barrier, parity);
}
inline bool mbarrier_try_wait_parity_cluster(uint32_t barrier, uint32_t parity) {
  return model::ended(barrier, parity);
}
}  // namespace tconv::cuda::ptx
