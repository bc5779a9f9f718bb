// SPDX-License-Identifier: Apache-2.0
// tile.cuh: what a block and a warp of row.cu compute. The words are those of
// plan.h.
#pragma once

#include <cstdint>

#include "src/cuda/common/smem.cuh"
#include "src/cuda/igemm_sm80/plan.h"

namespace tconv::cuda::igemm {

using host::IgemmAxis;
using host::IgemmGroup;
using host::IgemmParams;
using host::IgemmSlot;
using host::kNoInput;

/// What follows from a tile.
template <int kTileIndex>
struct Tiling {
  static constexpr host::IgemmTile kTile = host::kIgemmTiles[kTileIndex];
  static constexpr int kSlots = kTile.slots, kN = kTile.n, kAhead = kTile.ahead;
  static constexpr int kThreads = kTile.threads(), kRowBytes = kTile.row_bytes;
  static constexpr int kWarpM = kTile.warp_m, kWarpN = kTile.warp_n;
  static constexpr int kStagedRows = kTile.staged_rows();
  static constexpr int kWarpsM = kTile.m / kWarpM, kWarpsN = kN / kWarpN;
  static constexpr int kWarpsPerSlot = kTile.warps_per_slot();
  /// Of the table of taps: one for each row of warp tiles, one for warps that have no columns.
  static constexpr int kTapLines = kWarpsM + 1;
  static constexpr int kStageBytes = kTile.stage_bytes(), kSlotBytes = kN * kRowBytes;
  // Copies: a thread keeps to one 16-byte chunk of a row and goes on by kRowsPerPass rows.
  static constexpr int kChunksPerRow = kRowBytes / 16, kRowsPerPass = kThreads / kChunksPerRow;
  // Fragments: 16 rows, 8 columns, 32 bytes of channels a step.
  static constexpr int kRowBlocks = kWarpM / 16, kColumnBlocks = kWarpN / 8;
  static constexpr int kSteps = kRowBytes / 32;

  static_assert(kWarpN % 16 == 0);
  static_assert(kSteps % 2 == 0, "two sets of fragments take turns");
};

/// Filters of a slot and a chunk in shared memory. HWOI: a row is a column, its channels
/// neighbours. IHWO: a row is a channel, its columns neighbours.
template <int kTileIndex, host::FilterOrder kOrder>
struct FilterTiling {
  using Tile = Tiling<kTileIndex>;
  static constexpr bool kIsIhwo = kOrder == host::FilterOrder::ihwo;
  static constexpr int kRowBytes = kIsIhwo ? Tile::kN * 2 : Tile::kRowBytes;
  static constexpr int kRows = Tile::kSlotBytes / kRowBytes;
  // Copies: as of pixels.
  static constexpr int kChunksPerRow = kRowBytes / 16;
  static constexpr int kRowsPerPass = Tile::kThreads / kChunksPerRow;

  static_assert(kRows % kRowsPerPass == 0 && kRowsPerPass % 8 == 0);
};

/// What a block computes, read off its index and the box. The innermost first: unit, so that all
/// phases of a box run side by side and its input is read from memory once; then boxes along w, h
/// and n.
struct Place {
  int group, repeat, conv_group, split;
  int first_column;                // of all filter rows of a tap: (phase of W, channel)
  int first_phase, first_channel;  // NCHW: of the tile's rectangle of columns
  int n;                           // of the first position of the box
  int h, w;                        // likewise, counted within the subgrid
  int subgrid_h, subgrid_w;
};

__device__ inline int first_box_of(const IgemmParams& d, int block) {
  return block / d.units % d.box_step;
}
template <int kTileIndex>
__device__ inline Place place_of(const IgemmParams& d, int block, int box) {
  int rest = block;
  const auto next = [&](int extent) {
    const int index = rest % extent;
    rest /= extent;
    return index;
  };
  Place place = {};
  int unit = next(d.units);
  next(d.box_step);
  place.conv_group = next(d.conv_groups);
  place.split = rest;
  while (unit >= d.groups[place.group].end_unit) ++place.group;
  const IgemmGroup& group = d.groups[place.group];
  unit -= group.first_unit;
  const int tile = unit % group.column_tiles;
  place.repeat = unit / group.column_tiles;
  if (d.channels_last != 0) {
    place.first_column = tile * Tiling<kTileIndex>::kN;
  } else {
    const int phases = Tiling<kTileIndex>::kN >> group.log_channels;
    place.first_phase = tile / group.channel_tiles * phases;
    place.first_channel = tile % group.channel_tiles << group.log_channels;
    place.first_column = place.first_phase * d.out_channels.divisor + place.first_channel;
  }
  rest = box;
  place.w = next(d.w.tiles) << d.w.log_box;
  place.subgrid_w = next(d.w.input_step);
  place.h = next(d.h.tiles) << d.h.log_box;
  place.subgrid_h = next(d.h.input_step);
  place.n = rest << d.log_box_n;
  return place;
}

/// The chunks of channels of a block: [first, first + count).
struct Chunks {
  int first, count;
};
template <int kTileIndex>
__device__ inline Chunks chunks_of(const IgemmParams& d, const Place& place) {
  const int all =
      (d.channel_bytes + Tiling<kTileIndex>::kRowBytes - 1) / Tiling<kTileIndex>::kRowBytes;
  if (d.splits == 1) return {.first = 0, .count = all};
  const int first = place.split * d.chunks_of_split;
  return {.first = first, .count = min(d.chunks_of_split, all - first)};
}

/// What a warp multiplies: which slot, and where its tile lies in the block's.
template <int kTileIndex>
struct WarpPlace {
  using Tile = Tiling<kTileIndex>;
  int slot, m, n, lane;

