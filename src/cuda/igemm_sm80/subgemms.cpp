// SPDX-License-Identifier: Apache-2.0
// subgemms.cpp: see subgemms.h.
#include "src/cuda/igemm_sm80/subgemms.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace tconv::host::igemm {
namespace {

uint32_t to_uint32(int64_t x) { return static_cast<uint32_t>(x); }

void leave_out_phases_without_output(AxisDecomposition& axis) {
  for (WindowClass& c : axis.classes) {
    const int64_t room = axis.axis.out - c.first_phase;
    c.phase_count = room <= 0 ? 0 : std::min(c.phase_count, ceil_div(room, c.phase_step));
  }
  std::erase_if(axis.classes, [](const WindowClass& c) { return c.phase_count == 0; });
}

/// Windows of one tap are dense whatever the dilation.
int64_t input_step(const AxisDecomposition& axis) {
  int64_t step = 1;
  for (const WindowClass& c : axis.classes) {
    if (c.tap_count > 1) step = c.input_step;
  }
  return step;
}

constexpr int64_t kFewPhases = 4;

/// A sub-GEMM before it has a place.
struct Source {
  const WindowClass *h, *w;
  int64_t j;        ///< phase of H within its class
  int64_t repeats;  ///< 1, or all phases of the class of H
  int64_t j_w = 0,
          phases_w = 0;  ///< likewise of W: the first, and how many are columns side by side

  int64_t taps() const { return h->tap_count * w->tap_count; }
  int64_t phase_h() const { return h->first_phase + h->phase_step * j; }
  int64_t phase_w() const { return w->first_phase + w->phase_step * j_w; }
};
using Sources = std::span<const Source>;

/// One sub-GEMM a block: a pair of window classes, repeated for each phase of H.
std::vector<Source> class_sub_gemms(const PhaseSource& source) {
  std::vector<Source> sub_gemms;
  for (const WindowClass& h : source.h.classes) {
    for (const WindowClass& w : source.w.classes) {
      sub_gemms.push_back({&h, &w, 0, h.phase_count, 0, w.phase_count});
    }
  }
  return sub_gemms;
}

/// Appends the sub-GEMMs of one phase of H: a window class of W each. In NCHW the few phases of a
/// class are sub-GEMMs of their own: they are neighbours in the output, and as columns they would
/// be blocks apart (rectangle_of).
void add_phase(const PhaseSource& source, const WindowClass& h, int64_t j,
               std::vector<Source>& sub_gemms) {
  const bool planes = source.problem.desc().layout == Layout::nchw;
  for (const WindowClass& w : source.w.classes) {
    const int64_t together = planes && w.phase_count < kFewPhases ? 1 : w.phase_count;
    for (int64_t j_w = 0; j_w < w.phase_count; j_w += together) {
      sub_gemms.push_back({&h, &w, j, 1, j_w, together});
    }
  }
}

/// Several sub-GEMMs a block: those of each phase of H.
std::vector<Source> phase_sub_gemms(const PhaseSource& source) {
  std::vector<Source> sub_gemms;
  for (const WindowClass& h : source.h.classes) {
    for (int64_t j = 0; j < h.phase_count && sub_gemms.size() <= kMaxSubGemms; ++j) {
      add_phase(source, h, j, sub_gemms);
    }
  }
  return sub_gemms;
}

/// The warps of sub-GEMMs 0 and 2 share two of an SM's four schedulers, those of 1 and 3 the
/// others: the sub-GEMM with the fewest taps goes with the one that has most.
void balance(std::vector<Source>& sub_gemms) {
  if (sub_gemms.size() != 4) return;
  std::ranges::stable_sort(sub_gemms, std::ranges::greater(), &Source::taps);
  std::swap(sub_gemms[2], sub_gemms[3]);
}

/// The filters of a block are copied with one count of columns for all its sub-GEMMs.
bool same_columns(Sources sub_gemms, std::size_t per_group) {
  for (std::size_t i = 0; i < sub_gemms.size(); ++i) {
    if (sub_gemms[i].phases_w != sub_gemms[i - i % per_group].phases_w) return false;
  }
  return true;
}

/// Input pixels that position 0 of subgrid 0 reads on one axis.
struct Reads {
  int64_t low, high;
};
Reads reads_of(Sources group, const WindowClass* Source::*axis) {
  Reads reads = {(group[0].*axis)->shift, (group[0].*axis)->shift};
  for (const Source& sub_gemm : group) {
    const WindowClass& c = *(sub_gemm.*axis);
    reads.low = std::min(reads.low, c.shift - c.input_step * (c.tap_count - 1));
    reads.high = std::max(reads.high, c.shift);
  }
  return reads;
}

int64_t iterations_of(Sources group) { return std::ranges::max(group, {}, &Source::taps).taps(); }

/// Columns of a tile in NCHW: phases of W times channels.
struct Rectangle {
  int64_t channels, tiles;
};

/// As few tiles as can be, and then as many phases: they are neighbours in the output. A pass of
/// the threads over the filters takes whole phases, or a phase is all of a tile.
Rectangle rectangle_of(const Tile& tile, int64_t phases, int64_t channels, int64_t narrowest) {
  const auto tiles = [&](int64_t wide) {
    return ceil_div(phases, tile.n / wide) * ceil_div(channels, wide);
  };
  Rectangle best = {tile.n, tiles(tile.n)};
  const int64_t rows_per_pass = tile.threads() / (tile.row_bytes / 16);
  for (int64_t wide = rows_per_pass; wide >= narrowest; wide /= 2) {
    const bool more_phases = tile.n / best.channels < phases;
    if (tiles(wide) < best.tiles || (tiles(wide) == best.tiles && more_phases)) {
      best = {wide, tiles(wide)};
    }
  }
  return best;
}

/// Appends groups to the parameters.
class Appender {
 public:
  Appender(const PhaseSource& source, const Tile& tile, Params& params, Window& window)
      : source_(source), tile_(tile), params_(params), window_(window) {}

