// SPDX-License-Identifier: Apache-2.0
// igemm_store.cuh: how the sums of igemm_sm80.cu get into the output.
#pragma once

#include "src/cuda/epilogue.cuh"
#include "src/cuda/igemm_tile.cuh"

namespace tconv::cuda::igemm {

using host::IgemmSlot;

/// Writes a warp's sums. 16 rows at a time go through shared memory, from where a lane takes whole
/// runs of channels: stores then fill sectors. `staging` is the warp's own.
template <int kTileIndex>
class Storer {
  using Tile = Tiling<kTileIndex>;
  static constexpr int kPitch = Tile::kWarpN + host::kIgemmStagingPad;
  static constexpr int kRuns = Tile::kWarpN / 8;  // lanes to a row
  static constexpr int kRowsAtOnce = 32 / kRuns;

 public:
  __device__ Storer(const IgemmParams& d, const Place& place, const Epilogue<float>& epilogue,
                    float* staging)
      : d_(d), place_(place), epilogue_(epilogue), staging_(staging) {
    const IgemmGroup& group = d.groups[place.group];
    slot_ = &d.slots[group.first_slot + warp_.slot];
    phase_h_ = slot_->phase_h + place.repeat * group.repeat_phase;
  }

  __device__ void store(const float (&sums)[Tile::kRowBlocks][Tile::kColumnBlocks][4]) {
    const bool wide = d_.wide_stores != 0 && is_quick(epilogue_.activation);
    const int first = place_.first_column + warp_.n;
    const Column column = column_of(d_, place_, *slot_, first + warp_.lane % kRuns * 8);
    float bias[8] = {};
    if (wide && epilogue_.bias != nullptr && column.exists) {
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        bias[j] = load_value<float>(epilogue_.bias_type, epilogue_.bias, column.k + j);
      }
    }
#pragma unroll
    for (int i = 0; i < Tile::kRowBlocks; ++i) {
      stage(sums[i]);
      __syncwarp();  // the 16 rows are there for all lanes
      if (wide) {
        store_runs(i, column, bias);
      } else {
        store_elements(i, first);
      }
      __syncwarp();  // all lanes have read them: the next may be written
    }
  }

 private:
  __device__ void stage(const float (&sums)[Tile::kColumnBlocks][4]) {
    float* at = staging_ + warp_.lane / 4 * kPitch + warp_.lane % 4 * 2;
#pragma unroll
    for (int j = 0; j < Tile::kColumnBlocks; ++j) {
      const Pair upper = {sums[j][0], sums[j][1]}, lower = {sums[j][2], sums[j][3]};
      *reinterpret_cast<Pair*>(at + j * 8) = upper;
      *reinterpret_cast<Pair*>(at + j * 8 + 8 * kPitch) = lower;
    }
  }

  __device__ void store_runs(int block, const Column& column, const float (&bias)[8]) {
#pragma unroll 1
    for (int r = warp_.lane / kRuns; r < host::kIgemmStagedRows; r += kRowsAtOnce) {
      const Row row = row_of(d_, place_, phase_h_, warp_.m + block * 16 + r);
      const int q = row.q + column.phase;
      if (!row.exists || !column.exists || q >= d_.w.out) continue;
      const int64_t residual = row.residual + q * d_.residual_w + column.k;
      const int64_t output = row.output + q * d_.output_w + column.k;
      float sums[8];
      read_run(staging_ + r * kPitch + warp_.lane % kRuns * 8, sums);
      finish_run(epilogue_, sums, bias, residual, output);
    }
  }

  /// Lanes are neighbours in memory: columns in NHWC, rows, two columns at a time, in NCHW.
  __device__ void store_elements(int block, int first_column) {
    const bool across = d_.channels_last != 0;
    const int step_c = across ? 32 : 2, step_r = across ? 1 : host::kIgemmStagedRows;
#pragma unroll 1
    for (int c = across ? warp_.lane : warp_.lane / 16; c < Tile::kWarpN; c += step_c) {
      const Column column = column_of(d_, place_, *slot_, first_column + c);
      if (!column.exists) continue;
#pragma unroll 1
      for (int r = across ? 0 : warp_.lane % 16; r < host::kIgemmStagedRows; r += step_r) {
        const Row row = row_of(d_, place_, phase_h_, warp_.m + block * 16 + r);
        const int q = row.q + column.phase;
        if (!row.exists || q >= d_.w.out) continue;
        finish(epilogue_, staging_[r * kPitch + c], column.k,
               row.residual + q * d_.residual_w + column.k * d_.residual_c,
               row.output + q * d_.output_w + column.k * d_.output_c);
      }
    }
  }

  struct alignas(8) Pair {
    float x, y;
  };
  /// Eight floats in two reads.
  __device__ void read_run(const float* run, float (&sums)[8]) {
    const auto* from = reinterpret_cast<const Bytes16*>(run);
    const Bytes16 a = from[0], b = from[1];
    const uint32_t words[8] = {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w};
#pragma unroll
    for (int j = 0; j < 8; ++j) sums[j] = __uint_as_float(words[j]);
  }

  const IgemmParams& d_;
  const Place& place_;
  const Epilogue<float>& epilogue_;
  float* staging_;
  WarpPlace<kTileIndex> warp_{static_cast<int>(threadIdx.x)};
  const IgemmSlot* slot_;
  int phase_h_;
};

}  // namespace tconv::cuda::igemm
