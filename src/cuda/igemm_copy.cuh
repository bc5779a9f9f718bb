// SPDX-License-Identifier: Apache-2.0
// igemm_copy.cuh: how input windows and filters get into the shared memory of a block of
// igemm_sm80.cu.
#pragma once

#include <type_traits>

#include "src/cuda/epilogue.cuh"
#include "src/cuda/igemm_tile.cuh"
#include "src/cuda/ptx/cp_async.cuh"
#include "src/cuda/ptx/pin.cuh"
#include "src/cuda/smem.cuh"

namespace tconv::cuda::igemm {

using host::IgemmTap;

/// The block's shared memory, as a pointer and as an address. The table of pixels comes first.
struct Shared {
  unsigned char* memory;
  uint32_t address;
};

/// Fills in the table of the window's pixels.
template <int kTileIndex>
__device__ inline void make_pixels(const IgemmParams& d, const Place& place, const Corner& corner,
                                   Pixel* pixels) {
  for (int i = static_cast<int>(threadIdx.x); i < d.window_pixels;
       i += Tiling<kTileIndex>::kThreads) {
    pixels[i] = pixel_of<kTileIndex>(d, place, corner, i);
  }
}

/// A 16-byte chunk of channels, of which `bytes` exist, the rest zeros, that is aligned to `access`
/// bytes in global memory, 16 to 2: in pieces of that size.
__device__ inline void copy_pieces(const Shared& shared, uint32_t target, const char* source,
                                   int bytes, int access) {
  if (access == 16) {
    ptx::cp_async_cg_16(target, source, bytes);
  } else if (access == 8) {
#pragma unroll
    for (int at = 0; at < 16; at += 8) {
      ptx::cp_async_ca<8>(target + at, source + (at < bytes ? at : 0), clamp_to(bytes - at, 8));
    }
  } else if (access == 4) {
#pragma unroll
    for (int at = 0; at < 16; at += 4) {
      ptx::cp_async_ca<4>(target + at, source + (at < bytes ? at : 0), clamp_to(bytes - at, 4));
    }
  } else {
    // No copy is that narrow: through registers. The barrier that makes the stage's copies visible
    // makes this visible too.
    const auto* from = reinterpret_cast<const uint16_t*>(source);
    uint32_t words[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint32_t low = i * 4 < bytes ? from[i * 2] : 0;
      const uint32_t high = i * 4 + 2 < bytes ? from[i * 2 + 1] : 0;
      words[i] = low | high << 16;
    }
    const Bytes16 chunk = {words[0], words[1], words[2], words[3]};
    *reinterpret_cast<Bytes16*>(shared.memory + (target - shared.address)) = chunk;
  }
}

/// A 16-byte chunk of channels that lie `step` bytes apart, of which `bytes` exist.
template <typename T>
__device__ inline Bytes16 gathered_chunk(const char* source, int bytes, int64_t step) {
  using Bits = std::conditional_t<sizeof(T) == 2, uint16_t, uint32_t>;
  constexpr int kSize = sizeof(T), kCount = 16 / kSize, kPerWord = 4 / kSize;
  uint32_t values[kCount], words[4] = {};
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    values[i] = i * kSize < bytes ? *reinterpret_cast<const Bits*>(source + i * step) : 0;
  }
#pragma unroll
  for (int i = 0; i < kCount; ++i) words[i / kPerWord] |= values[i] << (i % kPerWord * 16);
  return {words[0], words[1], words[2], words[3]};
}

/// The copying half of a block: every thread has its share of each stage.
template <typename T, int kTileIndex, bool kWide, host::FilterOrder kOrder>
class Producer {
  using Tile = Tiling<kTileIndex>;
  using Filters = FilterTiling<kTileIndex, kOrder>;

