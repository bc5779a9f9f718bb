// SPDX-License-Identifier: Apache-2.0
// igemm_slots.cpp: see igemm_slots.h.
#include "igemm_slots.h"

#include <algorithm>
#include <functional>
#include <span>
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

/// A slot before it has a place.
struct Source {
  const WindowClass *h, *w;
  int64_t j;        ///< phase of H within its class
  int64_t repeats;  ///< 1, or all phases of the class of H
  int64_t taps() const { return h->tap_count * w->tap_count; }
};
using Sources = std::span<const Source>;

/// One slot a block: a pair of window classes, repeated for each phase of H.
std::vector<Source> class_slots(const IgemmSource& source) {
  std::vector<Source> slots;
  for (const WindowClass& h : source.h.classes) {
    for (const WindowClass& w : source.w.classes) slots.push_back({&h, &w, 0, h.phase_count});
  }
  return slots;
}

/// Several slots a block: one for each phase of H and window class of W.
std::vector<Source> phase_slots(const IgemmSource& source) {
  std::vector<Source> slots;
  for (const WindowClass& h : source.h.classes) {
    for (int64_t j = 0; j < h.phase_count && slots.size() <= kIgemmMaxSlots; ++j) {
      for (const WindowClass& w : source.w.classes) slots.push_back({&h, &w, j, 1});
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
    if (slots[i].w->phase_count != slots[i - i % per_group].w->phase_count) return false;
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

/// Appends groups to the parameters.
class Appender {
 public:
  Appender(const IgemmSource& source, const IgemmTile& tile, IgemmParams& params, IgemmHalo& halo)
      : source_(source), tile_(tile), params_(params), halo_(halo) {}

  void add(Sources group) {
    const Reads h = reads_of(group, &Source::h), w = reads_of(group, &Source::w);
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
            .first_unit = params_.units,
            .end_unit = 0,
            .repeat_phase = narrow(group[0].h->phase_step),
            .repeat_filter = bytes32(filter_offset(1, 0))};
    int32_t columns = 0;
    for (std::size_t i = 0; i < group.size(); ++i) {
      columns = std::max(columns, add_slot(group[i]));
      add_taps(group[i], static_cast<int64_t>(i), made, h.low, w.low);
    }
    tap_count_ += made.iterations * tile_.slots;
    made.end_tap = tap_count_;
    made.column_tiles = narrow(ceil_div(columns, tile_.n));
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

  int32_t add_slot(const Source& slot) {
    IgemmSlot& made = params_.slots[slot_count_++];
    made = {.phase_h = narrow(slot.h->first_phase + slot.h->phase_step * slot.j),
            .phase_w = narrow(slot.w->first_phase),
            .columns = narrow(slot.w->phase_count * source_.problem.out_c_per_group()),
            .column_step = narrow(slot.w->phase_step)};
    return made.columns;
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
    const int64_t s = slot.w->first_tap + slot.w->tap_step * tw;
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
