// SPDX-License-Identifier: Apache-2.0
// plan.h: how one problem is cut into the tiles of src/cuda/igemm_sm80/row.cu. Plain C++: the
// kernel does what these numbers say, and the CPU tests prove them.
//
// Output p = q*stride + phase of an axis reads inputs  q + shift - input_step*t  (decomposition.h).
// Where input_step is above 1, positions q are taken apart by q mod input_step: within such a
// subgrid, inputs lie input_step pixels apart and taps one step apart, so that windows stay dense.
//
// A block owns a box of  m = box_n * box_h * box_w  positions and one to four slots: a slot is a
// phase of H times a window class of W, whose phases are columns side by side (j, k), contiguous
// rows of the filters. All slots of a block read one window of the input: the box and a halo.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "src/cuda/common/fast_divmod.h"
#include "src/host/plan/kernel_table.h"

namespace tconv::host {

// Staging in the epilogue: rows of a warp at once, and f32 beside each row, or column, of it.
inline constexpr int kIgemmStagedRows = 16, kIgemmRowPad = 8, kIgemmColumnPad = 4;

/// What one block computes in one go. Few rows: each is there for a kind of problem.
struct IgemmTile {
  const char* name;
  int slots;           ///< phases side by side, each with its own warps
  int m, n;            ///< positions, columns of a slot
  int row_bytes;       ///< of a pixel or filter row: the channels of a chunk
  int ahead;           ///< iterations whose copies are in flight
  int warp_m, warp_n;  ///< of one warp
  int blocks_per_sm;   ///< what registers must leave room for

  constexpr int warps_per_slot() const { return m / warp_m * (n / warp_n); }
  constexpr int threads() const { return 32 * slots * warps_per_slot(); }
  constexpr int stage_bytes() const { return slots * n * row_bytes; }  ///< of filters
  /// The epilogue stages so many rows at once, kIgemmStagedRows of each warp; f32, of all slots.
  constexpr int staged_rows() const { return m / warp_m * kIgemmStagedRows; }
  constexpr int staging_bytes() const {
    const int rows = staged_rows() * (n + kIgemmRowPad),
              columns = n * (staged_rows() + kIgemmColumnPad);
    return 4 * slots * (rows > columns ? rows : columns);
  }
};

// Registers, issue slots and shared bytes of each are in the design of the family: one warp tile of
// 64x64 wherever the columns fill it.
inline constexpr IgemmTile kIgemmTiles[] = {
    {"128x128", 1, 128, 128, 64, 3, 64, 64, 2},   // k == s, large Co, stride 1
    {"64x64", 1, 64, 64, 128, 3, 32, 32, 4},      // few positions or columns
    {"4x128x64", 4, 128, 64, 128, 1, 64, 64, 1},  // stride 2, Co <= 64: one window for all phases
    {"2x256x64", 2, 256, 64, 128, 2, 64, 64, 1},  // stride 2, large Co: half the filters to read
    {"4x128x32", 4, 128, 32, 128, 1, 64, 32, 1},  // stride 2, Co <= 32
    {"128x32", 1, 128, 32, 128, 3, 32, 32, 3}     // stride 1, Co <= 32
};
inline constexpr int kIgemmTileCount = static_cast<int>(sizeof kIgemmTiles / sizeof *kIgemmTiles);

/// Three products of TF32 need operands twice: beside the sums of 64x64 there is no room for them.
constexpr bool has_room_for_3xtf32(const IgemmTile& tile) {
  return tile.warp_m * tile.warp_n <= 64 * 32;
}
/// Filters in the order IHWO that are not copied in whole chunks are rare: few tiles have them.
constexpr bool takes_unaligned_ihwo(const IgemmTile& tile) {
  return tile.warp_m * tile.warp_n <= 64 * 32;
}
/// Likewise: more blocks would leave a thread fewer than 168 registers.
inline constexpr int kIgemmBlocksOf3xTf32 = 3;

inline constexpr int kIgemmMaxTaps = 192;  // with these the parameters fit 4 KB
inline constexpr int kIgemmMaxSlots = 25;
inline constexpr int kIgemmMaxGroups = 25;
inline constexpr int kIgemmMaxBlockSlots = 4;

inline constexpr int kIgemmFillThreads = 256;  // an output each
inline constexpr int kIgemmMaxSplits = 32;

/// One tap of one slot. `window` is the byte offset of the tap's first pixel in the window, a
/// multiple of a row, and in the bits below a row the tap's part of the swizzle key and a flag.
struct IgemmTap {
  uint32_t filter;  ///< byte offset of column 0, channel 0
  uint32_t window;
};
inline constexpr uint32_t kIgemmKeyMask = 7;
/// In the block's own table: the warp has nothing to do in this iteration, and no warp of the slot
/// has in any box of the block. In IgemmParams kIgemmNoTap alone: the slot has no such tap.
inline constexpr uint32_t kIgemmNoTap = 8, kIgemmNoFilters = 16;

struct IgemmSlot {
  int32_t phase_h, phase_w;  ///< of the first column
  int32_t columns;           ///< phases of W times output channels of a group
  int32_t column_step;       ///< output pixels between two phases of W
};

/// Slots that one block computes together, and how often the group is there: once per phase of H
/// where it is a window class of H (one slot then).
struct IgemmGroup {
  int32_t first_slot;
  int32_t first_tap, end_tap;  ///< of `taps`, the slot innermost
  int32_t iterations;          ///< through a chunk: taps of the slot that has most
  int32_t origin_h, origin_w;  ///< input pixel of position 0 at the window's first pixel
  int32_t column_tiles;
  /// NCHW: a tile of columns is a rectangle, as many phases of W as fit times 1 << log_channels
  /// channels, of which there are channel_tiles side by side. NHWC: neighbouring columns.
  int32_t log_channels, channel_tiles;
  /// Slots that share their phases of H, so that their outputs lie in the same rows; and all slots
  /// by phase of H, then of W, four bits each from the lowest on.
  int32_t slots_per_line;
  uint32_t line_order;
  int32_t first_unit, end_unit;  ///< units: column tiles of each repetition, innermost first
  int32_t repeat_phase;          ///< step of phase_h from one repetition to the next
  uint32_t repeat_filter;        ///< step of the filters, in bytes
};

/// One spatial axis of the grid. Position q = (tile*box + i)*input_step + subgrid.
struct IgemmAxis {
  int32_t in, out, stride;
  int32_t input_step;  ///< also the number of subgrids
  int32_t positions;   ///< of all subgrids together
  int32_t tiles;       ///< of one subgrid
  int32_t log_box;
  Divisor window;  ///< by its pixels: box and halo
};

/// Which outputs of an axis some tap reaches: those with  k0(p) < tap_phases  (decomposition.h).
struct IgemmReach {
  uint32_t stride, pad;  ///< pad_begin mod stride
  uint32_t gcd, reduced_stride, inverse;
  uint32_t tap_phases;  ///< min(reduced_stride, kernel)