 public:
  __device__ Producer(const IgemmParams& d, const Place& place, const Corner& corner,
                      const char* input, const char* filters, const Shared& shared,
                      uint32_t windows, uint32_t stages)
      : d_(d),
        group_(d.groups[place.group]),
        shared_(shared),
        pixels_(reinterpret_cast<const Pixel*>(shared.memory)) {
    const auto thread = static_cast<int>(threadIdx.x);
    const int chunk = thread % Tile::kChunksPerRow;
    row_ = thread / Tile::kChunksPerRow;
    chunk_bits_ = chunk << 4;
    const int64_t first_byte = int64_t{place.conv_group} * d.channel_bytes + chunk * 16;
    input_ = input + place.n * d.input_n + corner.in_h * d.input_h + corner.in_w * d.input_w +
             first_byte;
    if constexpr (!kWide) {
      planes_ =
          input + place.n * d.input_n + corner.in_h * d.input_h + corner.in_w * d.input_w +
          int64_t{place.conv_group} * (d.channel_bytes / static_cast<int>(sizeof(T))) * d.input_c;
      channels_left_ = d.channel_bytes;
    }
    bytes_left_ = d.channel_bytes - chunk * 16;
    windows_ = windows;
    start_filters(place, filters, stages);
    tap_ = group_.first_tap;
    ptx::pin(row_);
    ptx::pin(chunk_bits_);
    ptx::pin(input_);
    ptx::pin(filters_);
    ptx::pin(filter_target_);
    ptx::pin(bytes_left_);
    ptx::pin(rows_left_);
  }

  /// Issues the copies of the next iteration: its filters and, for the first of a chunk, the
  /// window.
  __device__ void issue() {
    if (tap_ == group_.first_tap) load_window();
    load_filters();
    filter_stage_ = next_stage(filter_stage_, Tile::kStageBytes, Tile::kRingBytes);
    tap_ += Tile::kSlots;
    if (tap_ == group_.end_tap) next_chunk();
  }

 private:
  /// This thread's first row and chunk of the filters.
  __device__ void start_filters(const Place& place, const char* filters, uint32_t stages) {
    const auto thread = static_cast<int>(threadIdx.x);
    const int chunk = thread % Filters::kChunksPerRow, row = thread / Filters::kChunksPerRow;
    const int columns = d_.slots[group_.first_slot].columns - place.first_column;
    filters_ = filters + int64_t{place.repeat} * group_.repeat_filter + chunk * 16;
    if constexpr (Filters::kIsIhwo) {
      const int channels = d_.channel_bytes / 2;
      filters_ += (int64_t{place.conv_group} * channels + row) * d_.filter_row +
                  int64_t{place.first_column} * 2;
      rows_left_ = channels - row;
      column_bytes_ = clamp_to(columns * 2 - chunk * 16, 16);
    } else {
      filters_ += int64_t{place.first_column + row} * d_.filter_row +
                  int64_t{place.conv_group} * d_.channel_bytes;
      rows_left_ = columns - row;
    }
    // Rows of later passes differ by a multiple of 8: they have the same key.
    filter_target_ = stages + swizzled<Filters::kRowBytes>(row, chunk, row);
    pass_bytes_ = Filters::kRowsPerPass * d_.filter_row;
  }

  /// Of this thread's chunk of the channels: past the last one there are none.
  __device__ int chunk_bytes() const { return clamp_to(bytes_left_, 16); }

  __device__ void copy(uint32_t target, const char* source, int bytes, int access) {
    if constexpr (kWide) {
      ptx::cp_async_cg_16(target, source, bytes);
    } else {
      copy_pieces(shared_, target, source, bytes, access);
    }
  }

