// SPDX-License-Identifier: Apache-2.0
// copy_counters.cpp: see copy_counters.h. Follows Producer
// (src/cuda/igemm_sm80/producer.cuh).
#include "src/cuda/igemm_sm80/copy_counters.h"

#include <algorithm>

#include "src/host/problem/axis.h"

namespace tconv::host::igemm {
namespace {

constexpr int64_t kIhwoBytes = 2;  // of an element: see igemm_filter_order

int64_t place_in_sector(int64_t address) {
  return (address % kSectorBytes + kSectorBytes) % kSectorBytes;
}

/// Pixels [first, end) of a window that lie inside the input, and the place of pixel 0.
using AxisKinds = Kinds<int64_t, int64_t, int64_t>;

AxisKinds axis_windows(const IgemmAxis& axis, int64_t origin, int64_t stride_bytes) {
  AxisKinds kinds;
  const int64_t step = axis.input_step;
  for (int64_t tile = 0; tile < axis.tiles; ++tile) {
    for (int64_t subgrid = 0; subgrid < step; ++subgrid) {
      const int64_t corner = (tile << axis.log_box) * step + subgrid + origin;
      const int64_t first = corner >= 0 ? 0 : ceil_div(-corner, step);
      const int64_t end = corner >= axis.in ? 0 : ceil_div(axis.in - corner, step);
      kinds[{std::min<int64_t>(first, axis.window.divisor),
             std::min<int64_t>(end, axis.window.divisor),
             place_in_sector(corner * stride_bytes)}] += 1;
    }
  }
  return kinds;
}

/// Images of a box that exist, and the place of the first.
Kinds<int64_t, int64_t> batch_windows(const IgemmParams& p) {
  Kinds<int64_t, int64_t> kinds;
  const int64_t box = int64_t{1} << p.log_box_n;
  for (int64_t n = 0; n < p.batch; n += box) {
    kinds[{std::min(box, p.batch - n), place_in_sector(n * p.input_n)}] += 1;
  }
  return kinds;
}

/// Rows of channels that warps copy, neighbouring lanes neighbouring pieces.
class RowCopies {
 public:
  RowCopies(int64_t row_bytes, int64_t access) : row_bytes_(row_bytes), access_(access) {}

  /// The next row, of `bytes`; 0: zeros, which nothing is read for.
  void add(int64_t address, int64_t bytes) {
    for (int64_t at = 0; at < row_bytes_; at += access_) add_piece(address + at, at < bytes);
  }
  void add_piece(int64_t address, bool exists) {
    if (exists) request_.add(address);
    if (++seen_ % kLanes == 0) flush();
  }
  PredictedRequests finish() {
    flush();
    return sum_;
  }

 private:
  void flush() {
    request_.add_to(sum_);
    request_ = {};
  }

  int64_t row_bytes_, access_, seen_ = 0;
  WarpRequest request_;
  PredictedRequests sum_;
};

/// Bytes of a row in each chunk of channels: all chunks but the last have the same. Chunks begin at
/// multiples of a sector.
struct Chunks {
  Chunks(const IgemmTile& tile, const IgemmParams& p)
      : full(tile.row_bytes),
        full_count(static_cast<double>(ceil_div(p.channel_bytes, tile.row_bytes) - 1)),
        last(p.channel_bytes - static_cast<int64_t>(full_count) * full) {}

  /// `count(bytes)` of each.
  template <typename Count>
  PredictedRequests sum(Count&& count) const {
    PredictedRequests result = count(last);
    if (full_count > 0) {
      const PredictedRequests one = count(full);
      result.requests += full_count * one.requests;
      result.sectors += full_count * one.sectors;
    }
    return result;
  }

