// SPDX-License-Identifier: Apache-2.0
// test_warp_requests.cpp: bank conflicts, sectors and lines of requests whose cost theory knows.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <utility>

#include "tests/emulator/warp_requests.h"

namespace tconv::emulator {
namespace {

constexpr uint32_t kLanes = 32, kAll = ~0U;

/// The addresses of a warp's lanes, those that access, and how much each.
struct Access {
  std::array<uint32_t, kLanes> offset{};
  uint32_t mask = kAll, bytes = 4;
};

/// Lane l accesses `bytes` at first + l * stride.
Access strided(uint32_t bytes, uint32_t stride, uint32_t first = 0, uint32_t mask = kAll) {
  Access access = {.mask = mask, .bytes = bytes};
  for (uint32_t lane = 0; lane < kLanes; ++lane) access.offset[lane] = first + lane * stride;
  return access;
}

/// {what it takes, what it would take without bank conflicts}
using Wavefronts = std::pair<uint64_t, uint64_t>;
Wavefronts shared_wavefronts(const Access& a) {
  const Requests r = shared_request(a.offset.data(), a.mask, a.bytes);
  return {r.wavefronts, r.ideal};
}
Wavefronts wavefronts(uint64_t actual, uint64_t ideal) { return {actual, ideal}; }

TEST(SharedWavefronts, OneWordALane) {
  EXPECT_EQ(shared_wavefronts(strided(4, 4)), wavefronts(1, 1));
  EXPECT_EQ(shared_wavefronts(strided(4, 4, 1020)), wavefronts(1, 1));  // wraps around the banks
  EXPECT_EQ(shared_wavefronts(strided(4, 8)), wavefronts(2, 1));
  EXPECT_EQ(shared_wavefronts(strided(4, 12)), wavefronts(1, 1));  // an odd stride of words
  EXPECT_EQ(shared_wavefronts(strided(4, 16)), wavefronts(4, 1));
  EXPECT_EQ(shared_wavefronts(strided(4, 64)), wavefronts(16, 1));
  EXPECT_EQ(shared_wavefronts(strided(4, 128)), wavefronts(32, 1));  // a column of 32 floats
  EXPECT_EQ(shared_wavefronts(strided(4, 132)), wavefronts(1, 1));   // the same, padded
  EXPECT_EQ(shared_wavefronts(strided(4, 256)), wavefronts(32, 1));
}

TEST(SharedWavefronts, EqualWordsAreBroadcast) {
  EXPECT_EQ(shared_wavefronts(strided(4, 0)), wavefronts(1, 1));
  Access request = strided(4, 0);
  for (uint32_t lane = 0; lane < kLanes; ++lane) request.offset[lane] = lane % 2 * 128;
  EXPECT_EQ(shared_wavefronts(request), wavefronts(2, 1));  // two words of bank 0, 16 lanes each
}

TEST(SharedWavefronts, NarrowLanesShareWords) {
  EXPECT_EQ(shared_wavefronts(strided(1, 1)), wavefronts(1, 1));
  EXPECT_EQ(shared_wavefronts(strided(2, 2)), wavefronts(1, 1));
  EXPECT_EQ(shared_wavefronts(strided(2, 64)), wavefronts(16, 1));
  EXPECT_EQ(shared_wavefronts(strided(2, 66)), wavefronts(1, 1));  // banks 0, 16, 1, 17, ...
  EXPECT_EQ(shared_wavefronts(strided(1, 128)), wavefronts(32, 1));
}

TEST(SharedWavefronts, WideLanesGoInHalvesAndQuarters) {
  EXPECT_EQ(shared_wavefronts(strided(8, 8)), wavefronts(2, 2));
  EXPECT_EQ(shared_wavefronts(strided(8, 16)), wavefronts(4, 2));
  EXPECT_EQ(shared_wavefronts(strided(8, 128)), wavefronts(32, 2));
  EXPECT_EQ(shared_wavefronts(strided(8, 136)), wavefronts(2, 2));
  EXPECT_EQ(shared_wavefronts(strided(16, 16)), wavefronts(4, 4));
  EXPECT_EQ(shared_wavefronts(strided(16, 32)), wavefronts(8, 4));
  EXPECT_EQ(shared_wavefronts(strided(16, 128)), wavefronts(32, 4));
  EXPECT_EQ(shared_wavefronts(strided(16, 144)), wavefronts(4, 4));
  EXPECT_EQ(shared_wavefronts(strided(16, 0)), wavefronts(4, 4));
}

TEST(SharedWavefronts, InactiveLanesCostNothing) {
  EXPECT_EQ(shared_wavefronts(strided(4, 128, 0, 0)), wavefronts(0, 0));
  EXPECT_EQ(shared_wavefronts(strided(4, 128, 0, 0x80000001)), wavefronts(2, 1));
  EXPECT_EQ(shared_wavefronts(strided(8, 8, 0, 0x0000ffff)), wavefronts(1, 1));
  EXPECT_EQ(shared_wavefronts(strided(16, 16, 0, 0xff0000ff)), wavefronts(2, 2));
}

/// ldmatrix: `count` rows of `pitch` bytes, chunk `chunk` of 16 bytes of each, perhaps swizzled.
Access tile_rows(uint32_t pitch, uint32_t count, uint32_t chunk, bool swizzled) {
  Access rows = {.mask = count == kLanes ? kAll : (1U << count) - 1, .bytes = 16};
  for (uint32_t row = 0; row < count; ++row) {
    rows.offset[row] = row * pitch + (swizzled ? chunk ^ (row % 8) : chunk) * 16;
  }
  return rows;
}

TEST(LdmatrixWavefronts, RowsOf128Bytes) {
  for (uint32_t chunk = 0; chunk < 8; ++chunk) {
    EXPECT_EQ(shared_wavefronts(tile_rows(128, 8, chunk, false)), wavefronts(8, 1));
    EXPECT_EQ(shared_wavefronts(tile_rows(128, 16, chunk, false)), wavefronts(16, 2));
    EXPECT_EQ(shared_wavefronts(tile_rows(128, 32, chunk, false)), wavefronts(32, 4));
    EXPECT_EQ(shared_wavefronts(tile_rows(128, 8, chunk, true)), wavefronts(1, 1));
    EXPECT_EQ(shared_wavefronts(tile_rows(128, 32, chunk, true)), wavefronts(4, 4));
  }
}

TEST(LdmatrixWavefronts, OtherPitches) {
  EXPECT_EQ(shared_wavefronts(tile_rows(16, 32, 0, false)), wavefronts(4, 4));
  EXPECT_EQ(shared_wavefronts(tile_rows(32, 32, 0, false)), wavefronts(8, 4));
  EXPECT_EQ(shared_wavefronts(tile_rows(64, 32, 0, false)), wavefronts(16, 4));
  EXPECT_EQ(shared_wavefronts(tile_rows(144, 32, 0, false)), wavefronts(4, 4));  // padded
  EXPECT_EQ(shared_wavefronts(tile_rows(0, 32, 0, false)), wavefronts(4, 4));    // one row
}

/// {sectors, lines, sectors that would hold the distinct bytes}
using Sectors = std::array<uint64_t, 3>;
Sectors global_sectors(const Access& a) {
  const Requests r = global_request(a.offset.data(), a.mask, a.bytes);
  return {r.sectors, r.lines, (r.useful_bytes + 31) / 32};
}
Sectors sectors(uint64_t touched, uint64_t lines, uint64_t ideal) {
  return {touched, lines, ideal};
}

TEST(GlobalSectors, Contiguous) {
  EXPECT_EQ(global_sectors(strided(4, 4, 1024)), sectors(4, 1, 4));
  EXPECT_EQ(global_sectors(strided(4, 4, 1028)), sectors(5, 2, 4));  // off by 4
  EXPECT_EQ(global_sectors(strided(4, 4, 1056)), sectors(4, 2, 4));  // off by a sector
  EXPECT_EQ(global_sectors(strided(1, 1)), sectors(1, 1, 1));
  EXPECT_EQ(global_sectors(strided(2, 2, 2)), sectors(3, 1, 2));
  EXPECT_EQ(global_sectors(strided(8, 8)), sectors(8, 2, 8));
  EXPECT_EQ(global_sectors(strided(16, 16)), sectors(16, 4, 16));
}

TEST(GlobalSectors, StridesAndScatter) {
  EXPECT_EQ(global_sectors(strided(4, 8)), sectors(8, 2, 4));
  EXPECT_EQ(global_sectors(strided(2, 4)), sectors(4, 1, 2));
  EXPECT_EQ(global_sectors(strided(4, 32)), sectors(32, 8, 4));
  EXPECT_EQ(global_sectors(strided(4, 4096, 64)), sectors(32, 32, 4));
  EXPECT_EQ(global_sectors(strided(16, 32)), sectors(32, 8, 16));
}

TEST(GlobalSectors, SharedBytesCountOnce) {
  EXPECT_EQ(global_sectors(strided(4, 0, 64)), sectors(1, 1, 1));
}

TEST(GlobalSectors, OrderDoesNotMatter) {
  Access request = strided(4, 4, 512);
  std::reverse(request.offset.begin(), request.offset.end());
  EXPECT_EQ(global_sectors(request), sectors(4, 1, 4));
  for (uint32_t lane = 0; lane < kLanes; ++lane) request.offset[lane] = 512 + (lane * 7 % 32) * 4;
  EXPECT_EQ(global_sectors(request), sectors(4, 1, 4));
}

TEST(GlobalSectors, InactiveLanesCostNothing) {
  EXPECT_EQ(global_sectors(strided(4, 4, 0, 0)), sectors(0, 0, 0));
  EXPECT_EQ(global_sectors(strided(4, 4, 0, 0x80000001)), sectors(2, 1, 1));
}

}  // namespace
}  // namespace tconv::emulator
