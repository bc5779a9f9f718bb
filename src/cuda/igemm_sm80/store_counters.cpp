// SPDX-License-Identifier: Apache-2.0
// store_counters.cpp: the stores of copy_counters.h. Follows Storer
// (src/cuda/igemm_sm80/store.cuh).
#include <algorithm>

#include "src/cuda/igemm_sm80/copy_counters.h"

namespace tconv::host::igemm {
namespace {

/// Boxes along an axis: outputs from the first position's phase 0 to the tensor's end, as far as
/// they matter, and the place of the first.
Kinds<int64_t, int64_t> axis_boxes(const IgemmAxis& axis, int64_t stride_bytes) {
  Kinds<int64_t, int64_t> kinds;
  const int64_t step = int64_t{axis.input_step} * axis.stride, box = step << axis.log_box;
  for (int64_t tile = 0; tile < axis.tiles; ++tile) {
    for (int64_t subgrid = 0; subgrid < axis.input_step; ++subgrid) {
      const int64_t first = tile * box + subgrid * axis.stride;
      const int64_t left = std::clamp<int64_t>(axis.out - first, 0, box);
      kinds[{left, first * stride_bytes % kSectorBytes}] += 1;
    }
  }
  return kinds;
}

Kinds<int64_t, int64_t> batch_boxes(const IgemmParams& p, int64_t stride_bytes) {
  Kinds<int64_t, int64_t> kinds;
  const int64_t box = int64_t{1} << p.log_box_n;
  for (int64_t n = 0; n < p.batch; n += box) {
    kinds[{std::min(box, p.batch - n), n * stride_bytes % kSectorBytes}] += 1;
  }
  return kinds;
}

/// One block's box in the tensor: what is left of it on each axis, from `place` on.
struct Box {
  int64_t images, left_h, left_w, place;
};

/// The stores of one unit, a block of one box: (column, slot of the row, position), or in NCHW
/// (phase, slot of the row, position, channel), and rows of other phases of H after that.
class UnitStores {
 public:
  UnitStores(const IgemmTile& tile, const IgemmParams& p, const StoredTensor& tensor,
             const IgemmGroup& group, int64_t unit)
      : tile_(tile),
        p_(p),
        tensor_(tensor),
        group_(group),
        columns_(tile, p, group, unit),
        phase_h_(unit / group.column_tiles * group.repeat_phase) {}

  PredictedRequests count(const Box& box) const {
    PredictedRequests sum;
    for (int64_t part = 0; part < tile_.warp_m / kIgemmStagedRows; ++part) {
      Warps warps(*this, sum);
      const int64_t lines = tile_.slots / group_.slots_per_line;
      for (int64_t line = 0; line < lines; ++line) {
        if (p_.channels_last == 0) {
          add_planes(box, part, line, warps);
        } else {
          add_pixels(box, part, line, warps);
        }
      }
      warps.flush();
    }
    return sum;
  }

 private:
  /// Gathers what lanes move into requests of warps.
  class Warps {
   public:
    Warps(const UnitStores& unit, PredictedRequests& sum) : unit_(unit), sum_(sum) {}
    void add(int64_t address) {
      addresses_.push_back(address);
      next();
    }
    void add_nothing() { next(); }
    void flush() {
      const int64_t bytes = unit_.tensor_.runs ? 8 * unit_.tensor_.element_bytes : 1;
      for (int64_t part = 0; part < bytes; part += 16) {
        WarpRequest request;
        for (const int64_t address : addresses_) request.add(address + part);
        request.add_to(sum_);
      }
      addresses_.clear();
      seen_ = 0;
    }

   private:
    void next() {
      if (++seen_ == kLanes) flush();
    }
    const UnitStores& unit_;
    PredictedRequests& sum_;
    std::vector<int64_t> addresses_;
    int64_t seen_ = 0;
  };

  const IgemmSlot& slot_of(int64_t line, int64_t i) const {
    const int64_t at = 4 * (line * group_.slots_per_line + i);
    return p_.slots[group_.first_slot + static_cast<int>(group_.line_order >> at & 15)];
  }

  /// The output of staged row r, `phase_w` and channel k: an address, if it exists.
  void add(const Box& box, int64_t part, int64_t r, const IgemmSlot& slot, int64_t j, int64_t k,
           Warps& warps) const {
    const int64_t m =
        r / kIgemmStagedRows * tile_.warp_m + part * kIgemmStagedRows + r % kIgemmStagedRows;
    const int64_t w = m & ((1 << p_.w.log_box) - 1);
    const int64_t h = m >> p_.w.log_box & ((1 << p_.h.log_box) - 1);
    const int64_t n = m >> (p_.w.log_box + p_.h.log_box);
    const int64_t p = h * p_.h.input_step * p_.h.stride + phase_h_ + slot.phase_h;
    const int64_t q = w * p_.w.input_step * p_.w.stride + slot.phase_w + j * slot.column_step;
    if (p >= box.left_h || n >= box.images || q >= box.left_w) return warps.add_nothing();
    warps.add(box.place + (n * tensor_.n + p * tensor_.h + q * tensor_.w + k * tensor_.c) *
                              tensor_.element_bytes);
  }