  __device__ explicit WarpPlace(int thread) {
    const int warp = thread / 32, within = warp % Tile::kWarpsPerSlot;
    slot = warp / Tile::kWarpsPerSlot;
    m = within / Tile::kWarpsN * Tile::kWarpM;
    n = within % Tile::kWarpsN * Tile::kWarpN;
    lane = thread % 32;
  }
};

/// `x`, but at least 0 and at most `most`.
__device__ inline int clamp_to(int x, int most) { return max(0, min(x, most)); }

/// Along an axis: pixels [first, end) of the window lie inside the input, and the first `positions`
/// of the box exist.
struct Span {
  int first, end, positions;

  /// True if the tap of some of `count` positions from `begin` on, `t` pixels behind it, lies
  /// inside.
  __device__ bool meets(int t, int begin, int count) const {
    return max(t + begin, first) < min(t + min(begin + count, positions), end);
  }
};

/// `corner`: the input pixel of window pixel 0; `position`: the box's first, within its subgrid.
__device__ inline Span span_of(const IgemmAxis& axis, int corner, int position, int subgrid) {
  const auto steps = [&](int x) { return (max(x, 0) + axis.input_step - 1) / axis.input_step; };
  return {.first = steps(-corner),
          .end = steps(axis.in - corner),
          .positions =
              min(1 << axis.log_box, steps(axis.positions - position * axis.input_step - subgrid))};
}

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
  corner.in_h = clamp_to(corner.h, d.h.in - 1);
  corner.in_w = clamp_to(corner.w, d.w.in - 1);
  return corner;
}

/// Window pixel `i`.
template <int kTileIndex>
__device__ inline Pixel pixel_of(const IgemmParams& d, const Place& place, const Corner& corner,
                                 int i) {
  const int row = d.w.window.quotient(i), n = d.h.window.quotient(row);
  const int w = i - row * d.w.window.divisor, h = row - n * d.h.window.divisor;
  const int in_h = corner.h + h * d.h.input_step, in_w = corner.w + w * d.w.input_step;
  const bool inside =
      in_h >= 0 && in_h < d.h.in && in_w >= 0 && in_w < d.w.in && place.n + n < d.batch;
  const int64_t offset =
      n * d.input_n + (in_h - corner.in_h) * d.input_h + (in_w - corner.in_w) * d.input_w;
  return {.offset = inside ? static_cast<int32_t>(offset) : kNoInput,
          .target = swizzled<Tiling<kTileIndex>::kRowBytes>(
              n * d.image_pitch + h * d.pitch + w, 0,
              w + (h << d.w.log_box) + (n << (d.w.log_box + d.h.log_box)))};
}

/// Of both axes, and the images of the box that exist.
struct Spans {
  Span h, w;
  int images;
};
__device__ inline Spans spans_of(const IgemmParams& d, const Place& place, const Corner& corner) {
  return {.h = span_of(d.h, corner.h, place.h, place.subgrid_h),
          .w = span_of(d.w, corner.w, place.w, place.subgrid_w),
          .images = d.batch - place.n};
}

/// Positions of a box, a box themselves: of all warps, or of those with the same rows.
struct Part {
  int n, h, w;  // the first, from that of the whole box on
  int count_h, count_w;

  __device__ bool meets(const Spans& spans, int tap_h, int tap_w) const {
    return n < spans.images && spans.h.meets(tap_h, h, count_h) && spans.w.meets(tap_w, w, count_w);
  }
};
__device__ inline Part whole_box(const IgemmParams& d) {
  return {.n = 0, .h = 0, .w = 0, .count_h = 1 << d.h.log_box, .count_w = 1 << d.w.log_box};
}
/// The positions of the warps whose first one is `m`. As all sizes are powers of two, they fill
/// rows of W, then of H.
template <int kTileIndex>
__device__ inline Part part_of(const IgemmParams& d, int m) {
  const int w = 1 << d.w.log_box, h = 1 << d.h.log_box;
  const int count_w = min(w, Tiling<kTileIndex>::kWarpM);
  return {.n = m >> (d.w.log_box + d.h.log_box),
          .h = m >> d.w.log_box & (h - 1),
          .w = m & (w - 1),
          .count_h = min(h, max(Tiling<kTileIndex>::kWarpM >> d.w.log_box, 1)),
          .count_w = count_w};
}