  int64_t full;
  double full_count;
  int64_t last;
};

void add(PredictedRequests& sum, const PredictedRequests& one, double times) {
  sum.requests += times * one.requests;
  sum.sectors += times * one.sectors;
}

/// Pixels that exist on each axis: [first, end).
struct Inside {
  int64_t first_h, end_h, first_w, end_w, images;
};

/// Calls `visit(address, exists)` for each pixel of a window, in order.
template <typename Visit>
void visit_pixels(const IgemmParams& p, const Inside& inside, int64_t place, Visit&& visit) {
  const auto within = [](int64_t i, int64_t first, int64_t end) { return i >= first && i < end; };
  for (int64_t n = 0; n < int64_t{1} << p.log_box_n; ++n) {
    for (int64_t h = 0; h < p.h.window.divisor; ++h) {
      const bool row = n < inside.images && within(h, inside.first_h, inside.end_h);
      for (int64_t w = 0; w < p.w.window.divisor; ++w) {
        visit(
            place + n * p.input_n + h * p.h.input_step * p.input_h + w * p.w.input_step * p.input_w,
            row && within(w, inside.first_w, inside.end_w));
      }
    }
  }
}

/// NHWC: chunks of channels, pixel after pixel.
PredictedRequests window_copies(const IgemmTile& tile, const IgemmParams& p, const Inside& inside,
                                int64_t place, int64_t bytes) {
  RowCopies copies(tile.row_bytes, p.access);
  visit_pixels(p, inside, place,
               [&](int64_t address, bool exists) { copies.add(address, exists ? bytes : 0); });
  return copies.finish();
}

/// NCHW: one channel of a window, a lane a pixel or a pair, which exists as a whole or not at all.
PredictedRequests plane_loads(const IgemmParams& p, const Inside& inside, int64_t place) {
  PredictedRequests sum;
  WarpRequest request;
  const int64_t at_once = p.pixel_pairs != 0 ? 2 : 1;
  int64_t seen = 0;
  visit_pixels(p, inside, place, [&](int64_t address, bool exists) {
    if (exists) request.add(address);
    if (++seen % (kLanes * at_once) != 0) return;
    request.add_to(sum);
    request = {};
  });
  request.add_to(sum);
  return sum;
}

/// The requests of one window, each kind of window counted once.
class WindowKinds {
 public:
  WindowKinds(const IgemmTile& tile, const IgemmParams& p) : tile_(tile), p_(p), chunks_(tile, p) {}

  const PredictedRequests& of(const Inside& inside, int64_t place) {
    const auto [found, is_new] = known_.try_emplace(
        {inside.first_h, inside.end_h, inside.first_w, inside.end_w, inside.images, place});
    if (is_new) found->second = count(inside, place);
    return found->second;
  }

 private:
  PredictedRequests count(const Inside& inside, int64_t place) const {
    if (p_.input_channels_last == 0) return plane_loads(p_, inside, place);
    return chunks_.sum(
        [&](int64_t bytes) { return window_copies(tile_, p_, inside, place, bytes); });
  }

