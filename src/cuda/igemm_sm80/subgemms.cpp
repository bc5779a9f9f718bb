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

namespace tconv::host {
namespace {

int32_t narrow(int64_t x) { return static_cast<int32_t>(x); }
uint32_t bytes32(int64_t x) { return static_cast<uint32_t>(x); }

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

/// A slot before it has a place.
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

/// One slot a block: a pair of window classes, repeated for each phase of H.
std::vector<Source> class_slots(const IgemmSource& source) {
  std::vector<Source> slots;
  for (const WindowClass& h : source.h.classes) {
    for (const WindowClass& w : source.w.classes) {
      slots.push_back({&h, &w, 0, h.phase_count, 0, w.phase_count});
    }
  }
  return slots;
}

/// Appends the slots of one phase of H: a window class of W each. In NCHW the few phases of a class
/// are slots of their own: they are neighbours in the output, and as columns they would be blocks
/// apart (rectangle_of).
void add_phase(const IgemmSource& source, const WindowClass& h, int64_t j,
               std::vector<Source>& slots) {
  const bool planes = source.problem.desc().layout == Layout::nchw;
  for (const WindowClass& w : source.w.classes) {
    const int64_t together = planes && w.phase_count < kFewPhases ? 1 : w.phase_count;
    for (int64_t j_w = 0; j_w < w.phase_count; j_w += together) {
      slots.push_back({&h, &w, j, 1, j_w, together});
    }
  }
}

/// Several slots a block: those of each phase of H.
std::vector<Source> phase_slots(const IgemmSource& source) {
  std::vector<Source> slots;
  for (const WindowClass& h : source.h.classes) {
    for (int64_t j = 0; j < h.phase_count && slots.size() <= kIgemmMaxSlots; ++j) {
      add_phase(source, h, j, slots);
    }
  }
  return slots;
}

/// The warps of slots 0 and 2 share two of an SM's four schedulers, those of 1 and 3 the others:
/// the slot with the fewest taps goes with the one that has most.
void balance(std::vector<Source>& slots) {
  if (slots.size() != 4) return;
  std::ranges::stable_sort(slots, std::ranges::greater(), &Source::taps);
  std::swap(slots[2], slots[3]);
}

/// The filters of a block are copied with one count of columns for all its slots.
bool same_columns(Sources slots, std::size_t per_group) {
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].phases_w != slots[i - i % per_group].phases_w) return false;
  }
  return true;
}

