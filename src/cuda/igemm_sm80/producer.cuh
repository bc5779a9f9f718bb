// SPDX-License-Identifier: Apache-2.0
// producer.cuh: which parts of the input window and of the filters a thread of row.cu
// copies, stage by stage.
#pragma once

#include "src/cuda/common/smem.cuh"
#include "src/cuda/common/uniform.cuh"
#include "src/cuda/igemm_sm80/copy.cuh"
#include "src/cuda/igemm_sm80/tile.cuh"
#include "src/cuda/ptx/pin.cuh"

namespace tconv::cuda::igemm {

/// The copying half of a block: every thread has its share of each stage.
template <typename T, int kTileIndex, bool kWide, host::FilterOrder kOrder>
class Producer {
  using Tile = Tiling<kTileIndex>;
  using Filters = FilterTiling<kTileIndex, kOrder>;

 public:
  /// `copies_filters`: false if they are there.
  __device__ Producer(const IgemmParams& d, const Place& place, const Corner& corner,
                      int first_chunk, const char* input, const char* filters, const Shared& shared,
                      uint32_t windows, uint32_t stages, bool copies_filters)
      : d_(d),
        group_(d.groups[place.group]),
        shared_(shared),
        pixels_(reinterpret_cast<const Pixel*>(shared.memory)),
        tap_windows_(tap_table(d, shared.memory)),
        first_tap_(uniform(group_.first_tap)),
        taps_(uniform(group_.iterations * Tile::kSlots)),
        copies_filters_(uniform(copies_filters ? 1 : 0)) {
    const int thread = thread_here();
    const int chunk = thread % Tile::kChunksPerRow;
    row_ = thread / Tile::kChunksPerRow;
    chunk_bits_ = chunk << 4;
    input_ = input + place.n * d.input_n + corner.in_h * d.input_h + corner.in_w * d.input_w;
    if (has_planes()) {
      const int channels = d.channel_bytes / static_cast<int>(sizeof(T));
      input_ += (int64_t{place.conv_group} * channels + first_chunk * kChannels) * d.input_c;
    } else {
      input_ +=
          int64_t{place.conv_group} * d.channel_bytes + first_chunk * Tile::kRowBytes + chunk * 16;
    }
    bytes_left_ = d.channel_bytes - first_chunk * Tile::kRowBytes - chunk * 16;
    windows_ = windows;
    window_stage_ = windows;
    windows_end_ = uniform(windows + d.window_bytes * d.window_stages);
    stages_ = stages;
    start_filters(place, first_chunk, filters);
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
    if (tap_ == 0) load_window();
    if (copies_filters_ != 0) load_filters();
    filter_stage_ = next_stage(filter_stage_, Tile::kStageBytes, d_.filter_ring_bytes);
    tap_ += Tile::kSlots;
    if (tap_ == taps_) next_chunk();
  }

 private:
  static constexpr int kChannels = Tile::kRowBytes / static_cast<int>(sizeof(T));  // of a chunk
  static constexpr int kPassesPerSlot = Filters::kRows / Filters::kRowsPerPass;

  /// This thread's first row and chunk of the filters.
  __device__ void start_filters(const Place& place, int first_chunk, const char* filters) {
    first_column_ = place.first_column;
    first_phase_ = place.first_phase, first_channel_of_tile_ = place.first_channel;
    filters_ = filters + int64_t{place.repeat} * group_.repeat_filter;
    if constexpr (Filters::kIsIhwo) {
      const int channels = d_.channel_bytes / static_cast<int>(sizeof(T));
      const int first = first_chunk * Filters::kRows;
      filters_ += (int64_t{place.conv_group} * channels + first) * d_.filter_row +
                  int64_t{place.first_column} * static_cast<int>(sizeof(T));
      channels_left_ = channels - first;
    } else {
      filters_ += int64_t{place.first_column} * d_.filter_row +
                  int64_t{place.conv_group} * d_.channel_bytes + first_chunk * Tile::kRowBytes;
      channels_left_ = 0;
    }
    const FilterPlace own = filter_place(filter_row(), filter_chunk() * 16);
    filters_ += own.offset;
    rows_left_ = own.bytes_left > 0 ? own.rows_left : 0;
    // Rows of later passes differ by a multiple of 8: they have the same key.
    filter_target_ =
        stages_ + swizzled<Filters::kRowBytes>(filter_row(), filter_chunk(), filter_row());
    pass_bytes_ = pass_rows() * d_.filter_row;
  }
  __device__ static int filter_row() {
    return static_cast<int>(threadIdx.x) / Filters::kChunksPerRow;
  }
  __device__ static int filter_chunk() {
    return static_cast<int>(threadIdx.x) % Filters::kChunksPerRow;
  }

