// SPDX-License-Identifier: Apache-2.0
// The descriptor of a wgmma tile, field by field as the PTX manual's table has them, and the
// 128-byte swizzle against a picture of it.
#include <gtest/gtest.h>

#include <set>

#include "src/cuda/common/wgmma_descriptor.cuh"

namespace tconv::cuda {
namespace {

uint64_t bits(uint64_t word, int first, int count) {
  return word >> first & ((uint64_t{1} << count) - 1);
}

TEST(WgmmaDescriptor, PutsEachFieldWhereTheManualHasIt) {
  const uint64_t descriptor = wgmma_descriptor({.address = 0x1A480,
                                                .leading_bytes = 8192,
                                                .stride_bytes = 1280,
                                                .swizzle = Swizzle::k64,
                                                .base_offset = 5});
  EXPECT_EQ(bits(descriptor, 0, 14), 0x1A48u);
  EXPECT_EQ(bits(descriptor, 14, 2), 0u);
  EXPECT_EQ(bits(descriptor, 16, 14), 512u);
  EXPECT_EQ(bits(descriptor, 30, 2), 0u);
  EXPECT_EQ(bits(descriptor, 32, 14), 80u);
  EXPECT_EQ(bits(descriptor, 46, 3), 0u);
  EXPECT_EQ(bits(descriptor, 49, 3), 5u);
  EXPECT_EQ(bits(descriptor, 52, 10), 0u);
  EXPECT_EQ(bits(descriptor, 62, 2), 2u);
}

TEST(WgmmaDescriptor, KeepsThreeBitsOfAnAddressAsBaseOffset) {
  const uint32_t address = 0x400 + 11 * 128;
  const uint64_t descriptor = wgmma_descriptor({address, 16, 1280, Swizzle::k128, address >> 7});
  EXPECT_EQ(bits(descriptor, 49, 3), 3u);
  EXPECT_EQ(bits(descriptor, 52, 10), 0u);
}

TEST(WgmmaDescriptor, WrapsAddressesAt18Bits) {
  EXPECT_EQ(bits(wgmma_descriptor({0x40010, 0, 0, Swizzle::kNone}), 0, 16), 1u);
}

TEST(WgmmaDescriptor, AdvancesTheAddressAlone) {
  const WgmmaTile tile{0x8000, 16, 1024, Swizzle::k128};
  WgmmaTile later = tile;
  later.address += 96;
  EXPECT_EQ(wgmma_descriptor_advance(wgmma_descriptor(tile), 96), wgmma_descriptor(later));
}

TEST(WgmmaDescriptor, SwizzlesChunksByTheRow) {
  std::set<uint32_t> places;
  for (uint32_t offset = 0; offset < 2048; ++offset) {
    const uint32_t place = swizzle_128(offset);
    const uint32_t row = offset / 128;
    EXPECT_EQ(place / 128, row);
    EXPECT_EQ(place / 16 % 8, (offset / 16 % 8) ^ (row % 8));
    EXPECT_EQ(place % 16, offset % 16);
    EXPECT_EQ(swizzle_128(place), offset);
    places.insert(place);
  }
  EXPECT_EQ(places.size(), 2048u);
}

}  // namespace
}  // namespace tconv::cuda
