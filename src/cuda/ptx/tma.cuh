// SPDX-License-Identifier: Apache-2.0
// tma.cuh: copies of boxes of a tensor by the copy engine (TMA). PTX ISA 8.0, sm_90; section "Data
// Movement and Conversion Instructions: cp.async.bulk.tensor".
//
// One thread issues. `map` is the address of a CUtensorMap, best a __grid_constant__ parameter;
// coordinates are elements, innermost first, and may lie outside the tensor: zeros are loaded and
// nothing is stored there. Shared addresses are aligned to 128 bytes, with a swizzle to its pattern
// (1024 for 128 bytes). A load reports the bytes of the whole box, also of what lies outside, to
// `barrier`.
#pragma once

#include <cstdint>

namespace tconv::cuda::ptx {

__device__ __forceinline__ void prefetch_tensormap(const void* map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

__device__ __forceinline__ void cp_async_bulk_tensor_2d(uint32_t shared, const void* map,
                                                        uint32_t barrier, int32_t c0, int32_t c1) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4}], [%2];" ::"r"(shared),
      "l"(map), "r"(barrier), "r"(c0), "r"(c1)
      : "memory");
}

__device__ __forceinline__ void cp_async_bulk_tensor_4d(uint32_t shared, const void* map,
                                                        uint32_t barrier, int32_t c0, int32_t c1,
                                                        int32_t c2, int32_t c3) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(shared),
      "l"(map), "r"(barrier), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
      : "memory");
}

/// The box goes to the same offset, and its bytes to the same barrier, of each block of the cluster
/// whose rank is set in `blocks`. sm_90a.
__device__ __forceinline__ void cp_async_bulk_tensor_2d_multicast(uint32_t shared, const void* map,
                                                                  uint32_t barrier, int32_t c0,
                                                                  int32_t c1, uint16_t blocks) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      ".multicast::cluster [%0], [%1, {%3, %4}], [%2], %5;" ::"r"(shared),
      "l"(map), "r"(barrier), "r"(c0), "r"(c1), "h"(blocks)
      : "memory");
}

/// A column of pixels of an NHWC tensor: from pixel (w, h, n) on along w, then h, then n inside the
/// bounding box of an im2col map; each pixel is read at (w + offset_w, h + offset_h).
__device__ __forceinline__ void cp_async_bulk_tensor_4d_im2col(uint32_t shared, const void* map,
                                                               uint32_t barrier, int32_t c,
                                                               int32_t w, int32_t h, int32_t n,
                                                               uint16_t offset_w,
                                                               uint16_t offset_h) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4, %5, %6}], [%2], {%7, %8};" ::"r"(shared),
      "l"(map), "r"(barrier), "r"(c), "r"(w), "r"(h), "r"(n), "h"(offset_w), "h"(offset_h)
      : "memory");
}

/// Shared memory to a box of the tensor; fence_proxy_async_shared and a barrier come before it.
__device__ __forceinline__ void cp_async_bulk_tensor_4d_store(const void* map, uint32_t shared,
                                                              int32_t c0, int32_t c1, int32_t c2,
                                                              int32_t c3) {
  asm volatile(
      "cp.async.bulk.tensor.4d.global.shared::cta.tile.bulk_group [%0, {%2, %3, %4, %5}], "
      "[%1];" ::"l"(map),
      "r"(shared), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
      : "memory");
}

/// Closes this thread's group of stores.
__device__ __forceinline__ void cp_async_bulk_commit_group() {
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}

/// Waits until at most kPending of this thread's groups are in flight; what the others wrote is
/// visible to this thread.
template <int kPending>
__device__ __forceinline__ void cp_async_bulk_wait_group() {
  asm volatile("cp.async.bulk.wait_group %0;" ::"n"(kPending) : "memory");
}

/// The same, but only until their shared memory has been read and may be written again.
template <int kPending>
__device__ __forceinline__ void cp_async_bulk_wait_group_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(kPending) : "memory");
}

}  // namespace tconv::cuda::ptx
