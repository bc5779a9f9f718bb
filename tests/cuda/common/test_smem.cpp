// SPDX-License-Identifier: Apache-2.0
// test_smem.cpp: places in shared memory: every chunk has one, and eight lanes that read together
// never meet in a bank, whatever the box, the halo and the tap.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

#include "src/cuda/common/smem.cuh"

namespace tconv::cuda {
namespace {

template <int kRowBytes>
void expect_a_place_for_each_chunk() {
  std::set<uint32_t> places;
  for (uint32_t row = 0; row < 64; ++row) {
    for (uint32_t chunk = 0; chunk < kRowBytes / 16; ++chunk) {
      const uint32_t place = swizzled<kRowBytes>(row, chunk, row * 3 + 1);
      EXPECT_EQ(place / kRowBytes, row);
      EXPECT_EQ(place % 16, 0U);
      // The kernel gets from chunk 0 to another by XOR.
      EXPECT_EQ(place, swizzled<kRowBytes>(row, 0, row * 3 + 1) ^ chunk << 4);
      places.insert(place);
    }
  }
  EXPECT_EQ(places.size(), std::size_t{64} * kRowBytes / 16);
}

TEST(Swizzle, GivesEachChunkAPlace) {
  expect_a_place_for_each_chunk<64>();
  expect_a_place_for_each_chunk<128>();
  expect_a_place_for_each_chunk<256>();
}

/// How many of 8 chunks meet in the fullest sixteenth of a 128-byte wavefront.
int conflicts(const std::array<uint32_t, 8>& places) {
  std::array<int, 8> count = {};
  for (const uint32_t place : places) ++count[place / 16 % 8];
  return std::ranges::max(count);
}

struct Window {
  uint32_t log_w, log_h, pitch, image_pitch;

  /// What igemm_sm80/plan.cpp does for rows of 64 bytes.
  static Window make(uint32_t log_w, uint32_t log_h, uint32_t halo_w, uint32_t halo_h,
                     bool keep_parity) {
    Window window = {log_w, log_h, (1U << log_w) + halo_w, 0};
    const uint32_t box_w = 1U << log_w, box = box_w << log_h;
    if (keep_parity && box_w < 8 && (window.pitch ^ box_w) % 2 != 0) ++window.pitch;
    window.image_pitch = ((1U << log_h) + halo_h) * window.pitch;
    if (keep_parity && box < 8 && (window.image_pitch ^ box) % 2 != 0) ++window.image_pitch;
    return window;
  }
  uint32_t row(uint32_t m, uint32_t dh, uint32_t dw) const {
    const uint32_t w = m % (1U << log_w), h = m >> log_w & ((1U << log_h) - 1);
    return (m >> (log_w + log_h)) * image_pitch + (h + dh) * pitch + w + dw;
  }
};

template <int kRowBytes>
int worst_read(const Window& window, uint32_t dh, uint32_t dw) {
  int worst = 0;
  const uint32_t key = dw + (dh << window.log_w);
  for (uint32_t first = 0; first < 128; first += 8) {
    for (uint32_t chunk = 0; chunk < 2; ++chunk) {
      std::array<uint32_t, 8> places;
      for (uint32_t lane = 0; lane < 8; ++lane) {
        const uint32_t m = first + lane;
        places[lane] = swizzled<kRowBytes>(window.row(m, dh, dw), chunk, m + key);
      }
      worst = std::max(worst, conflicts(places));
    }
  }
  return worst;
}

template <int kRowBytes>
void expect_no_conflicts() {
  for (uint32_t log_w = 0; log_w <= 7; ++log_w) {
    for (uint32_t log_h = 0; log_w + log_h <= 7; ++log_h) {
      for (uint32_t halo_w = 0; halo_w <= 5; ++halo_w) {
        for (uint32_t halo_h = 0; halo_h <= 3; ++halo_h) {
          const Window window = Window::make(log_w, log_h, halo_w, halo_h, kRowBytes == 64);
          for (uint32_t dh = 0; dh <= halo_h; ++dh) {
            for (uint32_t dw = 0; dw <= halo_w; ++dw) {
              ASSERT_EQ(worst_read<kRowBytes>(window, dh, dw), 1)
                  << "box " << (1U << log_h) << "x" << (1U << log_w) << " halo " << halo_h << "x"
                  << halo_w << " tap " << dh << "," << dw;
            }
          }
        }
      }
    }
  }
}

TEST(Swizzle, ReadsWithoutBankConflicts) {
  expect_no_conflicts<64>();
  expect_no_conflicts<128>();
}

/// Rows of columns, one a channel: ldmatrix.trans reads the same chunk of 8 consecutive channels,
/// copies write chunk after chunk of as many channels as fill a warp.
template <int kRowBytes>
void expect_no_conflicts_in_rows_of_columns() {
  constexpr uint32_t kChunks = kRowBytes / 16;
  for (uint32_t channel = 0; channel < 64; channel += 8) {
    for (uint32_t chunk = 0; chunk < kChunks; ++chunk) {
      std::array<uint32_t, 8> read;
      for (uint32_t lane = 0; lane < 8; ++lane) {
        read[lane] = swizzled<kRowBytes>(channel + lane, chunk, channel + lane);
      }
      EXPECT_EQ(conflicts(read), 1) << channel << "," << chunk;
      // The kernel gets to the pair of chunks beside by XOR, and to later channels by addition.
      EXPECT_EQ(read[3] ^ 2 << 4, swizzled<kRowBytes>(channel + 3, chunk ^ 2, channel + 3));
      EXPECT_EQ(read[3] + 16 * kRowBytes, swizzled<kRowBytes>(channel + 19, chunk, channel + 19));
    }
  }
  for (uint32_t first = 0; first < 64 * kChunks; first += 8) {
    std::array<uint32_t, 8> written;
    for (uint32_t lane = 0; lane < 8; ++lane) {
      const uint32_t row = (first + lane) / kChunks;
      written[lane] = swizzled<kRowBytes>(row, (first + lane) % kChunks, row);
    }
    EXPECT_EQ(conflicts(written), 1) << first;
  }
}

TEST(Swizzle, ReadsAndWritesRowsOfColumnsWithoutBankConflicts) {
  expect_no_conflicts_in_rows_of_columns<64>();
  expect_no_conflicts_in_rows_of_columns<128>();
  expect_no_conflicts_in_rows_of_columns<256>();
}

// Without the swizzle, and without the parity, there would be some.
TEST(Swizzle, IsNeeded) {
  const Window window = Window::make(2, 2, 1, 0, false);
  std::array<uint32_t, 8> places;
  for (uint32_t lane = 0; lane < 8; ++lane) places[lane] = window.row(lane, 0, 0) * 128;
  EXPECT_EQ(conflicts(places), 8);
  EXPECT_GT(worst_read<64>(window, 0, 1), 1);
}

TEST(Ring, GoesRound) {
  uint32_t stage = 0;
  for (const uint32_t expected : {128U, 256U, 0U, 128U}) {
    stage = next_stage(stage, 128, 384);
    EXPECT_EQ(stage, expected);
  }
  EXPECT_EQ(next_stage(0, 128, 128), 0U);
  EXPECT_EQ(next_stage(128, 128, 512), 256U);
  EXPECT_EQ(next_stage(384, 128, 512), 0U);
  EXPECT_EQ(align_up(0, 128), 0U);
  EXPECT_EQ(align_up(1, 128), 128U);
  EXPECT_EQ(align_up(128, 128), 128U);
}

}  // namespace
}  // namespace tconv::cuda