  constexpr bool contains(uint32_t p) const {
    const uint32_t u = (p % stride + pad) % stride;
    return u % gcd == 0 && u / gcd * inverse % reduced_stride < tap_phases;
  }
};

/// The parameters of the kernel beside its pointers: by value, the same for all blocks.
struct IgemmParams {
  IgemmAxis h, w;
  int32_t batch, batch_tiles, log_box_n;
  int32_t channel_bytes;  ///< of one group of the problem
  Divisor out_channels;   ///< likewise
  int32_t conv_groups;
  int32_t units;  ///< blocks of one box
  /// Shares into which the depth is cut, so many chunks of channels each, and the elements of one
  /// in the workspace: f32, dense, as the output otherwise. 1: the blocks write the output.
  int32_t splits, chunks_of_split;
  int64_t split_elements;
  /// Blocks compute boxes  b, b + box_step, ...  one after the other: all boxes but the first only
  /// if filters are `stationary`, copied once, into a ring that has room for all of them.
  int32_t boxes, box_step, stationary;
  int32_t gemm_blocks;
  IgemmReach reach_h, reach_w;
  // The window in shared memory: memory row of a pixel  n*image_pitch + h*pitch + w.
  int32_t pitch, image_pitch, window_pixels;
  Divisor by_pitch;
  int32_t most_taps;  ///< of a group, those of all slots
  uint32_t window_bytes, window_stages;
  uint32_t filters_at, filter_ring_bytes;  ///< where their ring begins, from the windows' on
  // Strides: of the input and the filters' rows in bytes, of output and residual in elements.
  int64_t input_n, input_h, input_w, input_c;
  uint32_t filter_row;    ///< from one column to the next; filters_ihwo: from one channel
  int32_t filters_ihwo;   ///< 1: the columns of a channel are neighbours; 0: channels of a column
  int32_t access;         ///< see igemm_access
  int32_t filter_access;  ///< see igemm_filter_access
  int64_t output_n, output_h, output_w, output_c;
  int64_t residual_n, residual_h, residual_w, residual_c;
  int32_t channels_last;  ///< 1: NHWC, the channels of a pixel are neighbours; 0: NCHW
  int32_t
      input_channels_last;  ///< of the input: so they are in NCHW, too, where planes are a pixel
  int32_t pixel_pairs;      ///< 1: planes are read two pixels at once, see igemm_has_pixel_pairs
  int32_t wide_stores;      ///< 1: runs of 8 outputs may be stored with 16 bytes at once
  IgemmGroup groups[kIgemmMaxGroups];
  int32_t group_count;
  IgemmSlot slots[kIgemmMaxSlots];
  IgemmTap taps[kIgemmMaxTaps];
};

/// Element strides of the output of a split plan.
struct IgemmOutput {
  int64_t n, h, w, c;
};

/// Bytes that all blocks together move through the L2 cache, in whole sectors: a model.
struct IgemmTraffic {
  double window_bytes = 0, filter_bytes = 0;
  double output_bytes = 0;  ///< written, and of a residual or of shares read