  /// NCHW: lanes are neighbouring pixels, and each gathers chunks of their channels. As with
  /// copy_pieces, the next barrier but `ahead` makes them visible.
  __device__ void gather_window() {
    const auto thread = static_cast<int>(threadIdx.x);
    const int jobs = (d_.window_pixels + 31) / 32 * Tile::kChunksPerRow;
#pragma unroll 1
    for (int job = thread / 32; job < jobs; job += Tile::kThreads / 32) {
      const int chunk = job % Tile::kChunksPerRow;
      const int i = job / Tile::kChunksPerRow * 32 + thread % 32;
      if (i >= d_.window_pixels) continue;
      const Pixel pixel = pixels_[i];
      const int bytes = pixel.offset < 0 ? 0 : clamp_to(channels_left_ - chunk * 16, 16);
      const Bytes16 gathered = gathered_chunk<T>(
          planes_ + chunk * (16 / static_cast<int>(sizeof(T))) * d_.input_c + max(pixel.offset, 0),
          bytes, d_.input_c);
      const uint32_t target = windows_ + window_stage_ + (pixel.target ^ chunk << 4);
      *reinterpret_cast<Bytes16*>(shared_.memory + (target - shared_.address)) = gathered;
    }
  }

  __device__ void load_window() {
    const int bytes = chunk_bytes();
    if (!kWide && d_.channels_last == 0) {
      gather_window();
    } else {
      copy_window(bytes);
    }
    window_stage_ = next_stage(window_stage_, d_.window_bytes, d_.window_bytes * d_.window_stages);
  }

  __device__ void copy_window(int bytes) {
#pragma unroll 1
    for (int i = row_; i < d_.window_pixels; i += Tile::kRowsPerPass) {
      const Pixel pixel = pixels_[i];
      copy(windows_ + window_stage_ + (pixel.target ^ chunk_bits_), input_ + max(pixel.offset, 0),
           pixel.offset < 0 ? 0 : bytes, d_.access);
    }
  }

  /// Past the last column or channel, and in a slot without a tap, are zeros: those of channels are
  /// multiplied by the window's.
  __device__ void load_filters() {
    constexpr int kPassesPerSlot = Filters::kRows / Filters::kRowsPerPass;
    const int chunk_bytes = Filters::kIsIhwo ? column_bytes_ : this->chunk_bytes();
    uint32_t target = filter_target_ + filter_stage_;
#pragma unroll
    for (int slot = 0; slot < Tile::kSlots; ++slot) {
      const IgemmTap& tap = d_.taps[tap_ + slot];
      const char* rows = filters_ + tap.filter;
      const int bytes = (tap.window & host::kIgemmNoTap) == 0 ? chunk_bytes : 0;
#pragma unroll
      for (int pass = 0; pass < kPassesPerSlot; ++pass) {
        copy(target, rows, rows_left_ > pass * Filters::kRowsPerPass ? bytes : 0, d_.filter_access);
        target += Filters::kRowsPerPass * Filters::kRowBytes;
        rows += pass_bytes_;
      }
    }
  }

  __device__ void next_chunk() {
    tap_ = group_.first_tap;
    input_ += Tile::kRowBytes;
    bytes_left_ -= Tile::kRowBytes;
    if constexpr (Filters::kIsIhwo) {
      filters_ += int64_t{Filters::kRows} * d_.filter_row;
      rows_left_ -= Filters::kRows;
    } else {
      filters_ += Tile::kRowBytes;
    }
    if constexpr (!kWide) {
      planes_ += Tile::kRowBytes / static_cast<int>(sizeof(T)) * d_.input_c;
      channels_left_ -= Tile::kRowBytes;
    }
  }

  const IgemmParams& d_;
  const IgemmGroup& group_;
  const Shared shared_;
  const Pixel* pixels_;
  const char *input_, *filters_;  // this thread's chunk of the channels, at the window's corner
  const char* planes_ = nullptr;  // NCHW: the chunk's first channel, at the window's corner
  int row_, bytes_left_, channels_left_ = 0;
  uint32_t chunk_bits_, windows_, filter_target_, pass_bytes_;
  int rows_left_, tap_;   // of a slot past this thread's first; the next iteration's first
  int column_bytes_ = 0;  // IHWO: of this thread's chunk of the columns

  uint32_t window_stage_ = 0, filter_stage_ = 0;
};

}  // namespace tconv::cuda::igemm