  /// Column `i` of the tile: how many columns of a tap behind the tile's first, and how many exist
  /// from there on. `in_passes`: counted so that those of later passes do if more are left than
  /// rows lie between them.
  struct ColumnPlace {
    int offset, left;
  };
  __device__ ColumnPlace column_place(int i, bool in_passes) const {
    const int columns = d_.slots[group_.first_slot].columns, out = d_.out_channels.divisor;
    if (d_.channels_last != 0) return {i, columns - first_column_ - i};
    // A rectangle of phases times channels; if the phases are several, a pass holds whole ones.
    const int channels = 1 << group_.log_channels;
    if (channels == Tile::kN) return {i, out - first_channel_of_tile_ - i};
    const int phase = i >> group_.log_channels, channel = i & (channels - 1);
    const int phases = d_.out_channels.quotient(columns) - first_phase_ - phase;
    const int left = max(0, out - first_channel_of_tile_ - channel);
    const bool exists = phases > 0 && left > 0;
    return {phase * out + channel, !exists ? 0 : in_passes ? phases << group_.log_channels : left};
  }
  /// From one pass to the next.
  __device__ int pass_rows() const {
    if (Filters::kIsIhwo || d_.channels_last != 0 || 1 << group_.log_channels == Tile::kN) {
      return Filters::kRowsPerPass;
    }
    return (Filters::kRowsPerPass >> group_.log_channels) * d_.out_channels.divisor;
  }

  /// Byte `at` of row `row` of a stage: where it comes from, and what exists from there on.
  struct FilterPlace {
    int64_t offset;
    int rows_left, bytes_left;  // HWOI: columns, and bytes of channels; IHWO: the other way round
  };
  __device__ FilterPlace filter_place(int row, int at) const {
    constexpr int kSize = sizeof(T);
    if constexpr (Filters::kIsIhwo) {
      const ColumnPlace columns = column_place(at / kSize, false);
      return {int64_t{row} * d_.filter_row + columns.offset * kSize, channels_left_ - row,
              columns.left * kSize};
    } else {
      const ColumnPlace columns = column_place(row, true);
      return {int64_t{columns.offset} * d_.filter_row + at, columns.left, bytes_left() - at};
    }
  }

  /// Of all channels, from the chunk's first on.
  __device__ int bytes_left() const { return bytes_left_ + static_cast<int>(chunk_bits_); }
  /// The first of the rows that this warp copies in a pass.
  template <int kRowsPerPass>
  __device__ static int warp_row() {
    return static_cast<int>(threadIdx.x / 32) * (kRowsPerPass / (Tile::kThreads / 32));
  }

  __device__ bool has_planes() const { return !kWide && d_.input_channels_last == 0; }

  /// A chunk of a pixel's channels.
  __device__ void store_chunk(uint32_t pixel_target, int chunk, const Bytes16& channels) const {
    const uint32_t target = window_stage_ + (pixel_target ^ chunk << 4);
    *reinterpret_cast<Bytes16*>(shared_.memory + (target - shared_.address)) = channels;
  }
  /// Of chunk `chunk`, the first channel at the window's corner.
  __device__ const char* plane_of(int chunk) const {
    return input_ + chunk * (16 / static_cast<int>(sizeof(T))) * d_.input_c;
  }
  __device__ int bytes_of(int chunk, const Pixel& pixel) const {
    return pixel.offset < 0 ? 0 : clamp_to(bytes_left() - chunk * 16, 16);
  }

