// SPDX-License-Identifier: Apache-2.0
// traffic.cpp: see traffic.h. In closed form: interior M tiles are alike, and rows of memory begin
// anywhere in a sector, or all at the same place.
#include "src/cuda/igemm_sm80/traffic.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <span>

#include "src/cuda/igemm_sm80/subgemms.h"

namespace tconv::host::igemm {
namespace {

constexpr int64_t kLanes = 32, kSector = 32;

double to_double(int64_t x) { return static_cast<double>(x); }

/// Sectors of `bytes` that begin at a multiple of `alignment` in a sector, any one as likely.
double sectors_of(double bytes, double alignment) {
  if (alignment >= kSector) return std::ceil(bytes / kSector);
  return 1 + std::max(0.0, bytes - alignment) / kSector;
}

/// Requests end within a run of `bytes`, after every `request` bytes: the sector there is read
/// twice, but where it ends, too. Pieces have `vector_bytes` bytes.
double cuts_of(int64_t bytes, int64_t request, int64_t vector_bytes) {
  const int64_t cuts = bytes > request ? (bytes - 1) / request : 0;
  return to_double(cuts) * (1 - to_double(vector_bytes) / kSector);
}

/// The greatest power of two, a sector at most, that divides where all rows of the input begin.
int64_t row_alignment(const Problem& problem, const Params& p, bool channels_are_rows) {
  const ProblemDesc& d = problem.desc();
  int64_t alignment = kSector;
  if (d.batch > 1) alignment = std::gcd(alignment, p.input_n);
  if (d.h.in > 1) alignment = std::gcd(alignment, p.input_h);
  if (channels_are_rows && d.w.in > 1) alignment = std::gcd(alignment, p.input_w);
  if (!channels_are_rows) return std::gcd(alignment, p.input_c);
  return p.conv_groups > 1 ? std::gcd(alignment, int64_t{p.channel_bytes}) : alignment;
}

/// What the windows of all M tiles along one axis have inside the input, taken together.
struct AxisWindows {
  double pixels = 0;   // inside
  double sectors = 0;  // of these, a run of memory a window
};

/// Pixels lie `pitch` bytes apart, of each `bytes` are read; the first begins at a multiple of
/// `alignment`.
class AxisRuns {
 public:
  AxisRuns(const GridAxis& axis, int64_t origin, int64_t pitch, int64_t bytes, int64_t alignment)
      : axis_(axis),
        origin_(origin),
        pitch_(pitch),
        bytes_(bytes),
        is_placed_(alignment == kSector),
        run_alignment_(to_double(std::gcd(alignment, axis.input_step * pitch))),
        alone_(sectors_of(to_double(bytes), to_double(std::min(alignment, bytes)))) {}

  AxisWindows sum() {
    const int64_t box = int64_t{axis_.input_step} << axis_.log_box, tiles = axis_.tiles;
    const int64_t reach = int64_t{axis_.window.divisor} * axis_.input_step;
    // Some of a window lies inside the input from tile `first` to `end`, all of it from `inside` to
    // `beyond`: such tiles are alike, but for where they begin in a sector. The others are few.
    const auto tile_at = [&](int64_t corner) {  // the first whose windows begin there or later
      return std::clamp<int64_t>(ceil_div(corner - origin_, box), 0, tiles);
    };
    const int64_t first = tile_at(1 - reach - axis_.input_step), end = tile_at(axis_.in);
    const int64_t inside = tile_at(0);
    const int64_t beyond = std::max(inside, tile_at(axis_.in - reach + 1));
    const int64_t begins = is_placed_ ? kSector / std::gcd(kSector, box * pitch_) : 1;
    const int64_t kinds = std::min(begins, beyond - inside);
    for (int64_t tile = first; tile < inside; ++tile) add_tile(tile, 1);
    for (int64_t i = 0; i < kinds; ++i) {
      add_tile(inside + i, to_double(beyond - inside) / to_double(kinds));
    }
    for (int64_t tile = beyond; tile < end; ++tile) add_tile(tile, 1);
    return sum_;
  }

