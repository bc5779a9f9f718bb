// SPDX-License-Identifier: Apache-2.0
// params.h: the tiles, and the numbers that the kernel is given: by value, the same for all blocks.
// Plain C++: the kernel does what these numbers say, and the CPU tests prove them (plan.h makes
// them).
//
// Output p = q*stride + phase of an axis reads inputs  q + shift - input_step*t  (decomposition.h).
// Where input_step is above 1, positions q are taken apart by q mod input_step: within such a
// subgrid, inputs lie input_step pixels apart and taps one step apart, so that windows stay dense.
//
// An M tile is a box of  box_n * box_h * box_w  positions. A block (CTA) computes one N tile of one
// M tile, for one to four sub-GEMMs. A sub-GEMM is a phase of H times a window class of W: its
// columns are the phases of that class, side by side, times the output channels (j, k), contiguous
// rows of the filters. All sub-GEMMs of a block read one window of the input: the box and a halo.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/cuda/common/fast_divmod.h"

namespace tconv::host::igemm {

// Staging in the epilogue: rows of a warp at once, and f32 beside each row, or column, of it.
inline constexpr int kStagedRows = 16, kRowPad = 8, kColumnPad = 4;

/// What one block computes in one go. Few of them: each is there for a kind of problem.
struct Tile {
  const char* name;
  int sub_gemms;        ///< side by side, each with its own warps
  int m, n;             ///< positions, columns of a sub-GEMM
  int row_bytes;        ///< of a pixel or filter row: the channels of a chunk
  int prefetch_stages;  ///< iterations whose copies are in flight
  int warp_m, warp_n;   ///< of one warp
  int blocks_per_sm;    ///< what registers must leave room for

  constexpr int warps_per_sub_gemm() const { return m / warp_m * (n / warp_n); }
  constexpr int threads() const { return 32 * sub_gemms * warps_per_sub_gemm(); }
  constexpr int stage_bytes() const { return sub_gemms * n * row_bytes; }  ///< of filters
  /// The epilogue stages so many rows at once, kStagedRows of each warp; f32, of all sub-GEMMs.
  constexpr int staged_rows() const { return m / warp_m * kStagedRows; }
  constexpr int staging_bytes() const {
    const int rows = staged_rows() * (n + kRowPad), columns = n * (staged_rows() + kColumnPad);
    return 4 * sub_gemms * (rows > columns ? rows : columns);
  }
};

// One warp tile of 64x64 wherever the columns fill it.
inline constexpr Tile kTiles[] = {
    {"128x128", 1, 128, 128, 64, 3, 64, 64, 2},   // k == s, large Co, stride 1
    {"64x64", 1, 64, 64, 128, 3, 32, 32, 4},      // few positions or columns
    {"4x128x64", 4, 128, 64, 128, 1, 64, 64, 1},  // stride 2, Co <= 64: one window for all phases
    {"2x256x64", 2, 256, 64, 128, 2, 64, 64, 1},  // stride 2, large Co: half the filters to read
    {"4x128x32", 4, 128, 32, 128, 1, 64, 32, 1},  // stride 2, Co <= 32
    {"128x32", 1, 128, 32, 128, 3, 32, 32, 3}     // stride 1, Co <= 32
};
inline constexpr int kTileCount = static_cast<int>(sizeof kTiles / sizeof *kTiles);

/// Three products of TF32 need operands twice: beside the sums of 64x64 there is no room for them.
constexpr bool has_room_for_3xtf32(const Tile& tile) {
  return tile.warp_m * tile.warp_n <= 64 * 32;
}
/// Filters in the order IHWO that are not copied in whole chunks are rare: few tiles take them.
constexpr bool takes_unaligned_ihwo(const Tile& tile) {
  return tile.warp_m * tile.warp_n <= 64 * 32;
}
/// Of 3xTF32: more blocks would leave a thread fewer than 168 registers.
inline constexpr int kBlocksOf3xTf32 = 3;

inline constexpr int kMaxTaps = 192;  // with these the parameters fit 4 KB
inline constexpr int kMaxSubGemms = 25;
inline constexpr int kMaxGroups = 25;
inline constexpr int kMaxSplitK = 32;
inline constexpr int kSecondLaunchThreads = 256;  // an output each

/// One tap of one sub-GEMM. `window` is the byte offset of the tap's first pixel in the window, a
/// multiple of a row; the bits below a row hold the tap's part of the swizzle key and flags.
struct Tap {
  uint32_t filter;  ///< byte offset of column 0, channel 0
  uint32_t window;
};
inline constexpr uint32_t kKeyMask = 7;
/// Flags in `window`. NoTap: skip the multiply. NoFilters: no warp needs this tap, so skip its
/// filter copy too. Params has NoTap alone, where a sub-GEMM has fewer taps than another of the
/// block; the block's own table in shared memory has both.
inline constexpr uint32_t kNoTap = 8, kNoFilters = 16;

struct SubGemm {
  int32_t phase_h, phase_w;  ///< of the first column
  int32_t columns;           ///< phases of W times output channels of a group
  int32_t column_step;       ///< output pixels between two phases of W
};

/// The sub-GEMMs of one CTA. With one sub-GEMM the group repeats for every H phase of its window
/// class; `repeat_*` is the step.
struct CtaSubGemms {
  int32_t first_sub_gemm;
  int32_t first_tap, end_tap;  ///< of `taps`, the sub-GEMM innermost
  int32_t iterations;          ///< through a chunk: taps of the sub-GEMM that has most
  int32_t origin_h, origin_w;  ///< input pixel of position 0 at the window's first pixel
  int32_t n_tiles_per_repeat;
  /// NCHW: an N tile is a rectangle, as many phases of W as fit times 1 << log_channels channels,
  /// of which there are channel_tiles side by side. NHWC: neighbouring columns.
  int32_t log_channels, channel_tiles;
  /// A line: sub-GEMMs with the same phases of H, whose outputs lie in the same rows. line_order
  /// lists all sub-GEMMs by phase of H, then of W, four bits each from the lowest on.
  int32_t sub_gemms_per_line;
  uint32_t line_order;
  int32_t first_n_tile, end_n_tile;  ///< of all repetitions, the innermost first
  int32_t repeat_phase;              ///< step of phase_h
  uint32_t repeat_filter;            ///< step of the filters, in bytes
};

/// One spatial axis of the grid. Position q = (tile*box + i)*input_step + subgrid.
struct GridAxis {
  int32_t in, out, stride;
  int32_t input_step;  ///< also the number of subgrids
  int32_t positions;   ///< of all subgrids together
  int32_t tiles;       ///< M tiles of one subgrid
  int32_t log_box;
  cuda::FastDivmod window;  ///< by its pixels: box and halo
};

/// Which outputs of an axis have a tap: those with  k0(p) < tap_phases  (decomposition.h).
struct TappedOutputs {
  uint32_t stride, pad;  ///< pad_begin mod stride
  uint32_t gcd, reduced_stride, inverse;
  uint32_t tap_phases;  ///< min(reduced_stride, kernel)

