// SPDX-License-Identifier: Apache-2.0
// wgmma_descriptor.cuh: how a tile lies in shared memory, as wgmma wants to be told, and the
// 128-byte swizzle of TMA and wgmma. PTX ISA, sections "Matrix Descriptor Format" and "Strides".
// Plain C++: tests/cuda/common/test_wgmma_descriptor.cpp.
//
// K-major with 128-byte swizzle: rows of 128 bytes (64 f16, 32 f32), groups of eight rows
// `stride_bytes` apart; the leading offset is not used. One step along K inside the 128 bytes adds
// its bytes to the address. MN-major with 128-byte swizzle: rows of 128 bytes along M or N, one for
// each k; groups of eight k `stride_bytes` apart, the next 128 bytes of M or N `leading_bytes` on.
#pragma once

#include <cstdint>

namespace tconv::cuda {

enum class Swizzle : uint8_t { kNone = 0, k128 = 1, k64 = 2, k32 = 3 };

struct WgmmaTile {
  uint32_t address;  // shared, multiple of 16, as the other two
  uint32_t leading_bytes;
  uint32_t stride_bytes;
  Swizzle swizzle;
  uint32_t base_offset =
      0;  // 0 if the swizzle's pattern (1024 bytes at 128) starts at its multiple
};

constexpr uint64_t wgmma_descriptor(const WgmmaTile& tile) {
  const auto encoded = [](uint32_t bytes) -> uint64_t { return (bytes & 0x3FFFF) >> 4; };
  return encoded(tile.address) | encoded(tile.leading_bytes) << 16 |
         encoded(tile.stride_bytes) << 32 | uint64_t{tile.base_offset & 7} << 49 |
         static_cast<uint64_t>(tile.swizzle) << 62;
}

/// The descriptor of the tile that starts `bytes` (a multiple of 16) further on.
constexpr uint64_t wgmma_descriptor_advance(uint64_t descriptor, uint32_t bytes) {
  return descriptor + (bytes >> 4);
}

/// Where the byte at `offset` of a tile lies: 16-byte chunks of a row change places by the row's
/// number modulo 8. The tile is aligned to 1024 bytes.
constexpr uint32_t swizzle_128(uint32_t offset) { return offset ^ ((offset >> 7 & 7) << 4); }

static_assert(wgmma_descriptor({0x400, 0, 1024, Swizzle::k128}) == 0x4000004000000040);
static_assert(wgmma_descriptor({0x480, 8192, 1280, Swizzle::k128, 1}) == 0x4002005002000048);
static_assert(swizzle_128(128 + 16) == 128 && swizzle_128(7 * 128) == 7 * 128 + 112);

}  // namespace tconv::cuda
