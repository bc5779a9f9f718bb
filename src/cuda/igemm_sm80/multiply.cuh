// SPDX-License-Identifier: Apache-2.0
// multiply.cuh: how a warp of row.cu multiplies what lies in shared memory.
#pragma once

#include <type_traits>

#include "src/cuda/common/dtype.cuh"
#include "src/cuda/common/smem.cuh"
#include "src/cuda/common/tf32x3.cuh"
#include "src/cuda/common/uniform.cuh"
#include "src/cuda/igemm_sm80/tile.cuh"
#include "src/cuda/ptx/ldmatrix.cuh"
#include "src/cuda/ptx/mma_sm80.cuh"
#include "src/cuda/ptx/pin.cuh"

namespace tconv::cuda::igemm {

template <typename T>
__device__ inline void multiply(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  if constexpr (std::is_same_v<T, Half>) {
    ptx::mma_m16n8k16_f16(sum, a, b);
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    ptx::mma_m16n8k16_bf16(sum, a, b);
  } else {
    ptx::mma_m16n8k8_tf32(sum, a, b);
  }
}

/// The multiplying half of a block: a warp's share of it.
template <typename T, int kTileIndex, host::FilterOrder kOrder>
class Consumer {
  using Tile = Tiling<kTileIndex>;
  using Filters = FilterTiling<kTileIndex, kOrder>;

 public:
  using Sums = float[Tile::kRowBlocks][Tile::kColumnBlocks][4];
  Sums sums = {};

  /// `tap_windows`: the block's table of taps.
  __device__ Consumer(const IgemmParams& d, const Place& place, int first_chunk,
                      const uint32_t* tap_windows, uint32_t windows, uint32_t stages)
      : d_(d),
        group_(d.groups[place.group]),
        tap_windows_(tap_windows),
        bytes_left_(d.channel_bytes - first_chunk * Tile::kRowBytes),
        taps_(uniform(group_.iterations * Tile::kSlots)),
        windows_(windows),
        windows_end_(uniform(windows + d.window_bytes * d.window_stages)),
        window_stage_(windows) {
    const WarpPlace<kTileIndex> warp(thread_here());
    const bool has_columns = column_exists(d, place, group_, warp.n);
    const int line = has_columns ? warp.m / Tile::kWarpM : Tile::kWarpsM;
    first_entry_ = line * d.most_taps + warp.slot;
#pragma unroll
    for (int i = 0; i < Tile::kRowBlocks; ++i) {
      const int m = warp.m + i * 16 + warp.lane % 16;
      window_rows_[i] = window_row(d, m) * Tile::kRowBytes;
      ptx::pin(window_rows_[i]);
    }
    // Positions, like rows of filters, have the number of the lane in their low three bits.
    lane_key_ = warp.lane % 8;
    upper_half_ = warp.lane / 16 << 4;
    filter_rows_ = stages + warp.slot * Tile::kSlotBytes + filter_place(warp);
    ptx::pin(lane_key_);
    ptx::pin(upper_half_);
    ptx::pin(filter_rows_);
    begin_iteration();
  }

  /// Fragments of one step, 32 bytes of channels, of the current iteration.
  __device__ void load(int step) {
    const int set = step % 2;
    const auto chunk = static_cast<uint32_t>(step << 5);
#pragma unroll
    for (int i = 0; i < Tile::kRowBlocks; ++i) {
      ptx::ldmatrix_x4(a_[set][i], window_rows_[i] + (window_ ^ chunk));
    }
#pragma unroll
    for (int j = 0; j < Tile::kColumnBlocks; j += 2) {
      uint32_t pair[4];
      const uint32_t rows = filter_rows_ + filter_stage_;
      if constexpr (Filters::kIsIhwo) {
        ptx::ldmatrix_x4_trans(pair, (rows ^ j << 4) + step * 16 * Filters::kRowBytes);
      } else {
        ptx::ldmatrix_x4(pair, (rows ^ chunk) + j * 8 * Filters::kRowBytes);
      }
      b_[set][j][0] = pair[0], b_[set][j][1] = pair[1];
      b_[set][j + 1][0] = pair[2], b_[set][j + 1][1] = pair[3];
    }
  }

  /// True if the current iteration has something to multiply in `step`. All lanes agree. Channels
  /// past the last are zeros: left out, they change nothing.
  __device__ bool useful(int step) const { return step * 32 < useful_bytes_; }

