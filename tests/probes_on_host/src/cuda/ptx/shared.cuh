// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tests/probes_on_host/model.h"
namespace tconv::cuda::ptx {
inline unsigned char* dynamic_shared() { return model::aligned_shared(*model::here.block); }
inline uint32_t shared_address(const void* shared) {
  return model::Block::kBase +
         static_cast<uint32_t>(static_cast<const unsigned char*>(shared) - dynamic_shared());
}
}  // namespace tconv::cuda::ptx