/// Entry `i` of the block's taps: where the tap lies in the window, or kIgemmNoTap if no position
/// of these warps meets the input there, kIgemmNoFilters if none of the box does. Stationary
/// filters are copied for all boxes.
template <int kTileIndex>
__device__ inline void place_tap(const IgemmParams& d, const Place& place, const Spans& spans,
                                 int i, uint32_t* entry) {
  using Tile = Tiling<kTileIndex>;
  const uint32_t window = d.taps[d.groups[place.group].first_tap + i].window;
  const int row = static_cast<int>(window / Tile::kRowBytes);
  const int h = d.by_pitch.quotient(row), w = row - h * d.pitch;
  const bool exists = (window & host::kIgemmNoTap) == 0;
  const bool copied = exists && (d.stationary != 0 || whole_box(d).meets(spans, h, w));
  const uint32_t nothing = copied ? host::kIgemmNoTap : host::kIgemmNoTap | host::kIgemmNoFilters;
  for (int warp = 0; warp < Tile::kWarpsM; ++warp) {
    const bool meets = exists && part_of<kTileIndex>(d, warp * Tile::kWarpM).meets(spans, h, w);
    entry[warp * d.most_taps] = meets ? window : nothing;
  }
  entry[Tile::kWarpsM * d.most_taps] = host::kIgemmNoTap;
}

/// The window pixel at which position m of the box reads tap 0, as a row of shared memory.
__device__ inline uint32_t window_row(const IgemmParams& d, int m) {
  const int w = m & ((1 << d.w.log_box) - 1);
  const int h = m >> d.w.log_box & ((1 << d.h.log_box) - 1);
  const int n = m >> (d.w.log_box + d.h.log_box);
  return n * d.image_pitch + h * d.pitch + w;
}

/// A column of the product: which channel of the output, and how far its phase of W moves it.
struct Column {
  int k;      // over all groups of the problem
  int phase;  // output pixels
};

/// Column `i` of a tile, which exists. NHWC: columns of a tap side by side; NCHW: a rectangle of
/// phases times channels.
__device__ inline Column column_of(const IgemmParams& d, const Place& place,
                                   const IgemmGroup& group, int slot, int i) {
  int j, k;
  if (d.channels_last != 0) {
    const int column = place.first_column + i;
    j = d.out_channels.quotient(column);
    k = column - j * d.out_channels.divisor;
  } else {
    j = place.first_phase + (i >> group.log_channels);
    k = place.first_channel + (i & ((1 << group.log_channels) - 1));
  }
  const IgemmSlot& at = d.slots[group.first_slot + slot];
  return {.k = k + place.conv_group * d.out_channels.divisor,
          .phase = at.phase_w + j * at.column_step};
}

/// Whether column `i` of a tile exists, a multiple of the columns of a warp: if not, none of that
/// warp's does.
__device__ inline bool column_exists(const IgemmParams& d, const Place& place,
                                     const IgemmGroup& group, int i) {
  const int columns = d.slots[group.first_slot].columns;
  if (d.channels_last != 0) return place.first_column + i < columns;
  return place.first_phase + (i >> group.log_channels) < d.out_channels.quotient(columns) &&
         place.first_channel + (i & ((1 << group.log_channels) - 1)) < d.out_channels.divisor;
}

/// A row of the product: the output pixel of phase 0 of W.
struct Row {
  int64_t output, residual;  // element offsets of the row of pixels, channel 0
  int q;
  bool exists;
};

__device__ inline Row row_of(const IgemmParams& d, const Place& place, int phase_h, int m) {
  const int w = place.w + (m & ((1 << d.w.log_box) - 1));
  const int h = place.h + (m >> d.w.log_box & ((1 << d.h.log_box) - 1));
  const int n = place.n + (m >> (d.w.log_box + d.h.log_box));
  const int p = (h * d.h.input_step + place.subgrid_h) * d.h.stride + phase_h;
  return {.output = place.split * d.split_elements + n * d.output_n + p * d.output_h,
          .residual = n * d.residual_n + p * d.residual_h,
          .q = (w * d.w.input_step + place.subgrid_w) * d.w.stride,
          .exists = p < d.h.out && n < d.batch};
}

}  // namespace tconv::cuda::igemm
