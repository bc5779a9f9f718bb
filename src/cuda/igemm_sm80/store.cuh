// SPDX-License-Identifier: Apache-2.0
// store.cuh: how the sums of row.cu get into the output.
//
// 16 rows of every warp at a time are staged in shared memory, those of all slots together, for
// neighbouring phases of W are neighbours in the output. Then all threads write them in the order
// in which they lie in memory, NHWC: (column, slot of the row, position), NCHW: (phase of the slot,
// slot of the row, position, channel), so that stores fill sectors. Where alignment allows it a
// thread writes a run of 8 outputs, else one.
#pragma once

#include "src/cuda/common/epilogue.cuh"
#include "src/cuda/common/uniform.cuh"
#include "src/cuda/igemm_sm80/tile.cuh"

namespace tconv::cuda::igemm {

using host::IgemmSlot;

/// Digits of a number that grows by the same step, the fastest first, without a division a step.
struct Digits {
  static constexpr int kCount = 5;
  int size[kCount], value[kCount], step[kCount];

  /// Begins at `first`; the last digit has no end.
  __device__ void begin(int first, int stride) {
#pragma unroll
    for (int i = 0; i < kCount - 1; ++i) {
      value[i] = first % size[i], first /= size[i];
      step[i] = stride % size[i], stride /= size[i];
    }
    value[kCount - 1] = first, step[kCount - 1] = stride;
  }
  __device__ bool done() const { return value[kCount - 1] >= size[kCount - 1]; }
  __device__ void next() {
    int carry = 0;
#pragma unroll
    for (int i = 0; i < kCount - 1; ++i) {
      value[i] += step[i] + carry;
      carry = value[i] >= size[i] ? 1 : 0;
      if (carry != 0) value[i] -= size[i];
    }
    value[kCount - 1] += step[kCount - 1] + carry;
  }
};

/// Writes a block's sums. `staging` is shared by all its warps.
template <int kTileIndex>
class Storer {
  using Tile = Tiling<kTileIndex>;
  // Staged rows or columns lie so far apart that the stores of fragments meet in no bank.
  static constexpr int kRowPitch = Tile::kN + host::kIgemmRowPad;
  static constexpr int kColumnPitch = Tile::kStagedRows + host::kIgemmColumnPad;
  static constexpr int kRun = 8;

 public:
  __device__ Storer(const IgemmParams& d, const Place& place, const Epilogue<float>& epilogue,
                    float* staging)
      : d_(d),
        group_(d.groups[place.group]),
        place_(place),
        epilogue_(epilogue),
        staging_(staging) {
    const int runs = d.wide_stores != 0 && is_quick(epilogue.activation) ? kRun : 1;
    wide_ = runs != 1;
    const IgemmSlot& slot = d.slots[group_.first_slot];
    const int lines = Tile::kSlots / group_.slots_per_line;
    if (d.channels_last != 0) {
      const int columns = min(Tile::kN, slot.columns - place.first_column);
      set_sizes(columns / runs, group_.slots_per_line, Tile::kStagedRows, 1, lines);
    } else {
      const int channels =
          min(1 << group_.log_channels, d.out_channels.divisor - place.first_channel);
      const int phases = min(Tile::kN >> group_.log_channels,
                             d.out_channels.quotient(slot.columns) - place.first_phase);
      // A run holds all phases of its positions.
      if (wide_) {
        set_sizes(1, 1, Tile::kStagedRows * d.w.stride / kRun, channels, lines);
        set_plane_run(phases);
      } else {
        set_sizes(phases, group_.slots_per_line, Tile::kStagedRows, channels, lines);
      }
    }
    digits_.begin(thread_here(), Tile::kThreads);
  }

  __device__ void store(const float (&sums)[Tile::kRowBlocks][Tile::kColumnBlocks][4]) {
#pragma unroll
    for (int i = 0; i < Tile::kRowBlocks; ++i) {
      if (i > 0) __syncthreads();  // all have read the rows before: these may be written
      if (d_.channels_last != 0) {
        stage_rows(sums[i]);
      } else {
        stage_columns(sums[i]);
      }
      __syncthreads();  // the rows are there for all
      Digits at = digits_;
#pragma unroll 1
      while (!at.done()) {
        if (!wide_) {
          store_element(i, at);
        } else if (d_.channels_last != 0) {
          store_run_of_channels(i, at);
        } else {
          store_run_of_pixels(i, at);
        }
        at.next();
      }
    }
  }

 private:
  __device__ void set_sizes(int a, int slots, int rows, int channels, int lines) {
    digits_.size[0] = a, digits_.size[1] = slots, digits_.size[2] = rows;
    digits_.size[3] = channels, digits_.size[4] = lines;
  }

  // ---- From fragments to shared memory: [slot][row][column], NCHW [slot][column][row]. ----------

  struct alignas(8) Pair {
    float x, y;
  };
  /// The warp's first row among those that are staged.
  __device__ int staged_row() const {
    return warp_.m / Tile::kWarpM * host::kIgemmStagedRows + warp_.lane / 4;
  }
  __device__ int staged_column() const { return warp_.n + warp_.lane % 4 * 2; }

  __device__ void stage_rows(const float (&sums)[Tile::kColumnBlocks][4]) {
    float* at =
        staging_ + (warp_.slot * Tile::kStagedRows + staged_row()) * kRowPitch + staged_column();
#pragma unroll
    for (int j = 0; j < Tile::kColumnBlocks; ++j) {
      const Pair upper = {sums[j][0], sums[j][1]}, lower = {sums[j][2], sums[j][3]};
      *reinterpret_cast<Pair*>(at + j * 8) = upper;
      *reinterpret_cast<Pair*>(at + j * 8 + 8 * kRowPitch) = lower;
    }
  }