  void add_pixels(const Box& box, int64_t part, int64_t line, Warps& warps) const {
    const int64_t step = tensor_.runs ? 8 : 1, out = p_.out_channels.divisor;
    const int64_t first = columns_.first_column, end = first + columns_.channels;
    for (int64_t r = 0; r < tile_.staged_rows(); ++r) {
      for (int64_t i = 0; i < group_.slots_per_line; ++i) {
        for (int64_t c = first; c < end; c += step) {
          add(box, part, r, slot_of(line, i), c / out, c % out, warps);
        }
      }
    }
  }

  void add_planes(const Box& box, int64_t part, int64_t line, Warps& warps) const {
    const bool runs = tensor_.runs;
    const int64_t rows = runs ? 8 / p_.w.stride : 1, slots = runs ? 1 : group_.slots_per_line;
    for (int64_t i_k = 0; i_k < columns_.channels; ++i_k) {
      const int64_t k = columns_.first_channel + i_k;
      for (int64_t r = 0; r < tile_.staged_rows(); r += rows) {
        for (int64_t i = 0; i < slots; ++i) {
          for (int64_t j = 0; j < (runs ? 1 : columns_.phases); ++j) {
            add(box, part, r, slot_of(line, i), columns_.first_phase + j, k, warps);
          }
        }
      }
    }
  }

  const IgemmTile& tile_;
  const IgemmParams& p_;
  const StoredTensor& tensor_;
  const IgemmGroup& group_;
  TileColumns columns_;
  int64_t phase_h_;
};

/// All kinds of boxes that the blocks of one unit have.
Kinds<int64_t, int64_t, int64_t, int64_t> boxes_of(const IgemmParams& p,
                                                   const StoredTensor& tensor) {
  Kinds<int64_t, int64_t, int64_t, int64_t> kinds;
  const int64_t bytes = tensor.element_bytes;
  const auto conv_groups = places(p.conv_groups, p.out_channels.divisor * tensor.c * bytes);
  const auto splits = places(p.splits, p.split_elements * bytes);
  const auto all_h = axis_boxes(p.h, tensor.h * bytes), all_w = axis_boxes(p.w, tensor.w * bytes);
  for (const auto& [n, times_n] : batch_boxes(p, tensor.n * bytes)) {
    for (const auto& [h, times_h] : all_h) {
      for (const auto& [w, times_w] : all_w) {
        for (const auto& [c, times_c] : conv_groups) {
          for (const auto& [split, times] : splits) {
            const int64_t place = (std::get<1>(n) + std::get<1>(h) + std::get<1>(w) +
                                   std::get<0>(c) + std::get<0>(split)) %
                                  kSectorBytes;
            kinds[{std::get<0>(n), std::get<0>(h), std::get<0>(w), place}] +=
                times_n * times_h * times_w * times_c * times;
          }
        }
      }
    }
  }
  return kinds;
}

}  // namespace

SumRequests count_sums(const Problem& problem, const IgemmParams& p) {
  const ProblemDesc& d = problem.desc();
  const Extents out = problem.output_extents();
  const bool last = p.channels_last != 0;
  const auto bytes = static_cast<int64_t>(size_of(d.output_dtype));
  SumRequests sum;
  std::vector<WarpRequest> shares(static_cast<std::size_t>(p.splits));
  WarpRequest residual, output;
  const auto place = [&](const Strides& s, int64_t n, int64_t h, int64_t w, int64_t c) {
    return (n * s.n + h * s.h + w * s.w + c * s.c) * bytes;
  };
  const auto flush = [&] {
    for (WarpRequest& share : shares) share.add_to(sum.loads), share = {};
    residual.add_to(sum.loads), residual = {};
    output.add_to(sum.stores), output = {};
  };
  for (int64_t i = 0; i < out.count(); ++i) {
    int64_t rest = i;
    const auto next = [&](int64_t extent) {
      const int64_t digit = rest % extent;
      rest /= extent;
      return digit;
    };
    int64_t c = last ? next(out.c) : 0;
    const int64_t w = next(out.w), h = next(out.h);
    if (!last) c = next(out.c);
    if (p.reach_h.contains(static_cast<uint32_t>(h)) &&
        p.reach_w.contains(static_cast<uint32_t>(w))) {
      for (std::size_t s = 0; s < shares.size(); ++s) {
        shares[s].add((static_cast<int64_t>(s) * p.split_elements + i) * 4);
      }
    }
    if (d.has_residual) residual.add(place(d.residual_strides, rest, h, w, c));
    output.add(place(d.output_strides, rest, h, w, c));
    if ((i + 1) % kLanes == 0) flush();
  }
  flush();
  return sum;
}

PredictedRequests count_outputs(const IgemmTile& tile, const IgemmParams& p,
                                const StoredTensor& tensor) {
  PredictedRequests sum;
  const auto boxes = boxes_of(p, tensor);
  for (int g = 0; g < p.group_count; ++g) {
    const IgemmGroup& group = p.groups[g];
    for (int unit = 0; unit < group.end_unit - group.first_unit; ++unit) {
      const UnitStores stores(tile, p, tensor, group, unit);
      for (const auto& [box, times] : boxes) {
        const auto [images, left_h, left_w, place] = box;
        const PredictedRequests one = stores.count({images, left_h, left_w, place});
        sum.requests += times * one.requests;
        sum.sectors += times * one.sectors;
      }
    }
  }
  return sum;
}

}  // namespace tconv::host::igemm