  double sum() const { return window_bytes + filter_bytes + output_bytes; }
};

/// One tile for one problem.
struct IgemmPlan {
  std::string refused;  ///< why not; empty if the rest is filled in
  IgemmParams params = {};
  /// Of the second launch: it writes the outputs that no tap reaches, or all as sums of shares.
  int64_t fill_blocks = 0;
  int64_t workspace_bytes = 0;
  int64_t shared_bytes = 0;
  bool tf32 = false;
  int products = 1;        ///< of the tensor cores for one of the problem: 3 for 3xTF32
  int resident = 1;        ///< blocks that an SM holds at once
  double issued_macs = 0;  ///< multiply-adds of the tensor cores, those of borders included
  IgemmTraffic traffic;
};

/// Whether the channels of an input pixel are neighbours, whatever the layout is called.
inline bool igemm_input_channels_last(const Problem& problem) {
  return problem.desc().input_strides.c == 1;
}
/// Whether planes can be read in pairs of pixels: of 16 bits, and every row begins and ends with a
/// whole, aligned pair. Windows then do, too: their boxes have at least two columns.
bool igemm_has_pixel_pairs(const Problem& problem);
/// Bytes to which every row of channels is aligned, and every stride that leads to one: at most 16.
/// Where the input has planes, only filters have rows of channels.
int igemm_access(const Problem& problem);
/// Likewise of the filters alone; in the order IHWO they have rows of columns.
int igemm_filter_access(const Problem& problem);
/// True if all is copied 16 bytes at a time.
inline bool igemm_is_wide(const Problem& problem) {
  return igemm_input_channels_last(problem) && igemm_access(problem) == 16 &&
         igemm_filter_access(problem) == 16;
}
/// The order of the filters that the kernel reads: IHWO where the problem's 16-bit filters have it,
/// HWOI else, whatever the problem's is.
FilterOrder igemm_filter_order(const Problem& problem);
FilterStrides igemm_filter_strides(const Problem& problem);

/// How many parts of 1 << log_part positions along an axis, boxes or parts of them, have a position
/// that exists and whose tap `t` steps behind the window's first pixel, input pixel `origin` of
/// position 0, lies inside the input.
double igemm_useful_parts(const IgemmAxis& axis, int log_part, int64_t origin, int64_t t);

/// The positions of a box that the warps with the same rows multiply, a box themselves, as
/// logarithms: they leave out what none of these needs.
struct IgemmPart {
  int n, h, w;
};
IgemmPart igemm_part(const IgemmTile& tile, const IgemmParams& params);

/// Columns of all units of a group together that warps multiply, those past the last included where
/// the warp has others.
double igemm_columns_multiplied(const IgemmTile& tile, const IgemmParams& params,
                                const IgemmGroup& group);

/// Cuts `problem` for `tile` on `device`; `math` is of f32. Cheap and pure.
/// `workspace_limit`: bytes, for shares of the sums; -1: none given.
IgemmPlan plan_igemm(const Problem& problem, const IgemmTile& tile, const DeviceFacts& device,
                     Math math = Math::tf32, int64_t workspace_limit = -1);

/// Model microseconds of a plan that is not refused.
double estimate_igemm_us(const Problem& problem, const IgemmTile& tile, const IgemmPlan& plan,
                         const DeviceFacts& device);

}  // namespace tconv::host