 private:
  void add_tile(int64_t tile, double times) {
    const int64_t step = axis_.input_step, subgrids = std::min(step, kSector);  // more are alike
    for (int64_t i = 0; i < subgrids; ++i) {
      add_window(((tile << axis_.log_box) * step) + i + origin_,
                 times * to_double(step) / to_double(subgrids));
    }
  }
  void add_window(int64_t corner, double times) {
    const int64_t step = axis_.input_step;
    const int64_t first = corner >= 0 ? 0 : ceil_div(-corner, step);
    const int64_t end = corner >= axis_.in ? 0 : ceil_div(axis_.in - corner, step);
    const int64_t count = std::min<int64_t>(end, axis_.window.divisor) - first;
    if (count <= 0) return;
    const int64_t run = (count - 1) * step * pitch_ + bytes_;
    const int64_t begin = (corner + first * step) * pitch_ % kSector;
    const double sectors = is_placed_ ? to_double(ceil_div(begin + run, kSector))
                                      : sectors_of(to_double(run), run_alignment_);
    sum_.pixels += times * to_double(count);
    sum_.sectors += times * std::min(sectors, to_double(count) * alone_);
  }

  const GridAxis& axis_;
  int64_t origin_, pitch_, bytes_;
  bool is_placed_;
  double run_alignment_, alone_;
  AxisWindows sum_;
};

/// Sectors for one of many rows of channels, `pitch` bytes from one to the next, chunk by chunk.
/// Rows that one request copies, in pieces of `vector_bytes`, share sectors.
double sectors_of_channels(const Tile& tile, int64_t bytes, int64_t pitch, int64_t vector_bytes,
                           int64_t alignment) {
  const int64_t rows = std::max<int64_t>(1, kLanes * vector_bytes / tile.row_bytes);
  const auto row = [&](int64_t part) {
    const double alone = sectors_of(to_double(part), to_double(alignment));
    const double together = sectors_of(to_double((rows - 1) * pitch + part), to_double(alignment));
    return std::min(alone, together / to_double(rows));
  };
  const int64_t chunks = bytes / tile.row_bytes, rest = bytes % tile.row_bytes;
  return to_double(chunks) * row(tile.row_bytes) + (rest > 0 ? row(rest) : 0);
}

/// One plane of all M tiles' windows: lanes are neighbouring pixels or pairs of them.
double sectors_of_plane(const Problem& problem, const Params& p, const CtaSubGemms& group) {
  const int64_t bytes = element_bytes(problem);
  const int64_t alignment = row_alignment(problem, p, false);
  const AxisWindows w = AxisRuns(p.w, group.origin_w, p.input_w, bytes, alignment).sum();
  const bool whole_rows = p.w.tiles == 1 && p.w.input_step == 1 && w.pixels == p.w.in &&
                          p.h.input_step == 1 && p.input_h == p.w.in * bytes;
  // Rows that lie end to end are one run.
  const int64_t run = whole_rows ? p.input_h : bytes;
  const int64_t run_alignment = whole_rows ? std::gcd(alignment, p.input_c) : alignment;
  const AxisWindows h = AxisRuns(p.h, group.origin_h, p.input_h, run, run_alignment).sum();
  const double sectors = whole_rows ? h.sectors : h.pixels * w.sectors;
  // Requests end anywhere in a window: of these ends, as many lie within runs as pixels do.
  const int64_t at_once = kLanes * (p.pixel_pairs != 0 ? 2 : 1);
  const int64_t window = int64_t{p.h.window.divisor} * p.w.window.divisor;
  const bool cut = at_once % p.w.window.divisor != 0 || whole_rows;
  const double cuts = cut ? cuts_of(window, at_once, bytes) / to_double(window) : 0;
  return to_double(p.batch) * (sectors + cuts * h.pixels * w.pixels);
}

double window_sectors(const Problem& problem, const Tile& tile, const Params& p) {
  const int64_t channels = problem.in_c_per_group();
  // From one pixel of a window to the next that exists.
  const int64_t pitch = p.w.in > 1   ? p.w.input_step * p.input_w
                        : p.h.in > 1 ? p.h.input_step * p.input_h
                                     : p.input_n;
  double sectors = 0;
  for (const CtaSubGemms& group : std::span(p.groups, static_cast<std::size_t>(p.group_count))) {
    const double n_tiles = group.end_n_tile - group.first_n_tile;
    if (p.input_channels_last == 0) {
      sectors += n_tiles * sectors_of_plane(problem, p, group) * to_double(channels);
      continue;
    }
    const AxisWindows h = AxisRuns(p.h, group.origin_h, 1, 1, 1).sum();
    const AxisWindows w = AxisRuns(p.w, group.origin_w, 1, 1, 1).sum();
    sectors += n_tiles * to_double(p.batch) * h.pixels * w.pixels *
               sectors_of_channels(tile, p.channel_bytes, pitch, p.vector_bytes,
                                   row_alignment(problem, p, true));
  }
  return sectors;
}

/// The filters of one tap and of all columns of a group's repetition that exist, in the order HWOI:
/// of each column a row of channels.
double sectors_of_columns(const Tile& tile, const Params& p, int64_t columns) {
  int64_t alignment = std::gcd(kSector, int64_t{p.filter_row});
  if (p.conv_groups > 1) alignment = std::gcd(alignment, int64_t{p.channel_bytes});
  return to_double(columns) *
         sectors_of_channels(tile, p.channel_bytes, p.filter_row, p.filter_vector_bytes, alignment);
}

/// Likewise in the order IHWO: of each channel and tile the columns that lie side by side.
double sectors_of_ihwo(const Tile& tile, const Params& p, const CtaSubGemms& group,
                       int64_t columns) {
  constexpr int64_t kBytes = 2;  // of an element: see filter_order
  const bool planes = p.channels_last == 0;
  const int64_t phases = planes ? columns / p.out_channels.divisor : 1;
  const int64_t width = planes ? int64_t{1} << group.log_channels : tile.n;
  const int64_t alignment = std::gcd(std::gcd(kSector, int64_t{p.filter_row}), width * kBytes);
  const auto run = [&](int64_t count) {
    return sectors_of(to_double(count * kBytes), to_double(alignment)) +
           cuts_of(count * kBytes, kLanes * p.filter_vector_bytes, p.filter_vector_bytes);
  };
  const int64_t side_by_side = columns / phases, rest = side_by_side % width;
  const double sectors = to_double(side_by_side / width) * run(width) + (rest > 0 ? run(rest) : 0);
  return to_double(p.channel_bytes / kBytes * phases) * sectors;
}

double filter_sectors(const Tile& tile, const Params& p, const CtaSubGemms& group) {
  const int64_t columns = p.sub_gemms[group.first_sub_gemm].columns;
  return p.filters_ihwo != 0 ? sectors_of_ihwo(tile, p, group, columns)
                             : sectors_of_columns(tile, p, columns);
}

/// Sectors of the outputs of a row of `positions`, over those of its bytes alone: of each a run of
/// `run` bytes, `pitch` from one to the next. One store instruction after the other writes them,
/// runs that share a sector at once.
double moved_over_useful(double run, double pitch, double positions, bool aligned) {
  const auto sectors = [&](double bytes) { return sectors_of(bytes, aligned ? kSector : 2); };
  const double together = sectors((positions - 1) * pitch + run);
  const double moved = std::min(positions * sectors(run), together);
  return std::max(1.0, moved * kSector / (positions * run));
}

/// Of a group.
double moved_over_useful(const Tile& tile, const Params& p, const CtaSubGemms& group,
                         double element) {
  const SubGemm& sub_gemm = p.sub_gemms[group.first_sub_gemm];
  const int32_t channels = p.out_channels.divisor, phases = sub_gemm.columns / channels;
  const bool planes = p.channels_last == 0, aligned = p.vec16_stores != 0;
  const bool pixels_touch = planes || p.conv_groups == 1;
  const int32_t together = planes ? std::min(phases, tile.n >> group.log_channels) : phases;
  const bool tile_has_all = planes ? together == phases : sub_gemm.columns <= tile.n;
  const bool line = group.sub_gemms_per_line * phases == p.w.stride && tile_has_all &&
                    p.w.input_step == 1 && pixels_touch;
  const double positions =
      to_double(std::min(int64_t{1} << p.w.log_box, ceil_div(p.w.positions, p.w.input_step)));
  const double pixel = element * (planes ? 1 : channels);
  const double pitch = element * to_double(int64_t{p.w.stride} * p.w.input_step * p.output_w);
  if (line) return moved_over_useful(pixel * p.w.stride, pitch, positions, aligned);
  const double run = pixel * (pixels_touch && sub_gemm.column_step == 1 ? together : 1);
  const double stored = planes ? run : std::min(run, element * tile.n);
  return moved_over_useful(stored, pitch, positions, aligned);
}

/// How many boxes along an axis, of 1 << log_box positions, have a position that exists and whose
/// tap, `t` steps behind the window's first pixel, lies in the input. Position 0's is at `origin`.
double useful_boxes(const GridAxis& axis, int log_box, int64_t origin, int64_t t) {
  const int64_t step = axis.input_step;
  double count = 0;
  for (int64_t subgrid = 0; subgrid < step; ++subgrid) {
    // Position i of the subgrid reads input  (i + t)*step + subgrid + origin.
    const int64_t first = std::max<int64_t>(ceil_div(-subgrid - origin, step) - t, 0);
    const int64_t end = std::min(ceil_div(axis.in - subgrid - origin, step) - t,
                                 ceil_div(axis.positions - subgrid, step));
    if (first < end) {
      count += static_cast<double>(((end - 1) >> log_box) - (first >> log_box) + 1);
    }
  }
  return count;
}

/// How often each sector of the outputs is written: a lane stores a run of 8 f32 in two halves, and
/// the instruction of either touches all of the warp's sectors. (Of activations as in is_quick of
/// common/epilogue.cuh: other outputs are stored one by one.)
double writes_of_a_sector(const Problem& problem, const Params& p, double element) {
  const Activation activation = problem.desc().activation;
  const bool is_quick = activation == Activation::identity || activation == Activation::relu ||
                        activation == Activation::leaky_relu || activation == Activation::clamp;
  const bool runs = p.vec16_stores != 0 && (is_quick || p.split_k > 1);
  return runs && element == 4 ? 2 : 1;
}

Taps taps_of(const Tile& tile, Taps taps, const CtaSubGemms& group) {
  const int count = group.iterations * tile.sub_gemms;
  return taps.subspan(static_cast<std::size_t>(group.first_tap), static_cast<std::size_t>(count));
}

}  // namespace

double useful_taps(const Tile& tile, const Params& p, Taps taps, const CtaSubGemms& group,
                   const Box& box) {
  // Rows and columns of taps apart, each counted once: many taps share them.
  std::array<double, kMaxTaps + 1> rows, columns;
  rows.fill(-1), columns.fill(-1);
  const auto count = [](auto& known, const GridAxis& axis, int log_box, int64_t origin,
                        uint32_t t) {
    double& boxes = known[t];
    if (boxes < 0) boxes = useful_boxes(axis, log_box, origin, t);
    return boxes;
  };
  const auto batch_boxes = static_cast<double>(ceil_div(p.batch, int64_t{1} << box.n));
  double sum = 0;
  for (const WindowTap& tap : taps_of(tile, taps, group)) {
    if (!tap.exists) continue;
    sum += count(rows, p.h, box.h, group.origin_h, tap.h) *
           count(columns, p.w, box.w, group.origin_w, tap.w) * batch_boxes;
  }
  return sum;
}

double count_taps(const Tile& tile, Taps taps, const CtaSubGemms& group) {
  return to_double(std::ranges::count_if(taps_of(tile, taps, group), &WindowTap::exists));
}

double output_bytes(const Problem& problem, const Tile& tile, const Params& p) {
  const bool split = p.split_k > 1;
  const auto element = static_cast<double>(split ? 4 : size_of(problem.desc().output_dtype));
  const auto all = static_cast<double>(problem.output_extents().count()) * element * p.split_k;
  double share = 0, weight = 0;
  for (const CtaSubGemms& group : std::span(p.groups, static_cast<std::size_t>(p.group_count))) {
    const double n_tiles = group.end_n_tile - group.first_n_tile;
    share += n_tiles * moved_over_useful(tile, p, group, element);
    weight += n_tiles;
  }
  const double moved =
      all * (weight > 0 ? share / weight : 1) * writes_of_a_sector(problem, p, element);
  return split ? moved + all : moved * (problem.desc().has_residual ? 2 : 1);
}

L2Bytes l2_traffic(const Problem& problem, const Tile& tile, const Params& p, Taps taps) {
  const Box box = {p.log_box_n, p.h.log_box, p.w.log_box};
  double filters = 0;
  for (const CtaSubGemms& group : std::span(p.groups, static_cast<std::size_t>(p.group_count))) {
    const int64_t repeats = (group.end_n_tile - group.first_n_tile) / group.n_tiles_per_repeat;
    const double copies = p.persistent_filters != 0 ? count_taps(tile, taps, group) * p.m_tile_step
                                                    : useful_taps(tile, p, taps, group, box);
    filters += to_double(repeats) * copies * filter_sectors(tile, p, group);
  }
  const auto conv_groups = static_cast<double>(p.conv_groups);
  return {.input = conv_groups * kSector * window_sectors(problem, tile, p),
          .filters = conv_groups * kSector * filters,
          .output = output_bytes(problem, tile, p)};
}

}  // namespace tconv::host::igemm
