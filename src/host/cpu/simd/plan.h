// SPDX-License-Identifier: Apache-2.0
// plan.h: what the family `simd` decides before it runs: how the outputs are cut into tasks, and
// what memory a task needs.
//
// Every output position of an axis is  p = q*stride + phase.  Tasks are boxes of the grid of q, for
// all phases at once, so that what they read of the input is one small window.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "src/host/plan/kernel.h"
#include "src/host/problem/decomposition.h"
#include "src/host/problem/problem.h"

namespace tconv::host::simd {

/// How sums are made. `tiles` and `depthwise` keep a tile of outputs in registers, channels side by
/// side; `columns` makes the products of every input pixel with all taps, pixels side by side, and
/// then gathers each output's.
enum class Method { tiles, columns, depthwise };

/// What costs differ by: `pixels` is the method `columns` where there is nothing to multiply before
/// (one input channel).
enum class Costing { tiles, columns, depthwise, pixels };

/// Of an axis, for the method `columns`; and so many windows are kept. Inverse Fourier transforms
/// have as many as 512.
inline constexpr int64_t kMostPhases = 512;

// Sums of a tile, in registers: rows x vectors.
inline constexpr int64_t kMostRows = 8, kMostVectors = 4, kDepthwiseRows = 4;

/// Phases of W that are interleaved in registers.
inline constexpr int64_t kInterleaved = 4;

/// Rows of a tile with so many vectors: the sums, one row and the vectors fit the registers. With
/// one vector 8 chains hide the latency of the multiply-add (4 clocks, two a clock).
constexpr int64_t most_rows(int64_t vectors, int64_t registers) {
  return vectors == 1 ? 8 : vectors == 2 ? 6 : registers == 32 ? 6 : vectors == 3 ? 4 : 2;
}

/// An instruction set that kernels.cpp was compiled for.
struct Target;

/// One axis: its grid of q, and how each phase meets the filter.
struct PhaseGrid {
  Axis axis;                      ///< normalised
  int64_t phases = 0;             ///< that have outputs
  int64_t positions = 0;          ///< q = 0 .. positions-1, of the first phase
  std::vector<PhaseWindow> kept;  ///< of the first phases: a stride may be astronomic

  PhaseGrid() = default;
  explicit PhaseGrid(const Axis& original);
  PhaseWindow window(int64_t phase) const {
    return phase < static_cast<int64_t>(kept.size()) ? kept[static_cast<std::size_t>(phase)]
                                                     : phase_window(axis, phase);
  }
};

/// [begin, end)
struct Range {
  int64_t begin = 0, end = 0;
  int64_t count() const { return end - begin; }
};

/// The taps of a window that land inside of the input: `count` from `first` on.
struct Taps {
  int64_t first = 0, count = 0;
  friend bool operator==(const Taps&, const Taps&) = default;
};

/// Position q reads input  q + shift - step*t : those t for which this is in [0, in).
inline Taps taps_at(const PhaseWindow& window, int64_t in, int64_t q) {
  const int64_t top = q + window.shift, step = window.input_step;
  if (top < 0 || window.tap_count == 0) return {};
  const int64_t first = top < in ? 0 : step == 1 ? top - in + 1 : ceil_div(top - in + 1, step);
  const int64_t end = std::min(window.tap_count, (step == 1 ? top : top / step) + 1);
  return end > first ? Taps{first, end - first} : Taps{};
}

/// One past the last position, at most `end`, that surely has the taps of q: the interior and what
/// lies beyond all taps in one step, borders position by position.
inline int64_t same_taps_until(const PhaseWindow& window, int64_t in, int64_t q, int64_t end) {
  const int64_t top = q + window.shift, reach = (window.tap_count - 1) * window.input_step;
  if (window.tap_count == 0 || top >= in + reach) return end;
  if (top < 0) return std::min(end, -window.shift);
  return top >= reach && top < in ? std::min(end, in - window.shift) : q + 1;
}

/// Calls body(range of q, its taps) for ranges within `range` whose taps are the same.
template <typename Body>
void for_each_run(const PhaseWindow& window, int64_t in, Range range, Body&& body) {
  for (int64_t q = range.begin; q < range.end;) {
    const Taps taps = taps_at(window, in, q);
    int64_t end = same_taps_until(window, in, q, range.end);
    while (end < range.end && taps_at(window, in, end) == taps) {
      end = same_taps_until(window, in, end, range.end);
    }
    body(Range{q, end}, taps);
    q = end;
  }
}

/// A box of the grid and the channel blocks (tiles, depthwise: of all groups; columns: chunks).
struct Task {
  Range n, h, w, blocks;
};

struct State : KernelState {
  Method method = Method::tiles;
  const Target* target = nullptr;
  int threads = 1;  ///< that have something to do
  int rooms = 1;    ///< for all threads that the caller allows
  CallersThreads callers_threads;
  bool prepacked = false;
  bool is_f64 = false;  ///< what is summed in
  ProblemDesc desc;     ///< the problem, folded: see fold()
  int64_t folded = 1;   ///< columns of a window that became channels
  PhaseGrid h, w;
  int64_t lanes = 1;
  int64_t batch = 1;
  int64_t in_c = 1, out_c = 1;  ///< of a group; depthwise: 1 and all channels
  int64_t groups = 1;
  // Channels in blocks of `vectors` full vectors; the last block of a group may have fewer.
  // columns: chunks of `block` channels, whatever the lanes.
  int64_t vectors = 1, block = 1, blocks = 1;
  // Tasks: boxes of the grid and blocks at a time.
  int64_t box_n = 1, box_h = 1, box_w = 1, blocks_per_task = 1;
  int64_t tasks_n = 1, tasks_h = 1, tasks_w = 1, tasks_blocks = 1;
  // columns: taps of a channel, pixels of a strip, and how the columns of a chunk are made.
  int64_t taps = 1, strip = 1;
  int64_t column_rows = 1;       ///< columns of a tile, at most
  int64_t phases_together = 1;   ///< a tile has all or none of so many columns
  bool straight = false;         ///< windows do not overlap: sums go from registers into the output
  bool turns_columns = false;    ///< input channels lie side by side: the columns do so first
  bool reads_in_place = false;   ///< the input has the type of the sums
  bool stages_input = false;     ///< copies the window of a task: another type, or channels apart
  bool turns_output = false;     ///< channels are apart in the output: whole rows at once
  bool turns_in_place = false;   ///< straight into the output
  bool writes_in_place = false;  ///< sums go straight into the output
  bool streams_output = false;   ///< and past the caches
  // The workspace: bias and slopes in the type of the sums, packed filters, a room for each thread.
  std::size_t slopes_offset = 0, filters_offset = 0, rooms_offset = 0, room_bytes = 0;