  void add(Sources group) {
    const Reads h = reads_of(group, &Source::h);
    Reads w = reads_of(group, &Source::w);
    if (params_.pixel_pairs != 0) w.low -= floor_mod(w.low, 2);  // windows begin with a pair
    window_.halo_h = std::max(window_.halo_h, (h.high - h.low) / source_.step_h);
    window_.halo_w = std::max(window_.halo_w, (w.high - w.low) / source_.step_w);
    CtaSubGemms& made = params_.groups[params_.group_count++];
    made = {.first_sub_gemm = sub_gemm_count_,
            .first_tap = tap_count_,
            .end_tap = 0,
            .iterations = to_int32(iterations_of(group)),
            .origin_h = to_int32(h.low),
            .origin_w = to_int32(w.low),
            .n_tiles_per_repeat = 0,
            .log_channels = 0,
            .channel_tiles = 0,
            .sub_gemms_per_line = 0,
            .line_order = 0,
            .first_n_tile = params_.n_tiles,
            .end_n_tile = 0,
            .repeat_phase = to_int32(group[0].h->phase_step),
            .repeat_filter = to_uint32(filter_offset(1, 0))};
    made.end_tap = tap_count_ + made.iterations * tile_.sub_gemms;
    window_.taps.resize(static_cast<uint32_t>(made.end_tap));
    for (std::size_t i = 0; i < group.size(); ++i) {
      add_sub_gemm(group[i]);
      add_taps(group[i], static_cast<int64_t>(i), made, h.low, w.low);
    }
    tap_count_ = made.end_tap;
    add_columns(group[0].phases_w, made);
    add_lines(group, made);
    params_.n_tiles += to_int32(group[0].repeats) * made.n_tiles_per_repeat;
    made.end_n_tile = params_.n_tiles;
  }

 private:
  /// Byte offset of filter row (r, s, k = 0).
  int64_t filter_offset(int64_t r, int64_t s) const {
    const FilterStrides strides = filter_strides(source_.problem);
    return (r * strides.r + s * strides.s) * element_bytes(source_.problem);
  }

  void add_columns(int64_t phases, CtaSubGemms& made) const {
    const int64_t channels = source_.problem.out_c_per_group();
    if (params_.channels_last != 0) {
      made.n_tiles_per_repeat = to_int32(ceil_div(phases * channels, tile_.n));
      return;
    }
    // In IHWO a copy's chunk of 8 columns lies within a phase.
    const int64_t narrowest = params_.filters_ihwo != 0 ? 8 : 1;
    const Rectangle best = rectangle_of(tile_, phases, channels, narrowest);
    made.log_channels = std::countr_zero(static_cast<unsigned>(best.channels));
    made.channel_tiles = to_int32(ceil_div(channels, best.channels));
    made.n_tiles_per_repeat = to_int32(best.tiles);
  }

  /// The sub-GEMMs by phase of H, then W, and how many neighbours in that order have the same phase
  /// of H.
  void add_lines(Sources group, CtaSubGemms& made) const {
    std::vector<int> order(group.size());
    std::iota(order.begin(), order.end(), 0);
    const auto sub_gemm = [&](int i) -> const Source& {
      return group[static_cast<std::size_t>(i)];
    };
    std::ranges::sort(
        order, {}, [&](int i) { return std::pair(sub_gemm(i).phase_h(), sub_gemm(i).phase_w()); });
    for (std::size_t i = order.size(); i-- > 0;) {
      made.line_order = made.line_order << 4 | static_cast<uint32_t>(order[i]);
    }
    for (int n = tile_.sub_gemms; n > 0 && made.sub_gemms_per_line == 0; n /= 2) {
      bool alike = true;
      for (std::size_t i = 0; i < order.size(); ++i) {
        const std::size_t first = i - i % static_cast<std::size_t>(n);
        alike = alike && sub_gemm(order[i]).phase_h() == sub_gemm(order[first]).phase_h();
      }
      if (alike) made.sub_gemms_per_line = n;
    }
  }

