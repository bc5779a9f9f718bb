// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tests/probes_on_host/model.h"
namespace tconv::cuda::ptx {
inline void wgmma_fence() {}
inline void wgmma_commit_group() {}
template <int kPending>
void wgmma_wait_group() {}
template <int kTransB = 0, int kCount>
void wgmma_k16_f16(float (&sum)[kCount], uint64_t a, uint64_t b, bool accumulate) {
  model::wgmma(model::Type::kF16, sum, kCount, a, b, accumulate, kTransB == 1);
}
template <int kCount>
void wgmma_k8_tf32(float (&sum)[kCount], uint64_t a, uint64_t b, bool accumulate) {
  model::wgmma(model::Type::kTf32, sum, kCount, a, b, accumulate);
}
template <int kCount>
void wgmma_k32_e4m3(float (&sum)[kCount], uint64_t a, uint64_t b, bool accumulate) {
  model::wgmma(model::Type::kE4m3, sum, kCount, a, b, accumulate);
}
}  // namespace tconv::cuda::ptx
