// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tests/probes_on_host/model.h"
namespace tconv::cuda::ptx {
inline void cp_async_cg_16(uint32_t shared, const void* global, uint32_t bytes) {
  std::memset(model::bytes_at(shared), 0, 16);
  std::memcpy(model::bytes_at(shared), global, bytes);
}
template <int kSize>
void cp_async_ca(uint32_t shared, const void* global, uint32_t bytes) {
  static_assert(kSize == 16);
  cp_async_cg_16(shared, global, bytes);
}
inline void cp_async_commit_group() {}
template <int kPending>
void cp_async_wait_group() {}
}  // namespace tconv::cuda::ptx