/// Input pixels that position 0 of subgrid 0 reads on one axis.
struct Reads {
  int64_t low, high;
};
Reads reads_of(Sources group, const WindowClass* Source::*axis) {
  Reads reads = {(group[0].*axis)->shift, (group[0].*axis)->shift};
  for (const Source& slot : group) {
    const WindowClass& c = *(slot.*axis);
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
Rectangle rectangle_of(const IgemmTile& tile, int64_t phases, int64_t channels, int64_t narrowest) {
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
  Appender(const IgemmSource& source, const IgemmTile& tile, IgemmParams& params, IgemmHalo& halo)
      : source_(source), tile_(tile), params_(params), halo_(halo) {}

  void add(Sources group) {
    const Reads h = reads_of(group, &Source::h);
    Reads w = reads_of(group, &Source::w);
    if (params_.pixel_pairs != 0) w.low -= floor_mod(w.low, 2);  // windows begin with a pair
    halo_.h = std::max(halo_.h, (h.high - h.low) / source_.step_h);
    halo_.w = std::max(halo_.w, (w.high - w.low) / source_.step_w);
    IgemmGroup& made = params_.groups[params_.group_count++];
    made = {.first_slot = slot_count_,
            .first_tap = tap_count_,
            .end_tap = 0,
            .iterations = narrow(iterations_of(group)),
            .origin_h = narrow(h.low),
            .origin_w = narrow(w.low),
            .column_tiles = 0,
            .log_channels = 0,
            .channel_tiles = 0,
            .slots_per_line = 0,
            .line_order = 0,
            .first_unit = params_.units,
            .end_unit = 0,
            .repeat_phase = narrow(group[0].h->phase_step),
            .repeat_filter = bytes32(filter_offset(1, 0))};
    for (std::size_t i = 0; i < group.size(); ++i) {
      add_slot(group[i]);
      add_taps(group[i], static_cast<int64_t>(i), made, h.low, w.low);
    }
    tap_count_ += made.iterations * tile_.slots;
    made.end_tap = tap_count_;
    add_columns(group[0].phases_w, made);
    add_lines(group, made);
    params_.units += narrow(group[0].repeats) * made.column_tiles;
    made.end_unit = params_.units;
  }

 private:
  /// Byte offset of filter row (r, s, k = 0).
  int64_t filter_offset(int64_t r, int64_t s) const {
    const FilterStrides strides = igemm_filter_strides(source_.problem);
    const auto element = static_cast<int64_t>(size_of(source_.problem.desc().dtype));
    return (r * strides.r + s * strides.s) * element;
  }

  void add_columns(int64_t phases, IgemmGroup& made) const {
    const int64_t channels = source_.problem.out_c_per_group();
    if (params_.channels_last != 0) {
      made.column_tiles = narrow(ceil_div(phases * channels, tile_.n));
      return;
    }
    // In IHWO a copy's chunk of 8 columns lies within a phase.
    const int64_t narrowest = params_.filters_ihwo != 0 ? 8 : 1;
    const Rectangle best = rectangle_of(tile_, phases, channels, narrowest);
    made.log_channels = std::countr_zero(static_cast<unsigned>(best.channels));
    made.channel_tiles = narrow(ceil_div(channels, best.channels));
    made.column_tiles = narrow(best.tiles);
  }

  /// The slots by phase of H, then W, and how many neighbours in that order have the same phase of
  /// H.
  void add_lines(Sources group, IgemmGroup& made) const {
    std::vector<int> order(group.size());
    std::iota(order.begin(), order.end(), 0);
    const auto slot = [&](int i) -> const Source& { return group[static_cast<std::size_t>(i)]; };
    std::ranges::sort(order, {},
                      [&](int i) { return std::pair(slot(i).phase_h(), slot(i).phase_w()); });
    for (std::size_t i = order.size(); i-- > 0;) {
      made.line_order = made.line_order << 4 | static_cast<uint32_t>(order[i]);
    }
    for (int n = tile_.slots; n > 0 && made.slots_per_line == 0; n /= 2) {
      bool alike = true;
      for (std::size_t i = 0; i < order.size(); ++i) {
        const std::size_t first = i - i % static_cast<std::size_t>(n);
        alike = alike && slot(order[i]).phase_h() == slot(order[first]).phase_h();
      }
      if (alike) made.slots_per_line = n;
    }
  }

  void add_slot(const Source& slot) {
    IgemmSlot& made = params_.slots[slot_count_++];
    made = {.phase_h = narrow(slot.phase_h()),
            .phase_w = narrow(slot.phase_w()),
            .columns = narrow(slot.phases_w * source_.problem.out_c_per_group()),
            .column_step = narrow(slot.w->phase_step)};
  }

  /// Slots of the second half take their taps from the end: with balance(), no iteration then has
  /// much more to do than another.
  void add_taps(const Source& slot, int64_t index, const IgemmGroup& group, int64_t low_h,
                int64_t low_w) {
    const bool from_end = index >= (tile_.slots + 1) / 2;
    const int64_t skipped = from_end ? group.iterations - slot.taps() : 0;
    for (int64_t i = 0; i < group.iterations; ++i) {
      const int64_t tap = i - skipped;
      const bool used = tap >= 0 && tap < slot.taps();
      params_.taps[group.first_tap + i * tile_.slots + index] =
          used ? make_tap(slot, tap / slot.w->tap_count, tap % slot.w->tap_count, low_h, low_w)
               : IgemmTap{0, kIgemmEmpty};
    }
  }

  IgemmTap make_tap(const Source& slot, int64_t th, int64_t tw, int64_t low_h,
                    int64_t low_w) const {
    const int64_t h = (slot.h->shift - slot.h->input_step * th - low_h) / source_.step_h;
    const int64_t w = (slot.w->shift - slot.w->input_step * tw - low_w) / source_.step_w;
    const int64_t r = slot.h->first_tap + slot.j + slot.h->tap_step * th;
    const int64_t s = slot.w->first_tap + slot.j_w + slot.w->tap_step * tw;
    return {.filter = bytes32(filter_offset(r, s)), .window = bytes32(h << 16 | w)};
  }

  const IgemmSource& source_;
  const IgemmTile& tile_;
  IgemmParams& params_;
  IgemmHalo& halo_;
  int32_t slot_count_ = 0, tap_count_ = 0;
};

}  // namespace

IgemmSource::IgemmSource(const Problem& p)
    : problem(p), h(decompose(p.desc().h)), w(decompose(p.desc().w)) {
  leave_out_phases_without_output(h);
  leave_out_phases_without_output(w);
  step_h = input_step(h);
  step_w = input_step(w);
}

std::string add_groups(const IgemmSource& source, const IgemmTile& tile, IgemmParams& params,
                       IgemmHalo& halo) {
  std::vector<Source> slots = tile.slots == 1 ? class_slots(source) : phase_slots(source);
  if (slots.size() > kIgemmMaxSlots) {
    return "more than " + std::to_string(kIgemmMaxSlots) + " pairs of window classes";
  }
  const auto per_group = static_cast<std::size_t>(tile.slots);
  if (slots.size() % per_group != 0 || (tile.slots > 1 && slots.empty())) {
    return std::to_string(slots.size()) + " phases do not fill blocks of " +
           std::to_string(tile.slots);
  }
  if (tile.slots > 1 && (source.step_h > 1 || source.step_w > 1)) {
    return "the phases of a dilated filter have windows of their own";
  }
  if (!same_columns(slots, per_group)) return "the phases of W have different numbers of columns";
  if (tile.slots == 4) balance(slots);
  int64_t taps = 0;
  for (std::size_t i = 0; i < slots.size(); i += per_group) {
    taps += iterations_of(Sources(slots).subspan(i, per_group)) * tile.slots;
  }
  if (taps > kIgemmMaxTaps) {
    return std::to_string(taps) + " taps, more than " + std::to_string(kIgemmMaxTaps);
  }
  Appender appender(source, tile, params, halo);
  for (std::size_t i = 0; i < slots.size(); i += per_group) {
    appender.add(Sources(slots).subspan(i, per_group));
  }
  return "";
}

}  // namespace tconv::host