  /// Planes: lanes are neighbouring pairs of pixels, both inside the input or both outside, and
  /// each gathers chunks of their channels. As with copy_piece, the next barrier but `ahead` makes
  /// them visible.
  __device__ void gather_window_pairs() {
    const auto thread = static_cast<int>(threadIdx.x);
    // Pixels of eight lanes lie two rows of memory apart, of which only every other one has chunks
    // in banks of its own: the other four lanes begin with their odd pixel.
    const bool odd_first = (thread & 4) != 0;
#pragma unroll 1
    for (int job = thread / 32;; job += Tile::kThreads / 32) {
      const int chunk = job % Tile::kChunksPerRow;
      const int i = (job / Tile::kChunksPerRow * 32 + thread % 32) * 2;
      if (i >= d_.window_pixels) return;  // those of later jobs are, too
      const Pixel even = pixels_[i];
      const uint32_t odd = pixels_[i + 1].target;
      const ChunkPair pair = gathered_chunks(plane_of(chunk) + max(even.offset, 0),
                                             bytes_of(chunk, even), d_.input_c, odd_first);
      store_chunk(odd_first ? odd : even.target, chunk, pair.first);
      store_chunk(odd_first ? even.target : odd, chunk, pair.second);
    }
  }

  /// Likewise, a lane a pixel.
  __device__ void gather_window() {
    const auto thread = static_cast<int>(threadIdx.x);
#pragma unroll 1
    for (int job = thread / 32;; job += Tile::kThreads / 32) {
      const int chunk = job % Tile::kChunksPerRow;
      const int i = job / Tile::kChunksPerRow * 32 + thread % 32;
      if (i >= d_.window_pixels) return;  // those of later jobs are, too
      const Pixel pixel = pixels_[i];
      store_chunk(pixel.target, chunk,
                  gathered_chunk<T>(plane_of(chunk) + max(pixel.offset, 0), bytes_of(chunk, pixel),
                                    d_.input_c));
    }
  }

  __device__ void load_window() {
    if constexpr (kWide) {
      copy_window();
    } else if (has_planes()) {
      if (sizeof(T) == 2 && d_.pixel_pairs != 0) {
        gather_window_pairs();
      } else {
        gather_window();
      }
    } else {
      switch (d_.access) {
        case 2: copy_window_pieces<2>(); break;
        case 4: copy_window_pieces<4>(); break;
        case 8: copy_window_pieces<8>(); break;
        default: copy_window(); break;
      }
    }
    window_stage_ += d_.window_bytes;
    if (window_stage_ == windows_end_) window_stage_ = windows_;
  }

  __device__ void copy_window() {
    static_assert(Tile::kTile.m >= Tile::kRowsPerPass, "every thread has a pixel of the box");
    int i = row_;
#pragma unroll 1
    do {
      const Pixel pixel = pixels_[i];
      copy_piece<16>(shared_, window_stage_ + (pixel.target ^ chunk_bits_),
                     input_ + max(pixel.offset, 0), pixel.offset >= 0 && bytes_left_ > 0);
      i += Tile::kRowsPerPass;
    } while (i < d_.window_pixels);
  }

  template <int kAccess>
  __device__ void copy_window_pieces() {
    using Piece = Piece<Tile::kRowBytes, kAccess>;
    const char* chunk = input_ - chunk_bits_;
    const int left = bytes_left();
#pragma unroll 1
    for (int first = warp_row<Tile::kRowsPerPass>(); first < d_.window_pixels;
         first += Tile::kRowsPerPass) {
#pragma unroll
      for (int turn = 0; turn < Piece::kTurns; ++turn) {
        const Piece piece(turn);
        if (first + piece.row >= d_.window_pixels) continue;
        const Pixel pixel = pixels_[first + piece.row];
        const bool exists = pixel.offset >= 0 && left > piece.at;
        const uint32_t target = (pixel.target ^ (piece.at & ~15)) + (piece.at & 15);
        copy_piece<kAccess>(shared_, window_stage_ + target,
                            chunk + (exists ? pixel.offset + piece.at : 0), exists);
      }
    }
  }

  /// Past the last column or channel, and in a slot without a tap, are zeros: those of channels are
  /// multiplied by the window's.
  __device__ void load_filters() {
    if constexpr (kWide) {
      copy_filters();
    } else {
      switch (d_.filter_access) {
        case 2: copy_filter_pieces<2>(); break;
        case 4: copy_filter_pieces<4>(); break;
        case 8: copy_filter_pieces<8>(); break;
        default: copy_filters(); break;
      }
    }
  }