  void add_sub_gemm(const Source& sub_gemm) {
    SubGemm& made = params_.sub_gemms[sub_gemm_count_++];
    made = {.phase_h = to_int32(sub_gemm.phase_h()),
            .phase_w = to_int32(sub_gemm.phase_w()),
            .columns = to_int32(sub_gemm.phases_w * source_.problem.out_c_per_group()),
            .column_step = to_int32(sub_gemm.w->phase_step)};
  }

  /// Sub-GEMMs of the second half take their taps from the end: with balance(), no iteration then
  /// has much more to do than another.
  void add_taps(const Source& sub_gemm, int64_t index, const CtaSubGemms& group, int64_t low_h,
                int64_t low_w) {
    const bool from_end = index >= (tile_.sub_gemms + 1) / 2;
    const int64_t skipped = from_end ? group.iterations - sub_gemm.taps() : 0;
    for (int64_t i = 0; i < group.iterations; ++i) {
      const int64_t tap = i - skipped;
      const bool used = tap >= 0 && tap < sub_gemm.taps();
      window_.taps[static_cast<std::size_t>(group.first_tap + i * tile_.sub_gemms + index)] =
          used ? make_tap(sub_gemm, tap / sub_gemm.w->tap_count, tap % sub_gemm.w->tap_count, low_h,
                          low_w)
               : WindowTap{};
    }
  }

  WindowTap make_tap(const Source& sub_gemm, int64_t th, int64_t tw, int64_t low_h,
                     int64_t low_w) const {
    const int64_t h = (sub_gemm.h->shift - sub_gemm.h->input_step * th - low_h) / source_.step_h;
    const int64_t w = (sub_gemm.w->shift - sub_gemm.w->input_step * tw - low_w) / source_.step_w;
    const int64_t r = sub_gemm.h->first_tap + sub_gemm.j + sub_gemm.h->tap_step * th;
    const int64_t s = sub_gemm.w->first_tap + sub_gemm.j_w + sub_gemm.w->tap_step * tw;
    return {true, to_uint32(h), to_uint32(w), to_uint32(filter_offset(r, s))};
  }

  const PhaseSource& source_;
  const Tile& tile_;
  Params& params_;
  Window& window_;
  int32_t sub_gemm_count_ = 0, tap_count_ = 0;
};

}  // namespace

PhaseSource::PhaseSource(const Problem& p)
    : problem(p), h(decompose(p.desc().h)), w(decompose(p.desc().w)) {
  leave_out_phases_without_output(h);
  leave_out_phases_without_output(w);
  step_h = input_step(h);
  step_w = input_step(w);
}

std::string add_groups(const PhaseSource& source, const Tile& tile, Params& params,
                       Window& window) {
  std::vector<Source> sub_gemms =
      tile.sub_gemms == 1 ? class_sub_gemms(source) : phase_sub_gemms(source);
  if (sub_gemms.size() > kMaxSubGemms) {
    return "more than " + std::to_string(kMaxSubGemms) + " pairs of window classes";
  }
  const auto per_group = static_cast<std::size_t>(tile.sub_gemms);
  if (sub_gemms.size() % per_group != 0 || (tile.sub_gemms > 1 && sub_gemms.empty())) {
    return std::to_string(sub_gemms.size()) + " phases do not fill blocks of " +
           std::to_string(tile.sub_gemms);
  }
  if (tile.sub_gemms > 1 && (source.step_h > 1 || source.step_w > 1)) {
    return "the phases of a dilated filter have windows of their own";
  }
  if (!same_columns(sub_gemms, per_group))
    return "the phases of W have different numbers of columns";
  if (tile.sub_gemms == 4) balance(sub_gemms);
  int64_t taps = 0;
  for (std::size_t i = 0; i < sub_gemms.size(); i += per_group) {
    taps += iterations_of(Sources(sub_gemms).subspan(i, per_group)) * tile.sub_gemms;
  }
  if (taps > kMaxTaps) {
    return std::to_string(taps) + " taps, more than " + std::to_string(kMaxTaps);
  }
  Appender appender(source, tile, params, window);
  for (std::size_t i = 0; i < sub_gemms.size(); i += per_group) {
    appender.add(Sources(sub_gemms).subspan(i, per_group));
  }
  return "";
}

void place_taps(const Tile& tile, const Window& window, Params& params) {
  const auto pitch = static_cast<uint32_t>(params.pitch);
  const auto row_bytes = static_cast<uint32_t>(tile.row_bytes);
  for (std::size_t i = 0; i < window.taps.size(); ++i) {
    const WindowTap& tap = window.taps[i];
    const uint32_t key = tap.w + (tap.h << params.w.log_box);
    const uint32_t place = (tap.h * pitch + tap.w) * row_bytes | (key & kKeyMask);
    params.taps[i] = {.filter = tap.filter, .window = tap.exists ? place : kNoTap};
  }
}

}  // namespace tconv::host::igemm
