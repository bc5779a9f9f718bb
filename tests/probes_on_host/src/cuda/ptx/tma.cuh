// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tests/probes_on_host/model.h"
namespace tconv::cuda::ptx {
inline void cp_async_bulk_tensor_2d(uint32_t shared, const void* map, uint32_t barrier, int32_t c0,
                                    int32_t c1) {
  model::load_tiled(shared, map, barrier, {c0, c1}, 0);
}
inline void cp_async_bulk_tensor_4d(uint32_t shared, const void* map, uint32_t barrier, int32_t c0,
                                    int32_t c1, int32_t c2, int32_t c3) {
  model::load_tiled(shared, map, barrier, {c0, c1, c2, c3}, 0);
}
inline void cp_async_bulk_tensor_2d_multicast(uint32_t shared, const void* map, uint32_t barrier,
                                              int32_t c0, int32_t c1, uint16_t blocks) {
  model::load_tiled(shared, map, barrier, {c0, c1}, blocks);
}
inline void cp_async_bulk_tensor_4d_im2col(uint32_t shared, const void* map, uint32_t barrier,
                                           int32_t c, int32_t w, int32_t h, int32_t n,
                                           uint16_t offset_w, uint16_t offset_h) {
  model::load_im2col(shared, map, barrier, {c, w, h, n}, offset_w, offset_h);
}
inline void cp_async_bulk_tensor_4d_store(const void* map, uint32_t shared, int32_t c0, int32_t c1,
                                          int32_t c2, int32_t c3) {
  model::store_tiled(map, shared, {c0, c1, c2, c3});
}
inline void cp_async_bulk_commit_group() {}
template <int kPending>
void cp_async_bulk_wait_group() {}
}  // namespace tconv::cuda::ptx
