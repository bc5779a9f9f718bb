// SPDX-License-Identifier: Apache-2.0
// igemm_copy.cuh: how input windows and filters get into the shared memory of a block of
// igemm_sm80.cu.
#pragma once

#include "src/cuda/igemm_tile.cuh"
#include "src/cuda/ptx/cp_async.cuh"
#include "src/cuda/ptx/pin.cuh"
#include "src/cuda/smem.cuh"

namespace tconv::cuda::igemm {

using host::IgemmSlot;
using host::IgemmTap;
using host::kNoInput;

/// One pixel of the window: where it comes from and where it goes.
struct Pixel {
  int32_t offset;   // bytes from the window's first pixel inside the input; kNoInput: zeros
  uint32_t target;  // bytes from the stage, chunk 0
};

/// The input pixel of window pixel 0, moved inside: offsets of the others are never negative.
struct Corner {
  int h, w;  // may be outside
  int in_h, in_w;
};

__device__ inline Corner corner_of(const IgemmParams& d, const Place& place) {
  const IgemmGroup& group = d.groups[place.group];
  Corner corner;
  corner.h = place.h * d.h.input_step + place.subgrid_h + group.origin_h;
  corner.w = place.w * d.w.input_step + place.subgrid_w + group.origin_w;
  corner.in_h = max(0, min(corner.h, d.h.in - 1));
  corner.in_w = max(0, min(corner.w, d.w.in - 1));
  return corner;
}

/// Fills in the table of the window's pixels: all divisions are here, none in the main loop.
template <int kTileIndex>
__device__ inline void make_pixels(const IgemmParams& d, const Place& place, const Corner& corner,
                                   Pixel* pixels) {
  constexpr int kRowBytes = Tiling<kTileIndex>::kRowBytes;
  for (int i = static_cast<int>(threadIdx.x); i < d.window_pixels;
       i += Tiling<kTileIndex>::kThreads) {
    const int w = i % d.w.window, row = i / d.w.window;
    const int h = row % d.h.window, n = row / d.h.window;
    const int in_h = corner.h + h * d.h.input_step, in_w = corner.w + w * d.w.input_step;
    const bool inside =
        in_h >= 0 && in_h < d.h.in && in_w >= 0 && in_w < d.w.in && place.n + n < d.batch;
    const int64_t offset =
        n * d.input_n + (in_h - corner.in_h) * d.input_h + (in_w - corner.in_w) * d.input_w;
    pixels[i].offset = inside ? static_cast<int32_t>(offset) : kNoInput;
    pixels[i].target =
        swizzled<kRowBytes>(n * d.image_pitch + h * d.pitch + w, 0,
                            w + (h << d.w.log_box) + (n << (d.w.log_box + d.h.log_box)));
  }
}

/// A 16-byte chunk into shared memory: `bytes` of it from `source`, zeros after them.
template <bool kWide>
__device__ inline void copy_chunk(uint32_t target, const char* source, int bytes) {
  static_assert(kWide);
  ptx::cp_async_cg_16(target, source, bytes);
}

/// The copying half of a block: every thread has its share of each stage.
template <int kTileIndex, bool kWide>
class Producer {
  using Tile = Tiling<kTileIndex>;

 public:
  __device__ Producer(const IgemmParams& d, const Place& place, const Corner& corner,
                      const char* input, const char* filters, const Pixel* pixels, uint32_t windows,
                      uint32_t stages)
      : d_(d), group_(d.groups[place.group]), pixels_(pixels) {
    const auto thread = static_cast<int>(threadIdx.x);
    const int chunk = thread % Tile::kChunksPerRow;
    row_ = thread / Tile::kChunksPerRow;
    chunk_bits_ = chunk << 4;
    const int64_t first_byte = int64_t{place.conv_group} * d.channels * 2 + chunk * 16;
    input_ = input + place.n * d.input_n + corner.in_h * d.input_h + corner.in_w * d.input_w +
             first_byte;
    filters_ = filters + int64_t{place.first_column + row_} * d.filter_row +
               int64_t{place.repeat} * group_.repeat_filter + first_byte;
    // Rows of later passes differ by a multiple of 8: they have the same key.
    filter_target_ = stages + swizzled<Tile::kRowBytes>(row_, chunk, row_);
    pass_bytes_ = Tile::kRowsPerPass * d.filter_row;
    bytes_left_ = d.channels * 2 - chunk * 16;
    windows_ = windows;
    for (int pass = 0; pass < Tile::kPasses; ++pass) {
      const int row = pass * Tile::kRowsPerPass + row_;
      const int column = place.first_column + row % Tile::kN;
      const IgemmSlot& slot = d.slots[group_.first_slot + row / Tile::kN];
      if (column < slot.columns) row_mask_ |= 1u << pass;
    }
    ptx::pin(row_);
    ptx::pin(chunk_bits_);
    ptx::pin(input_);
    ptx::pin(filters_);
    ptx::pin(filter_target_);
    ptx::pin(bytes_left_);
    ptx::pin(row_mask_);
  }

  /// Issues the copies of the next iteration: its filters and, for the first of a chunk, the
  /// window.
  __device__ void issue() {
    if (iteration_ == 0) load_window();
    load_filters();
    filter_stage_ = next_stage(filter_stage_, Tile::kStageBytes, Tile::kRingBytes);
    if (++iteration_ == group_.iterations) next_chunk();
  }

 private:
  __device__ int chunk_bytes() const { return max(0, min(bytes_left_, 16)); }

  __device__ void load_window() {
    const int bytes = chunk_bytes();
#pragma unroll 1
    for (int i = row_; i < d_.window_pixels; i += Tile::kRowsPerPass) {
      const Pixel pixel = pixels_[i];
      copy_chunk<kWide>(windows_ + window_stage_ + (pixel.target ^ chunk_bits_),
                        input_ + max(pixel.offset, 0), pixel.offset < 0 ? 0 : bytes);
    }
    window_stage_ = next_stage(window_stage_, d_.window_bytes, d_.window_bytes * d_.window_stages);
  }

  __device__ void load_filters() {
    const IgemmTap* taps = d_.taps + group_.first_tap + iteration_ * Tile::kSlots;
    const int bytes = chunk_bytes();
#pragma unroll
    for (int pass = 0; pass < Tile::kPasses; ++pass) {
      constexpr int kPassesPerSlot = Tile::kN / Tile::kRowsPerPass;
      const IgemmTap& tap = taps[pass / kPassesPerSlot];
      const bool used = (row_mask_ >> pass & 1) != 0 && (tap.window & host::kIgemmNoTap) == 0;
      const uint32_t offset = tap.filter + pass % kPassesPerSlot * pass_bytes_;
      copy_chunk<kWide>(
          filter_target_ + filter_stage_ + pass * Tile::kRowsPerPass * Tile::kRowBytes,
          filters_ + (used ? offset : 0), used ? bytes : 0);
    }
  }

  __device__ void next_chunk() {
    iteration_ = 0;
    input_ += Tile::kRowBytes;
    filters_ += Tile::kRowBytes;
    bytes_left_ -= Tile::kRowBytes;
  }

  const IgemmParams& d_;
  const IgemmGroup& group_;
  const Pixel* pixels_;
  const char *input_, *filters_;  // this thread's chunk of the channels, at the window's corner
  int row_, bytes_left_;
  uint32_t chunk_bits_, windows_, filter_target_, pass_bytes_, row_mask_ = 0;
  int iteration_ = 0;
  uint32_t window_stage_ = 0, filter_stage_ = 0;
};

}  // namespace tconv::cuda::igemm