  constexpr bool contains(uint32_t p) const {
    const uint32_t u = (p % stride + pad) % stride;
    return u % gcd == 0 && u / gcd * inverse % reduced_stride < tap_phases;
  }
};

struct Params {
  GridAxis h, w;
  int32_t batch, batch_tiles, log_box_n;
  int32_t channel_bytes;          ///< of one group of the problem
  cuda::FastDivmod out_channels;  ///< likewise
  int32_t conv_groups;
  int32_t n_tiles;  ///< of all sub-GEMM groups: blocks of one M tile
  /// Split K: slices of the depth, of so many chunks of channels each, and the elements of a slice
  /// in the workspace: f32, dense, otherwise as the output. split_k 1: blocks write the output.
  int32_t split_k, chunks_of_k_slice;
  int64_t k_slice_elements;
  /// Persistent CTAs: each strides over the M tiles by `m_tile_step` and loads its filters once,
  /// into a ring that has room for all of them. Else m_tile_step is m_tiles.
  int32_t m_tiles, m_tile_step, persistent_filters;
  int32_t gemm_blocks;
  TappedOutputs tapped_h, tapped_w;
  // The window in shared memory: memory row of a pixel  n*image_pitch + h*pitch + w.
  int32_t pitch, image_pitch, window_pixels;
  cuda::FastDivmod by_pitch;
  int32_t most_taps;  ///< of a group, those of all its sub-GEMMs
  uint32_t window_bytes, window_stages;
  uint32_t filters_at, filter_ring_bytes;  ///< where their ring begins, from the windows' on
  // Strides: of the input and the filters' rows in bytes, of output and residual in elements.
  int64_t input_n, input_h, input_w, input_c;
  uint32_t filter_row;          ///< from one column to the next; filters_ihwo: from one channel
  int32_t filters_ihwo;         ///< 1: the columns of a channel are neighbours; 0: the channels
  int32_t vector_bytes;         ///< of one copy, see operands.h
  int32_t filter_vector_bytes;  ///< likewise
  int64_t output_n, output_h, output_w, output_c;
  int64_t residual_n, residual_h, residual_w, residual_c;
  int32_t channels_last;        ///< 1: NHWC, the channels of a pixel are neighbours; 0: NCHW
  int32_t input_channels_last;  ///< of the input: 1 in NCHW, too, where a plane is one pixel
  int32_t pixel_pairs;          ///< 1: planes are read two pixels at once, see has_pixel_pairs
  int32_t vec16_stores;         ///< 1: runs of 8 outputs may be stored with 16 bytes at once
  CtaSubGemms groups[kMaxGroups];
  int32_t group_count;
  SubGemm sub_gemms[kMaxSubGemms];
  Tap taps[kMaxTaps];
};

/// Element strides of the output of a split plan.
struct OutputStrides {
  int64_t n, h, w, c;
};

}  // namespace tconv::host::igemm
