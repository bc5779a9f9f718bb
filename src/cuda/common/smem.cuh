// SPDX-License-Identifier: Apache-2.0
// smem.cuh: where 16-byte chunks of a tile lie in shared memory. Plain C++, tested exhaustively on
// the CPU; kernels only call it.
//
// A row holds one pixel or one filter row, 64 or 128 bytes of channels, or 64 to 256 bytes of
// columns of one channel. ldmatrix reads the same
// chunk of 8 rows at once, and 8 chunks fill the 32 banks: unswizzled they would all meet in the
// same four banks. So chunk c of a row lies at place  c ^ key(v),  where v counts rows in the order
// in which they are read: consecutive v have keys that keep 8 of them apart. For a window of pixels
// v is not the row in memory but  w + box_w*h + box_w*box_h*n  in window coordinates: a reader that
// moves by a tap adds the same number to all its v, and stays free of conflicts wherever a group of
// 8 pixels wraps from one row of the box to the next.
#pragma once

#include <cstdint>

namespace tconv::cuda {

/// What chunk indices of a row are XORed with; rows of 256 bytes are two halves of 128. Rows of 64
/// bytes, two of which share the banks, need rows in memory whose parity is that of v (see
/// IgemmWindow).
template <int kRowBytes>
constexpr uint32_t swizzle_key(uint32_t v) {
  static_assert(kRowBytes == 64 || kRowBytes == 128 || kRowBytes == 256);
  return kRowBytes == 64 ? v >> 1 & 3 : v & 7;
}

/// The byte offset of `chunk` in memory row `row` that readers count as `v`.
template <int kRowBytes>
constexpr uint32_t swizzled(uint32_t row, uint32_t chunk, uint32_t v) {
  return row * kRowBytes | (chunk ^ swizzle_key<kRowBytes>(v)) << 4;
}

/// The place of a stage in a ring: the one after `offset` in a ring of `end` bytes.
constexpr uint32_t next_stage(uint32_t offset, uint32_t stage_bytes, uint32_t end) {
  return offset + stage_bytes == end ? 0 : offset + stage_bytes;
}

constexpr uint32_t align_up(uint32_t bytes, uint32_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

}  // namespace tconv::cuda
