// SPDX-License-Identifier: Apache-2.0
// igemm_tile.cuh: what a block and a warp of igemm_sm80.cu compute. The words are those of
// igemm_plan.h.
#pragma once

#include <cstdint>

#include "src/host/igemm_plan.h"

namespace tconv::cuda::igemm {

using host::IgemmGroup;
using host::IgemmParams;

/// What follows from a tile.
template <int kTileIndex>
struct Tiling {
  static constexpr host::IgemmTile kTile = host::kIgemmTiles[kTileIndex];
  static constexpr int kSlots = kTile.slots, kN = kTile.n, kAhead = kTile.ahead;
  static constexpr int kThreads = kTile.threads(), kRowBytes = kTile.row_bytes();
  static constexpr int kWarpM = kTile.warp_m, kWarpN = kTile.warp_n;
  static constexpr int kWarpsN = kN / kWarpN, kWarpsPerSlot = kTile.warps_per_slot();
  static constexpr int kStageBytes = kTile.stage_bytes(), kSlotBytes = kN * kRowBytes;
  static constexpr int kRingBytes = (kAhead + 1) * kStageBytes;
  // Copies: a thread keeps to one 16-byte chunk of a row and goes on by kRowsPerPass rows.
  static constexpr int kChunksPerRow = kRowBytes / 16, kRowsPerPass = kThreads / kChunksPerRow;
  static constexpr int kPasses = kSlots * kN / kRowsPerPass;
  // Fragments: m16n8k16.
  static constexpr int kRowBlocks = kWarpM / 16, kColumnBlocks = kWarpN / 8;
  static constexpr int kSteps = kTile.k / 16;

  static_assert(kN % kRowsPerPass == 0 && kRowsPerPass % 8 == 0 && kWarpN % 16 == 0);
  static_assert(kSteps % 2 == 0, "two sets of fragments take turns");
};

/// What a block computes, read off its index. The innermost first: unit, so that all phases of a
/// box run side by side and its input is read from memory once; then boxes along w, h and n.
struct Place {
  int group, repeat, first_column, conv_group;
  int n;     // of the first position of the box
  int h, w;  // likewise, counted within the subgrid
  int subgrid_h, subgrid_w;
};

template <int kTileIndex>
__device__ inline Place place_of(const IgemmParams& d) {
  auto rest = static_cast<int>(blockIdx.x);
  const auto next = [&](int extent) {
    const int index = rest % extent;
    rest /= extent;
    return index;
  };
  Place place = {};
  int unit = next(d.units);
  place.w = next(d.w.tiles) << d.w.log_box;
  place.subgrid_w = next(d.w.input_step);
  place.h = next(d.h.tiles) << d.h.log_box;
  place.subgrid_h = next(d.h.input_step);
  place.n = next(d.batch_tiles) << d.log_box_n;
  place.conv_group = rest;
  while (unit >= d.groups[place.group].end_unit) ++place.group;
  const IgemmGroup& group = d.groups[place.group];
  unit -= group.first_unit;
  place.first_column = unit % group.column_tiles * Tiling<kTileIndex>::kN;
  place.repeat = unit / group.column_tiles;
  return place;
}

/// What a warp multiplies: which slot, and where its tile lies in the block's.
template <int kTileIndex>
struct WarpPlace {
  using Tile = Tiling<kTileIndex>;
  int slot, m, n, lane;

  __device__ WarpPlace() {
    const auto thread = static_cast<int>(threadIdx.x);
    const int warp = thread / 32, within = warp % Tile::kWarpsPerSlot;
    slot = warp / Tile::kWarpsPerSlot;
    m = within / Tile::kWarpsN * Tile::kWarpM;
    n = within % Tile::kWarpsN * Tile::kWarpN;
    lane = thread % 32;
  }
};

}  // namespace tconv::cuda::igemm
