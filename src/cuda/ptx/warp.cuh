// SPDX-License-Identifier: Apache-2.0
// warp.cuh: values exchanged between the lanes of a warp. PTX ISA 6.0; sections "Data Movement and
// Conversion Instructions: shfl.sync" and "Parallel Synchronization and Communication Instructions:
// vote.sync".
//
// `mask` names the lanes that take part, one bit each: all of them must call, with the same mask,
// and a lane may read none that it does not name. `value` has 4 or 8 bytes. A warp may be cut into
// segments of `width` lanes (a power of two); a source outside the own segment gives the own value,
// but shfl_xor may read an earlier one.
#pragma once

#include <cstdint>

namespace tconv::cuda::ptx {

constexpr uint32_t kAllLanes = 0xffffffff;

/// Of lane `lane` of the segment.
template <typename T>
__device__ __forceinline__ T shfl(uint32_t mask, T value, int lane, int width = 32) {
  return __shfl_sync(mask, value, lane, width);
}
/// Of the lane `distance` below.
template <typename T>
__device__ __forceinline__ T shfl_up(uint32_t mask, T value, uint32_t distance, int width = 32) {
  return __shfl_up_sync(mask, value, distance, width);
}
/// Of the lane `distance` above.
template <typename T>
__device__ __forceinline__ T shfl_down(uint32_t mask, T value, uint32_t distance, int width = 32) {
  return __shfl_down_sync(mask, value, distance, width);
}
/// Of the lane whose number differs in the bits of `bits`.
template <typename T>
__device__ __forceinline__ T shfl_xor(uint32_t mask, T value, int bits, int width = 32) {
  return __shfl_xor_sync(mask, value, bits, width);
}

/// One bit for each lane of the mask whose predicate holds.
__device__ __forceinline__ uint32_t ballot(uint32_t mask, bool predicate) {
  return __ballot_sync(mask, predicate);
}
__device__ __forceinline__ bool any(uint32_t mask, bool predicate) {
  return __any_sync(mask, predicate) != 0;
}
__device__ __forceinline__ bool all(uint32_t mask, bool predicate) {
  return __all_sync(mask, predicate) != 0;
}

}  // namespace tconv::cuda::ptx