  int64_t tasks() const { return tasks_n * tasks_h * tasks_w * tasks_blocks; }
  Task task(int64_t i) const;
  std::size_t element() const { return is_f64 ? sizeof(double) : sizeof(float); }
  int64_t padded_channels() const { return ceil_div(out_c, lanes) * lanes; }
  /// Vectors of a block of a group.
  int64_t vectors_of(int64_t b) const {
    return std::min(vectors, ceil_div(out_c - b * block, lanes));
  }
  /// columns: with one input channel the entries are pixels, and nothing is multiplied before.
  bool adds_pixels() const { return in_c == 1; }
  Costing costing() const {
    const bool pixels = method == Method::columns && adds_pixels();
    return pixels ? Costing::pixels : static_cast<Costing>(method);
  }
  /// columns of packed pixels: input channels at a time, so that pixels need not be few.
  int64_t k_block() const { return straight ? in_c : std::clamp<int64_t>(in_c, 1, 128); }
  /// The room of a column: whole strips, and never whole pages, whose lines would share a few sets
  /// of the first-level cache.
  int64_t padded_pixels(int64_t pixels) const {
    const int64_t whole = ceil_div(pixels, strip) * strip;
    return whole + (whole * static_cast<int64_t>(element()) % 1024 == 0 ? strip : 0);
  }
  int64_t padded_columns(int64_t channels) const {
    return turns_columns ? ceil_div(channels * taps, lanes) * lanes : channels * taps;
  }
  int64_t padded_columns() const { return padded_columns(std::min(block, out_c)); }
  /// Calls body(begin, end) for groups of columns, alike in size, each of one tile.
  template <typename Body>
  void for_column_groups(int64_t columns, Body&& body) const {
    const int64_t units = columns / phases_together;
    const int64_t tiles = ceil_div(units, column_rows / phases_together);
    for (int64_t i = 0; i < tiles; ++i) {
      body(units * i / tiles * phases_together, units * (i + 1) / tiles * phases_together);
    }
  }
  /// Where the filters of chunk b of all groups begin; of b = groups*blocks: where they end.
  int64_t chunk_offset(int64_t b) const {
    const int64_t last = padded_columns(out_c - (blocks - 1) * block);
    const int64_t group = (blocks - 1) * padded_columns() + last;
    return in_c * (b / blocks * group + b % blocks * padded_columns());
  }
  /// The input that a range of q reads, all phases together, within [0, in).
  static Range window_of(const PhaseGrid& grid, Range q);
};

/// Filters in the problem's order -> the family's.
void pack(const Problem& problem, const State& state, const void* filters, void* packed);
int64_t packed_elements(const State& state);

/// Fills in everything of a state whose method, target and threads are known.
void lay_out(const Problem& problem, State& state);

/// Counted work of a run, from which the estimate follows: elements, but for `tiles`.
struct Work {
  double macs = 0;     ///< multiply-adds issued: padding and what is computed twice, too
  double tiles = 0;    ///< calls of a multiplying loop
  double turned = 0;   ///< from channels side by side to pixels side by side, or back
  double passed = 0;   ///< packed, widened, finished: read and written in order
  double added = 0;    ///< entries of outputs
  double memory = 0;   ///< bytes of the tensors
  double fetched = 0;  ///< bytes of filters that come from beyond the second-level cache
};
Work count_work(const Problem& problem, const State& state);

}  // namespace tconv::host::simd