  const IgemmTile& tile_;
  const IgemmParams& p_;
  Chunks chunks_;
  std::map<std::array<int64_t, 6>, PredictedRequests> known_;
};

/// The filters of one tap and chunk, from the first column on: `bytes` of channels.
PredictedRequests filter_copies(const IgemmTile& tile, const IgemmParams& p, int64_t place,
                                const TileColumns& columns, int64_t bytes) {
  const auto column_at = [&](int64_t i) {
    return i / columns.width * p.out_channels.divisor + i % columns.width;
  };
  const auto exists = [&](int64_t i) {
    return i / columns.width < columns.phases && i % columns.width < columns.channels;
  };
  if (p.filters_ihwo == 0) {
    RowCopies copies(tile.row_bytes, p.filter_access);
    for (int64_t i = 0; i < tile.n; ++i) {
      copies.add(place + column_at(i) * p.filter_row, exists(i) ? bytes : 0);
    }
    return copies.finish();
  }
  const int64_t row_bytes = tile.n * kIhwoBytes;
  RowCopies copies(row_bytes, p.filter_access);
  for (int64_t channel = 0; channel < bytes / kIhwoBytes; ++channel) {
    for (int64_t at = 0; at < row_bytes; at += p.filter_access) {
      const int64_t i = at / kIhwoBytes;
      copies.add_piece(place + channel * p.filter_row + column_at(i) * kIhwoBytes, exists(i));
    }
  }
  return copies.finish();
}

}  // namespace

TileColumns::TileColumns(const IgemmTile& tile, const IgemmParams& p, const IgemmGroup& group,
                         int64_t unit) {
  const int64_t column = unit % group.column_tiles, out = p.out_channels.divisor;
  const int64_t columns = p.slots[group.first_slot].columns;
  first_phase = first_channel = 0;
  if (p.channels_last != 0) {
    first_column = column * tile.n;
    width = tile.n;
    phases = 1;
    channels = std::min<int64_t>(tile.n, columns - first_column);
    return;
  }
  width = int64_t{1} << group.log_channels;
  first_phase = column / group.channel_tiles * (tile.n / width);
  first_channel = column % group.channel_tiles * width;
  first_column = first_phase * out + first_channel;
  phases = std::min(tile.n / width, columns / out - first_phase);
  channels = std::min(width, out - first_channel);
}

double useful_parts(const IgemmTile& tile, const IgemmParams& p, const IgemmGroup& group,
                    const IgemmPart& part, int i) {
  const uint32_t window = p.taps[group.first_tap + i].window;
  if ((window & kIgemmNoTap) != 0) return 0;
  const int64_t row = window / static_cast<uint32_t>(tile.row_bytes);
  return igemm_useful_parts(p.h, part.h, group.origin_h, row / p.pitch) *
         igemm_useful_parts(p.w, part.w, group.origin_w, row % p.pitch) *
         static_cast<double>(ceil_div(p.batch, int64_t{1} << part.n));
}

Kinds<int64_t> places(int64_t count, int64_t step) {
  Kinds<int64_t> kinds;
  if (step % kSectorBytes == 0) {
    kinds[{0}] = static_cast<double>(count);
    return kinds;
  }
  for (int64_t i = 0; i < count; ++i) kinds[{place_in_sector(i * step)}] += 1;
  return kinds;
}

PredictedRequests count_windows(const IgemmTile& tile, const IgemmParams& p, int64_t planes) {
  PredictedRequests sum;
  WindowKinds windows(tile, p);
  // What is read at once: all channels of a group, or one channel.
  const auto starts = p.input_channels_last != 0 ? places(p.conv_groups, p.channel_bytes)
                                                 : places(planes, p.input_c);
  const auto images = batch_windows(p);
  for (int g = 0; g < p.group_count; ++g) {
    const IgemmGroup& group = p.groups[g];
    const double units = group.end_unit - group.first_unit;
    const AxisKinds all_h = axis_windows(p.h, group.origin_h, p.input_h);
    const AxisKinds all_w = axis_windows(p.w, group.origin_w, p.input_w);
    for (const auto& [n, times_n] : images) {
      for (const auto& [h, times_h] : all_h) {
        for (const auto& [w, times_w] : all_w) {
          for (const auto& [c, times_c] : starts) {
            const auto [first_h, end_h, place_h] = h;
            const auto [first_w, end_w, place_w] = w;
            const auto [count_n, place_n] = n;
            add(sum,
                windows.of({first_h, end_h, first_w, end_w, count_n},
                           place_in_sector(place_n + place_h + place_w + std::get<0>(c))),
                units * times_n * times_h * times_w * times_c);
          }
        }
      }
    }
  }
  return sum;
}

PredictedRequests count_filters(const IgemmTile& tile, const IgemmParams& p) {
  PredictedRequests sum;
  const Chunks chunks(tile, p);
  const IgemmPart box = {p.log_box_n, p.h.log_box, p.w.log_box};
  const bool ihwo = p.filters_ihwo != 0;
  const int64_t column_bytes = ihwo ? kIhwoBytes : p.filter_row;
  const auto conv_groups =
      places(p.conv_groups, ihwo ? p.channel_bytes / kIhwoBytes * p.filter_row : p.channel_bytes);
  // By the place of the first column and the columns that exist. Chunks of channels begin at the
  // same place in a sector in either order: 32 rows and more of 2 bytes and more lie between them.
  std::map<std::array<int64_t, 4>, PredictedRequests> known;
  const auto tap_of = [&](int64_t place, const TileColumns& columns) {
    const auto [found, is_new] =
        known.try_emplace({place, columns.width, columns.phases, columns.channels});
    if (is_new) {
      found->second =
          chunks.sum([&](int64_t bytes) { return filter_copies(tile, p, place, columns, bytes); });
    }
    return found->second;
  };
  for (int g = 0; g < p.group_count; ++g) {
    const IgemmGroup& group = p.groups[g];
    for (int unit = 0; unit < group.end_unit - group.first_unit; ++unit) {
      const TileColumns columns(tile, p, group, unit);
      const int64_t repeat = unit / group.column_tiles;
      for (int i = 0; i < group.iterations * tile.slots; ++i) {
        const IgemmTap& tap = p.taps[group.first_tap + i];
        // Stationary, each block copies all of them once, whatever its boxes meet.
        const bool exists = (tap.window & kIgemmNoTap) == 0;
        const double copies = p.stationary == 0 ? useful_parts(tile, p, group, box, i)
                              : exists          ? p.box_step
                                                : 0;
        if (copies == 0) continue;
        const int64_t start =
            columns.first_column * column_bytes + repeat * group.repeat_filter + tap.filter;
        for (const auto& [c, times] : conv_groups) {
          add(sum, tap_of(place_in_sector(start + std::get<0>(c)), columns), copies * times);
        }
      }
    }
  }
  return sum;
}

}  // namespace tconv::host::igemm