  __device__ void stage_columns(const float (&sums)[Tile::kColumnBlocks][4]) {
    float* at = staging_ + (warp_.slot * Tile::kN + staged_column()) * kColumnPitch + staged_row();
#pragma unroll
    for (int j = 0; j < Tile::kColumnBlocks; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        at[(j * 8 + i % 2) * kColumnPitch + i / 2 * 8] = sums[j][i];
      }
    }
  }

  // ---- From shared memory to the output. --------------------------------------------------------

  /// The slot of the block that is number `slot` of the line of phases.
  __device__ int slot_at(int line, int slot) const {
    return group_.line_order >> 4 * (line * group_.slots_per_line + slot) & 15;
  }
  __device__ Row row_at(int block, int slot, int staged_row) const {
    const int phase_h = d_.slots[group_.first_slot + slot].phase_h;
    const int m = staged_row / host::kIgemmStagedRows * Tile::kWarpM +
                  block * host::kIgemmStagedRows + staged_row % host::kIgemmStagedRows;
    return row_of(d_, place_, phase_h + place_.repeat * group_.repeat_phase, m);
  }
  /// Of the tile's columns, the one at these digits.
  __device__ int column_at(const Digits& at) const {
    return d_.channels_last != 0 ? at.value[0] : (at.value[0] << group_.log_channels) + at.value[3];
  }

  __device__ void store_element(int block, const Digits& at) {
    const int slot = slot_at(at.value[4], at.value[1]), i = column_at(at), r = at.value[2];
    const Column column = column_of(d_, place_, group_, slot, i);
    const Row row = row_at(block, slot, r);
    const int q = row.q + column.phase;
    if (!row.exists || q >= d_.w.out) return;
    const int index = d_.channels_last != 0 ? (slot * Tile::kStagedRows + r) * kRowPitch + i
                                            : (slot * Tile::kN + i) * kColumnPitch + r;
    finish(epilogue_, staging_[index], column.k,
           row.residual + q * d_.residual_w + column.k * d_.residual_c,
           row.output + q * d_.output_w + column.k * d_.output_c);
  }

  /// NHWC: 8 channels of a pixel.
  __device__ void store_run_of_channels(int block, const Digits& at) {
    const int slot = slot_at(at.value[4], at.value[1]), i = at.value[0] * kRun, r = at.value[2];
    const Column column = column_of(d_, place_, group_, slot, i);
    const Row row = row_at(block, slot, r);
    const int q = row.q + column.phase;
    if (!row.exists || q >= d_.w.out) return;
    if (epilogue_.bias != nullptr && column.k != bias_channel_) {
      bias_channel_ = column.k;
#pragma unroll
      for (int j = 0; j < kRun; ++j) {
        bias_[j] = load_value<float>(epilogue_.bias_type, epilogue_.bias, column.k + j);
      }
    }
    float sums[kRun];
    read_run(staging_ + (slot * Tile::kStagedRows + r) * kRowPitch + i, sums);
    finish_run(epilogue_, sums, bias_, row.residual + q * d_.residual_w + column.k,
               row.output + q * d_.output_w + column.k);
  }
  /// Eight floats in two reads.
  __device__ void read_run(const float* run, float (&sums)[kRun]) {
    const auto* from = reinterpret_cast<const Bytes16*>(run);
    const Bytes16 a = from[0], b = from[1];
    const uint32_t words[kRun] = {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w};
#pragma unroll
    for (int j = 0; j < kRun; ++j) sums[j] = __uint_as_float(words[j]);
  }

  /// NCHW: `phases` of a slot, like the stride a power of two.
  __device__ void set_plane_run(int phases) {
    log_stride_ = 31 - __clz(d_.w.stride);
    log_phases_ = 31 - __clz(phases);
  }
  /// Where output j of a run lies in shared memory, from its first position and channel in slot 0.
  __device__ int place_in_run(int line, int j) const {
    const int phase = j & (d_.w.stride - 1), slot = slot_at(line, phase >> log_phases_);
    const int column = (phase & ((1 << log_phases_) - 1)) << group_.log_channels;
    return (slot * Tile::kN + column) * kColumnPitch + (j >> log_stride_);
  }

  /// NCHW: 8 outputs of a plane, of one channel: all phases of W of 8 / stride positions.
  __device__ void store_run_of_pixels(int block, const Digits& at) {
    const int r = at.value[2] * kRun >> log_stride_, i = at.value[3], line = at.value[4];
    const int first = slot_at(line, 0);
    const Column column = column_of(d_, place_, group_, first, i);
    const Row row = row_at(block, first, r);
    const int q = row.q + column.phase;
    if (!row.exists || q >= d_.w.out) return;
    float sums[kRun], bias[kRun] = {};
#pragma unroll
    for (int j = 0; j < kRun; ++j) {
      sums[j] = staging_[i * kColumnPitch + r + place_in_run(line, j)];
    }
    if (epilogue_.bias != nullptr) {
      const auto value = load_value<float>(epilogue_.bias_type, epilogue_.bias, column.k);
#pragma unroll
      for (int j = 0; j < kRun; ++j) bias[j] = value;
    }
    finish_run(epilogue_, sums, bias, row.residual + q + column.k * d_.residual_c,
               row.output + q + column.k * d_.output_c);
  }

  const IgemmParams& d_;
  const IgemmGroup& group_;
  const Place& place_;
  const Epilogue<float>& epilogue_;
  float* staging_;
  WarpPlace<kTileIndex> warp_{thread_here()};
  Digits digits_;
  bool wide_;
  float bias_[kRun] = {};
  int bias_channel_ = -1;
  int log_stride_, log_phases_;  // NCHW
};

}  // namespace tconv::cuda::igemm
