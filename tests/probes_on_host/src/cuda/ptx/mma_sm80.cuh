// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tests/probes_on_host/model.h"
namespace tconv::cuda::ptx {
inline void mma_m16n8k16_f16(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  model::mma(model::Type::kF16, sum, a, b);
}
inline void mma_m16n8k8_tf32(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  model::mma(model::Type::kTf32, sum, a, b);
}
}  // namespace tconv::cuda::ptx