  __device__ void multiply_step(int step) {
    if constexpr (std::is_same_v<T, Tf32x3>) {
      multiply_split(step % 2);
    } else {
      if constexpr (std::is_same_v<T, float>) round_to_tf32(step % 2);
#pragma unroll
      for (int i = 0; i < Tile::kRowBlocks; ++i) {
        multiply_row(sums[i], a_[step % 2][i], b_[step % 2]);
      }
    }
  }

  __device__ void next_iteration() {
    filter_stage_ = next_stage(filter_stage_, Tile::kStageBytes, d_.filter_ring_bytes);
    tap_ += Tile::kSlots;
    if (tap_ == taps_) next_chunk();
    begin_iteration();
  }

 private:
  /// Where the lane reads its row of the four matrices of step 0 and columns 0 to 15 of the warp:
  /// channels 0 and 8 of columns 0, then of columns 8.
  __device__ static uint32_t filter_place(const WarpPlace<kTileIndex>& warp) {
    const int row = warp.lane % 8, channel_half = warp.lane / 8 % 2, column_half = warp.lane / 16;
    if constexpr (Filters::kIsIhwo) {
      const int channel = channel_half * 8 + row;
      return swizzled<Filters::kRowBytes>(channel, warp.n / 8 + column_half, channel);
    } else {
      const int column = warp.n + column_half * 8 + row;
      return swizzled<Filters::kRowBytes>(column, channel_half, column);
    }
  }

  /// The tensor cores would cut f32 off.
  __device__ void round_to_tf32(int set) {
#pragma unroll
    for (int r = 0; r < 4; ++r) {
#pragma unroll
      for (int i = 0; i < Tile::kRowBlocks; ++i) {
        a_[set][i][r] = ptx::cvt_rna_tf32(__uint_as_float(a_[set][i][r]));
      }
#pragma unroll
      for (int j = r % 2; j < Tile::kColumnBlocks; j += 2) {
        b_[set][j][r / 2] = ptx::cvt_rna_tf32(__uint_as_float(b_[set][j][r / 2]));
      }
    }
  }

  /// Three products. A row of sums at a time: the next step's operands fill the registers.
  __device__ void multiply_split(int set) {
    uint32_t small_b[Tile::kColumnBlocks][2];
#pragma unroll
    for (int j = 0; j < Tile::kColumnBlocks; ++j) {
      split(b_[set][j][0], small_b[j][0]);
      split(b_[set][j][1], small_b[j][1]);
    }
#pragma unroll
    for (int i = 0; i < Tile::kRowBlocks; ++i) {
      uint32_t small_a[4];
#pragma unroll
      for (int r = 0; r < 4; ++r) split(a_[set][i][r], small_a[r]);
      multiply_row(sums[i], small_a, b_[set]);
      multiply_row(sums[i], a_[set][i], small_b);
      multiply_row(sums[i], a_[set][i], b_[set]);
    }
  }

  __device__ static void multiply_row(float (&sum)[Tile::kColumnBlocks][4], const uint32_t (&a)[4],
                                      const uint32_t (&b)[Tile::kColumnBlocks][2]) {
#pragma unroll
    for (int j = 0; j < Tile::kColumnBlocks; ++j) multiply<T>(sum[j], a, b[j]);
  }

  __device__ void next_chunk() {
    tap_ = 0;
    bytes_left_ -= Tile::kRowBytes;
    window_stage_ += d_.window_bytes;
    if (window_stage_ == windows_end_) window_stage_ = windows_;
  }

  /// Where the tap's pixels are, the swizzle included, and how many of the chunk's bytes count.
  __device__ void begin_iteration() {
    const uint32_t window = tap_windows_[tap_ + first_entry_];
    const uint32_t key = swizzle_key<Tile::kRowBytes>(lane_key_ + window) << 4;
    window_ = window_stage_ + (window & ~(Tile::kRowBytes - 1u)) + (key ^ upper_half_);
    useful_bytes_ = uniform((window & host::kIgemmNoTap) == 0 ? bytes_left_ : 0);
  }

  const IgemmParams& d_;
  const IgemmGroup& group_;
  const uint32_t* tap_windows_;
  int bytes_left_, first_entry_, taps_, tap_ = 0, useful_bytes_;
  uint32_t windows_, windows_end_, window_stage_, window_rows_[Tile::kRowBlocks], window_;
  uint32_t filter_rows_, filter_stage_ = 0, lane_key_, upper_half_;
  uint32_t a_[2][Tile::kRowBlocks][4], b_[2][Tile::kColumnBlocks][2];
};

}  // namespace tconv::cuda::igemm
