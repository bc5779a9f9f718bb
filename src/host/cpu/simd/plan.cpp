// SPDX-License-Identifier: Apache-2.0
// plan.cpp: how the outputs are cut into tasks. Nothing here depends on the number of threads, and
// no bit of a result depends on anything here.
#include "src/host/cpu/simd/plan.h"

#include <algorithm>
#include <initializer_list>

#include "src/host/cpu/simd/kernels.h"

namespace tconv::host::simd {
namespace {

// Elements that may stay in the second-level cache between a task's loops: 256 KiB of f32, half of
// what the smallest such caches of today hold.
constexpr int64_t kCached = 65536;
// A task of less has more to say than to do; tasks beyond this number only serve threads.
constexpr int64_t kTasksWanted = 32;

/// Inputs that one output position of all phases can span, less one.
int64_t halo(const Axis& a) {
  return floor_div(a.stride - 1 + a.pad_begin, a.stride) -
         ceil_div(a.pad_begin - (a.keff() - 1), a.stride);
}
int64_t halo(const PhaseGrid& grid) { return halo(grid.axis); }

/// The same for any size of the input, of which one pixel changes the stride: see normalise().
int64_t most_halo(Axis axis) {
  const int64_t as_it_is = halo(axis);
  axis.stride = axis.keff();
  return std::max(as_it_is, halo(axis));
}

/// The size of a part where `whole` is cut into equal parts of at most `most`.
int64_t part(int64_t whole, int64_t most) {
  const int64_t parts = ceil_div(whole, std::clamp<int64_t>(most, 1, std::max<int64_t>(1, whole)));
  return std::max<int64_t>(1, ceil_div(whole, std::max<int64_t>(1, parts)));
}

/// The vectors of a block: the fewest instructions for all channels of a group.
int64_t choose_vectors(int64_t channels, int64_t lanes, int64_t registers) {
  // Loads beside 8, 12, 18 or 24 (with 16 registers 8, 12, 12) multiply-adds: time of one vector.
  const auto time = [](int64_t vectors) { return vectors == 1 ? 1.25 : vectors == 2 ? 1.05 : 1.0; };
  int64_t best = 1;
  double least = 0;
  for (int64_t vectors = 1; vectors <= (registers == 32 ? kMostVectors : kMostVectors - 1);
       ++vectors) {
    const int64_t whole = channels / (vectors * lanes);
    const int64_t rest = ceil_div(channels - whole * vectors * lanes, lanes);
    const double total = static_cast<double>(whole * vectors) * time(vectors) +
                         static_cast<double>(rest) * (rest > 0 ? time(rest) : 0);
    if (vectors == 1 || total < least) best = vectors, least = total;
  }
  return best;
}

/// Whether every output has exactly one tap, and the windows lie one behind the other.
bool is_side_by_side(const Axis& a) {
  return a.kernel == a.stride && a.dilation == 1 && a.pad_begin == 0 && a.pad_end() == 0;
}

/// Where windows do not overlap along W, the columns of a window are as good as channels: side by
/// side in the output, made from the same pixel. One wide tile then takes the place of `kernel`
/// narrow ones.
void fold(State& s) {
  ProblemDesc& d = s.desc;
  const bool side_by_side =
      d.layout == Layout::nhwc && d.output_strides.c == 1 && d.output_strides.w == d.out_c &&
      (!d.has_residual || (d.residual_strides.c == 1 && d.residual_strides.w == d.out_c));
  if (d.groups > 1 || !side_by_side || !is_side_by_side(d.w)) return;
  s.folded = d.w.kernel;
  d.out_c *= s.folded;
  d.output_strides.w *= s.folded, d.residual_strides.w *= s.folded;
  d.w = {.in = d.w.in, .kernel = 1, .stride = 1, .dilation = 1, .pad_begin = 0, .out = d.w.in};
}

/// Positions of a task: its window stays in the cache while the filters pass by.
int64_t most_positions(const State& s) {
  return s.method == Method::depthwise
             ? std::clamp<int64_t>(kCached / s.block, 16, 1024)
             : std::clamp<int64_t>(kCached / std::max<int64_t>(1, s.in_c), 384, 1024);
}

/// Inputs that a box of so many positions can span, wherever it is long, but not more than there
/// are.
int64_t most_window(const State& s, int64_t positions, int64_t all) {
  const int64_t around = std::max(most_halo(s.desc.h), most_halo(s.desc.w));
  const double window =
      (1.0 + static_cast<double>(around)) * static_cast<double>(positions + around);
  return window < static_cast<double>(all) ? (1 + around) * (positions + around) : all;
}

void cut_boxes(State& s, int64_t positions) {
  s.box_w = part(s.w.positions, positions);
  s.box_h = part(s.h.positions, positions / s.box_w);
  const int64_t image =
      std::min(s.desc.h.in, s.box_h + halo(s.h)) * std::min(s.desc.w.in, s.box_w + halo(s.w));
  const int64_t most = most_window(s, positions, s.batch * image);
  s.box_n =
      part(s.batch, std::min(positions / (s.box_w * s.box_h), most / std::max<int64_t>(1, image)));
}

void cut_tiles(State& s) {
  s.vectors = s.method == Method::depthwise ? ceil_div(s.out_c, s.lanes)
                                            : choose_vectors(s.out_c, s.lanes, s.target->registers);
  s.block = s.vectors * s.lanes;
  s.blocks = ceil_div(s.out_c, s.block);
  int64_t positions = most_positions(s);
  if (s.turns_output) {
    positions =
        std::clamp<int64_t>(kCached / std::max<int64_t>(1, s.block * s.w.phases), 1, positions);
  }
  cut_boxes(s, positions);
  const int64_t boxes = ceil_div(s.batch, s.box_n) * ceil_div(s.h.positions, s.box_h) *
                        ceil_div(s.w.positions, s.box_w);
  s.blocks_per_task = part(s.groups * s.blocks, s.groups * s.blocks * boxes / kTasksWanted);
}

// Positions of a row that a box of columns may have, or four halos.
constexpr int64_t kWidest = 1024;

/// Pixels of a window whose columns, and packed channels, stay in the cache.
int64_t most_pixels(const State& s) {
  int64_t pixels = 2 * kCached;
  if (!s.adds_pixels()) {
    const int64_t columns = s.straight ? 1 : s.block * s.taps;
    pixels /= s.turns_columns ? columns : std::max(s.k_block(), columns);
  }
  return std::clamp<int64_t>(pixels, 64, 1 << 15);
}

void cut_columns(State& s) {
  const ProblemDesc& d = s.desc;
  s.taps = d.h.kernel * d.w.kernel;
  // Where channels lie side by side either the columns are turned or the pixels are. Fewer columns
  // than a vector has lanes would leave lanes without work; many columns of few channels are more
  // to turn than the channels.
  const int64_t columns = s.out_c * s.taps;
  s.turns_columns =
      d.layout == Layout::nhwc && !s.adds_pixels() && columns >= s.lanes && columns < 4 * s.in_c;
  constexpr int64_t kMostStraight = 1024;  // input channels that are packed at once
  s.straight = !s.turns_columns && s.in_c > 1 && s.in_c <= kMostStraight && is_side_by_side(d.h) &&
               is_side_by_side(d.w) && d.w.kernel <= kInterleaved;
  s.phases_together = s.straight ? d.w.kernel : 1;
  s.column_rows = s.target->column_rows;
  s.block = part(s.out_c, std::max<int64_t>(1, 128 / s.taps));
  s.blocks = ceil_div(s.out_c, s.block);
  const int64_t halo_h = halo(s.h), halo_w = halo(s.w);
  const int64_t pixels = most_pixels(s);
  // Whole rows, so that a channel's outputs are neighbours; narrower where what lies around a box,
  // and is computed again, would be as much as the box.
  int64_t widest = std::max(s.adds_pixels() ? kWidest
                            : halo_h == 0   ? kWidest / 2
                                            : 128,
                            4 * halo_w);
  if (s.h.positions == 1) widest = pixels - halo_w;
  if (s.straight) widest = pixels;
  s.box_w = part(s.w.positions, widest);
  s.box_h = part(s.h.positions, std::max(pixels / (s.box_w + halo_w) - halo_h, 2 * halo_h));
  s.box_n = 1;
  const int64_t window = std::min(d.h.in, s.box_h + halo_h) * std::min(d.w.in, s.box_w + halo_w);
  s.vectors = s.turns_columns ? choose_vectors(s.block * s.taps, s.lanes, s.target->registers)
              : s.target->registers == 32 && window > 16 * s.lanes ? 4
                                                                   : 2;
  s.strip = s.turns_columns ? 24 : s.vectors * s.lanes;  // 24: whole tiles of any height but 7
  const int64_t boxes =
      d.batch * ceil_div(s.h.positions, s.box_h) * ceil_div(s.w.positions, s.box_w);
  s.blocks_per_task = part(s.groups * s.blocks, s.groups * s.blocks * boxes / kTasksWanted);
}

// What a thread's own room must hold at most for any sizes up to the problem's: workspaces must not
// shrink where a problem grows (Kernel::fixed_size), though its boxes may.

/// See TilesTask.
int64_t room_of_tiles(const State& s) {
  const ProblemDesc& d = s.desc;
  int64_t elements = kMostRows * s.block;  // one tile
  if (s.turns_output) {
    const int64_t phases = std::max(d.w.stride, d.w.keff());
    // Positions times phases are outputs, the last of them filled up to a whole position.
    const int64_t whole = d.batch * d.h.out * 2 * d.w.out * s.block;
    elements += std::min(whole, std::max(kCached, std::min(phases, d.w.out) * s.block));
  }
  if (s.stages_input) {
    elements += most_window(s, most_positions(s), d.batch * d.h.in * d.w.in) * d.in_c;
  }
  return elements;
}

/// See ColumnsTask.
int64_t room_of_columns(const State& s) {
  const ProblemDesc& d = s.desc;
  const int64_t halo_h = most_halo(d.h), halo_w = most_halo(d.w), pixels = most_pixels(s);
  const int64_t widest = std::max({kWidest, 4 * halo_w, pixels});
  const int64_t area = s.straight
                           ? pixels
                           : std::max((1 + 3 * halo_h) * (std::max(kWidest, 4 * halo_w) + halo_w),
                                      (1 + halo_h) * pixels);
  // Strips of columns from pixels have 2 or 4 vectors; the room is one strip longer where it would
  // be whole pages.
  const int64_t strip = s.turns_columns ? s.strip : 4 * s.lanes;
  const int64_t padded = std::min(area, d.h.in * d.w.in) + 2 * strip;
  const int64_t row = std::min(d.w.out, widest) + s.lanes;
  const int64_t phases = std::min(kMostPhases, std::max(d.w.stride, d.w.keff()));
  int64_t elements = 0;
  const auto take = [&](int64_t count) { elements += ceil_div(count, 16) * 16; };
  take(s.adds_pixels() ? padded : s.turns_columns ? s.strip * s.in_c : padded * s.k_block());
  take(s.adds_pixels() || s.straight ? 0 : padded * s.block * s.taps);
  take(s.straight ? kMostRows * strip : phases * row);
  take(phases * row);
  take(s.adds_pixels()   ? 0
       : s.turns_columns ? s.strip * s.padded_columns()
                         : std::max(padded, strip * std::max(kMostRows, s.k_block())));
  return elements;
}

void lay_out_workspace(State& s) {
  std::size_t end = 0;
  const auto piece = [&](std::size_t bytes) {
    const std::size_t begin = end;
    end += (bytes + 255) / 256 * 256;
    return begin;
  };
  // Bias, as tiles start with it: whole vectors, zeros where there is none; and slopes.
  piece(static_cast<std::size_t>(s.groups * s.padded_channels()) * s.element());
  const bool has_slopes = s.desc.activation == Activation::prelu;
  s.slopes_offset = piece(has_slopes ? static_cast<std::size_t>(s.desc.out_c) * s.element() : 0);
  const std::size_t packed = static_cast<std::size_t>(packed_elements(s)) * s.element();
  if (s.prepacked) {
    s.packed_filter_bytes = packed;
  } else {
    s.filters_offset = piece(packed);
  }
  const int64_t elements = s.method == Method::columns ? room_of_columns(s) : room_of_tiles(s);
  s.room_bytes = (static_cast<std::size_t>(elements) * s.element() + 255) / 256 * 256;
  s.rooms_offset = piece(s.room_bytes * static_cast<std::size_t>(s.rooms));
  s.workspace_bytes = end;
}

}  // namespace

PhaseGrid::PhaseGrid(const Axis& original)
    : axis(normalise(original)),
      phases(std::min(axis.stride, axis.out)),
      positions(phase_extent(axis, 0)) {
  for (int64_t phase = 0; phase < std::min(phases, kMostPhases); ++phase) {
    kept.push_back(phase_window(axis, phase));
  }
}

Range State::window_of(const PhaseGrid& grid, Range q) {
  const Axis& a = grid.axis;
  const int64_t lowest = ceil_div(a.pad_begin - (a.keff() - 1), a.stride);
  const int64_t highest = floor_div(a.stride - 1 + a.pad_begin, a.stride);
  const int64_t begin = std::clamp<int64_t>(q.begin + lowest, 0, a.in);
  return {begin, std::clamp<int64_t>(q.end + highest, begin, a.in)};
}

Task State::task(int64_t i) const {
  const auto range = [](int64_t index, int64_t size, int64_t all) {
    return Range{index * size, std::min(all, (index + 1) * size)};
  };
  Task t;
  t.blocks = range(i % tasks_blocks, blocks_per_task, groups * blocks), i /= tasks_blocks;
  t.w = range(i % tasks_w, box_w, w.positions), i /= tasks_w;
  t.h = range(i % tasks_h, box_h, h.positions), i /= tasks_h;
  t.n = range(i, box_n, batch);
  return t;
}

void lay_out(const Problem& problem, State& s) {
  s.desc = problem.desc();
  if (s.method == Method::tiles) fold(s);
  const ProblemDesc& d = s.desc;
  const bool depthwise = s.method == Method::depthwise;
  const DType sums = d.dtype == DType::f64 ? DType::f64 : DType::f32;
  s.is_f64 = sums == DType::f64;
  s.lanes = s.is_f64 ? s.target->f64_lanes : s.target->f32_lanes;
  s.h = PhaseGrid(d.h), s.w = PhaseGrid(d.w);
  s.batch = d.batch;
  s.groups = depthwise ? 1 : d.groups;
  s.in_c = depthwise ? 1 : problem.in_c_per_group();
  s.out_c = depthwise ? d.out_c : problem.out_c_per_group() * s.folded;
  s.reads_in_place = d.dtype == sums;
  // Written once and larger than caches that a core has for itself; whole vectors, aligned.
  constexpr int64_t kStreamed = int64_t{12} << 20;
  const Strides& out = d.output_strides;
  if (s.method == Method::columns) {
    s.writes_in_place = d.output_dtype == sums && d.output_strides.w == 1 && !d.has_residual;
    s.streams_output = s.writes_in_place && d.activation == Activation::identity &&
                       s.w.phases <= kInterleaved && problem.output_bytes() >= kStreamed &&
                       out.h % s.lanes == 0 && out.c % s.lanes == 0 && out.n % s.lanes == 0;
    cut_columns(s);
  } else {
    s.stages_input = d.dtype != sums || d.input_strides.c != 1;
    s.turns_output = d.output_strides.c != 1 && d.out_c > 1;
    s.turns_in_place = s.turns_output && d.output_dtype == sums && d.output_strides.w == 1 &&
                       !d.has_residual && d.activation == Activation::identity;
    s.writes_in_place = d.output_dtype == sums && !s.turns_output && !d.has_residual;
    s.streams_output = s.writes_in_place && d.activation == Activation::identity &&
                       problem.output_bytes() >= kStreamed && s.out_c % s.lanes == 0 &&
                       out.w % s.lanes == 0 && out.h % s.lanes == 0 && out.n % s.lanes == 0;
    cut_tiles(s);
  }
  s.tasks_n = ceil_div(d.batch, s.box_n);
  s.tasks_h = ceil_div(s.h.positions, s.box_h), s.tasks_w = ceil_div(s.w.positions, s.box_w);
  s.tasks_blocks = ceil_div(s.groups * s.blocks, s.blocks_per_task);
  lay_out_workspace(s);
}

namespace {

double product(std::initializer_list<int64_t> factors) {
  double result = 1;
  for (const int64_t factor : factors) result *= static_cast<double>(factor);
  return result;
}

Work count_tiles(const Problem& problem, const State& s) {
  const bool depthwise = s.method == Method::depthwise;
  const double padding = product({s.padded_channels()}) / product({s.out_c});
  const double outputs = static_cast<double>(problem.output_extents().count());
  const double of_a_tile =
      depthwise ? product({kDepthwiseRows, s.padded_channels()})
                : product({most_rows(s.vectors, s.target->registers), s.vectors, s.lanes});
  const double staged = static_cast<double>(problem.input_extents().count()) *
                        (s.stages_input ? product({s.tasks_blocks}) : 0);
  const bool turns_input = s.stages_input && s.desc.input_strides.c != 1;
  return {.macs = problem.useful_macs() * padding,
          .tiles = outputs * padding / of_a_tile,
          .turned = (turns_input ? staged : 0) + (s.turns_output ? outputs : 0),
          .passed = (turns_input ? 0 : staged) + (s.writes_in_place ? 0 : outputs)};
}

Work count_columns(const Problem& problem, const State& s) {
  const ProblemDesc& d = s.desc;
  // Windows overlap by the halo; strips are filled up.
  const auto window = [](const PhaseGrid& grid, int64_t box) {
    return std::min(grid.axis.in, box + halo(grid));
  };
  const int64_t in_window = window(s.h, s.box_h) * window(s.w, s.box_w);
  const int64_t padded = s.turns_columns ? in_window : ceil_div(in_window, s.strip) * s.strip;
  const double pixels = product({d.batch, s.tasks_h, s.tasks_w, padded});
  const double outputs = static_cast<double>(problem.output_extents().count());
  const double entries =
      outputs * std::max(1.0, product({s.taps}) / product({s.h.axis.stride, s.w.axis.stride}));
  // Numbers apart in memory are moved one by one. A call for each row of a channel and phase.
  Work work{.turned = d.output_strides.w == 1 ? 0 : outputs, .passed = outputs};
  if (!s.straight) {
    work.tiles = product({d.batch, d.out_c, d.h.out, s.tasks_w, s.w.phases});
    work.added = entries;
  }
  if (s.adds_pixels()) {
    if (d.input_strides.w != 1) work.turned += pixels * product({d.in_c});
    return work;
  }
  const int64_t columns = s.groups * s.blocks * s.padded_columns();
  const double rows =
      s.turns_columns ? product({s.vectors, s.lanes}) : static_cast<double>(s.strip);
  work.macs = pixels * product({columns, s.in_c});
  work.tiles += pixels * product({columns}) / (static_cast<double>(s.column_rows) * rows) *
                product({ceil_div(s.in_c, s.k_block())});
  const double packed = s.turns_columns ? 0 : pixels * product({d.in_c, s.tasks_blocks});
  (d.input_strides.c == 1 ? work.turned : work.passed) += packed;
  if (s.turns_columns) work.turned += pixels * product({columns});
  if (!s.straight) work.passed += pixels * product({columns});
  return work;
}

}  // namespace

Work count_work(const Problem& problem, const State& s) {
  Work work = s.method == Method::columns ? count_columns(problem, s) : count_tiles(problem, s);
  if (!s.prepacked) work.turned += static_cast<double>(packed_elements(s));
  work.memory = problem.least_bytes();
  constexpr double kSecondLevel = 1 << 20;
  const double filters = static_cast<double>(packed_elements(s)) * static_cast<double>(s.element());
  if (filters > kSecondLevel) {
    work.fetched = filters * product({s.tasks_n, s.tasks_h, s.tasks_w});
  }
  return work;
}

}  // namespace tconv::host::simd