  /// Whether a slot needs filters in the iteration whose copies are next.
  __device__ bool has_tap(int slot) const {
    return (tap_windows_[tap_ + slot] & host::kIgemmNoFilters) == 0;
  }
  __device__ const char* tap_filters(int slot) const {
    // In two steps, so that the slot is an offset within the instruction.
    const host::IgemmTap* taps = d_.taps + first_tap_ + tap_;
    return filters_ + taps[slot].filter;
  }

  __device__ void copy_filters() {
    uint32_t target = filter_target_ + filter_stage_;
    // All at once: of loads between copies, each would cost three more.
    bool has_taps[Tile::kSlots];
#pragma unroll
    for (int slot = 0; slot < Tile::kSlots; ++slot) has_taps[slot] = has_tap(slot);
#pragma unroll
    for (int slot = 0; slot < Tile::kSlots; ++slot) {
      const char* rows = tap_filters(slot);
      const bool has_tap = has_taps[slot];
#pragma unroll
      for (int pass = 0; pass < kPassesPerSlot; ++pass) {
        copy_piece<16>(shared_, target, rows, has_tap && rows_left_ > pass * Filters::kRowsPerPass);
        target += Filters::kRowsPerPass * Filters::kRowBytes;
        rows += pass_bytes_;
      }
    }
  }

  template <int kAccess>
  __device__ void copy_filter_pieces() {
    using Piece = Piece<Filters::kRowBytes, kAccess>;
    // From this thread's own place to the tile's first column and the chunk's first channel.
    const int64_t own = filter_place(filter_row(), filter_chunk() * 16).offset;
#pragma unroll
    for (int turn = 0; turn < Piece::kTurns; ++turn) {
      const Piece piece(turn);
      const int row = warp_row<Filters::kRowsPerPass>() + piece.row;
      const FilterPlace place = filter_place(row, piece.at);
      const int rows_left = place.bytes_left > 0 ? place.rows_left : 0;
      uint32_t target = stages_ + filter_stage_ + (piece.at & 15) +
                        swizzled<Filters::kRowBytes>(row, piece.at >> 4, row);
#pragma unroll 1
      for (int slot = 0; slot < Tile::kSlots; ++slot) {
        const char* rows = tap_filters(slot) + (place.offset - own);
        const bool has_tap = this->has_tap(slot);
#pragma unroll 1
        for (int pass = 0; pass < kPassesPerSlot; ++pass) {
          copy_piece<kAccess>(shared_, target, rows,
                              has_tap && rows_left > pass * Filters::kRowsPerPass);
          target += Filters::kRowsPerPass * Filters::kRowBytes;
          rows += pass_bytes_;
        }
      }
    }
  }

  __device__ void next_chunk() {
    tap_ = 0;
    input_ += has_planes() ? kChannels * d_.input_c : Tile::kRowBytes;
    bytes_left_ -= Tile::kRowBytes;
    if constexpr (Filters::kIsIhwo) {
      filters_ += int64_t{Filters::kRows} * d_.filter_row;
      rows_left_ -= Filters::kRows;
      channels_left_ -= Filters::kRows;
    } else {
      filters_ += Tile::kRowBytes;
      if (bytes_left_ <= 0) rows_left_ = 0;
    }
  }

  const IgemmParams& d_;
  const IgemmGroup& group_;
  const Shared shared_;
  const Pixel* pixels_;
  const uint32_t* tap_windows_;
  // This thread's chunk of the channels, at the window's corner; of planes, the chunks of all.
  const char* input_;
  const char* filters_;
  int row_, bytes_left_;
  int first_column_, first_phase_, first_channel_of_tile_;
  uint32_t chunk_bits_, windows_, stages_, filter_target_, pass_bytes_;
  int first_tap_, taps_, tap_ = 0;  // of a chunk, those of all slots; the next iteration's first
  int copies_filters_;
  int rows_left_;      // of a slot, from this thread's first on
  int channels_left_;  // IHWO: from the chunk's first on

  uint32_t window_stage_, windows_end_, filter_stage_ = 0;
};

}  // namespace tconv::cuda::igemm
