// SPDX-License-Identifier: Apache-2.0
// igemm_store_counters.cpp: the stores of igemm_copy_counters.h. Follows Storer
// (src/cuda/igemm_store.cuh).
#include <algorithm>

#include "igemm_copy_counters.h"

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

/// The stores of one slot of one block.
class SlotStores {
 public:
  SlotStores(const IgemmTile& tile, const IgemmParams& p, const StoredTensor& tensor,
             const IgemmSlot& slot, int64_t phase_h, int64_t first_column)
      : tile_(tile), p_(p), tensor_(tensor), phase_h_(phase_h) {
    for (int64_t c = first_column; c < first_column + tile.n && c < slot.columns; ++c) {
      const int64_t j = c / p.out_channels.divisor;
      columns_.push_back({c - j * p.out_channels.divisor, slot.phase_w + j * slot.column_step});
    }
  }

  PredictedRequests count(const Box& box) const {
    PredictedRequests sum;
    for (int64_t n = 0; n < tile_.n; n += tile_.warp_n) {
      for (int64_t m = 0; m < tile_.m; m += kIgemmStagedRows) {
        if (tensor_.runs) {
          count_runs(box, m, n, sum);
        } else if (p_.channels_last != 0) {
          count_elements(box, m, n, sum);
        } else {
          count_planes(box, m, n, sum);
        }
      }
    }
    return sum;
  }

 private:
  struct Column {
    int64_t k, phase_w;
  };
  struct Row {
    int64_t address, q;
    bool exists;
  };

  Row row_of(const Box& box, int64_t m) const {
    const int64_t w = m & ((1 << p_.w.log_box) - 1);
    const int64_t h = m >> p_.w.log_box & ((1 << p_.h.log_box) - 1);
    const int64_t n = m >> (p_.w.log_box + p_.h.log_box);
    const int64_t p = h * p_.h.input_step * p_.h.stride + phase_h_;
    return {.address = box.place + (n * tensor_.n + p * tensor_.h) * tensor_.element_bytes,
            .q = w * p_.w.input_step * p_.w.stride,
            .exists = p < box.left_h && n < box.images};
  }

  /// Adds the address of one column in one row, if both exist.
  void add(const Box& box, const Row& row, int64_t column, int64_t part,
           WarpRequest& request) const {
    if (!row.exists || column >= static_cast<int64_t>(columns_.size())) return;
    const Column& c = columns_[static_cast<std::size_t>(column)];
    const int64_t q = row.q + c.phase_w;
    if (q >= box.left_w) return;
    request.add(row.address + (q * tensor_.w + c.k * tensor_.c) * tensor_.element_bytes + part);
  }

  /// Lanes take 8 columns each, in parts of 16 bytes.
  void count_runs(const Box& box, int64_t m, int64_t n, PredictedRequests& sum) const {
    const int64_t lanes = tile_.warp_n / 8, rows = kLanes / lanes;
    for (int64_t r = 0; r < kIgemmStagedRows; r += rows) {
      for (int64_t part = 0; part < 8 * tensor_.element_bytes; part += 16) {
        WarpRequest request;
        for (int64_t i = 0; i < rows; ++i) {
          const Row row = row_of(box, m + r + i);
          for (int64_t lane = 0; lane < lanes; ++lane) add(box, row, n + 8 * lane, part, request);
        }
        request.add_to(sum);
      }
    }
  }

  /// Lanes take one column each, row after row.
  void count_elements(const Box& box, int64_t m, int64_t n, PredictedRequests& sum) const {
    for (int64_t c = n; c < n + tile_.warp_n; c += kLanes) {
      for (int64_t r = 0; r < kIgemmStagedRows; ++r) {
        const Row row = row_of(box, m + r);
        WarpRequest request;
        for (int64_t lane = 0; lane < kLanes; ++lane) add(box, row, c + lane, 0, request);
        request.add_to(sum);
      }
    }
  }

  /// Lanes take one row each, of two columns.
  void count_planes(const Box& box, int64_t m, int64_t n, PredictedRequests& sum) const {
    for (int64_t c = n; c < n + tile_.warp_n; c += kLanes / kIgemmStagedRows) {
      WarpRequest request;
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        add(box, row_of(box, m + lane % kIgemmStagedRows), c + lane / kIgemmStagedRows, 0, request);
      }
      request.add_to(sum);
    }
  }

  const IgemmTile& tile_;
  const IgemmParams& p_;
  const StoredTensor& tensor_;
  int64_t phase_h_;
  std::vector<Column> columns_;  ///< those that exist
};

/// All kinds of boxes that the blocks of one unit have.
Kinds<int64_t, int64_t, int64_t, int64_t> boxes_of(const IgemmParams& p,
                                                   const StoredTensor& tensor) {
  Kinds<int64_t, int64_t, int64_t, int64_t> kinds;
  const int64_t bytes = tensor.element_bytes;
  const auto conv_groups = places(p.conv_groups, p.out_channels.divisor * tensor.c * bytes);
  const auto all_h = axis_boxes(p.h, tensor.h * bytes), all_w = axis_boxes(p.w, tensor.w * bytes);
  for (const auto& [n, times_n] : batch_boxes(p, tensor.n * bytes)) {
    for (const auto& [h, times_h] : all_h) {
      for (const auto& [w, times_w] : all_w) {
        for (const auto& [c, times_c] : conv_groups) {
          const int64_t place =
              (std::get<1>(n) + std::get<1>(h) + std::get<1>(w) + std::get<0>(c)) % kSectorBytes;
          kinds[{std::get<0>(n), std::get<0>(h), std::get<0>(w), place}] +=
              times_n * times_h * times_w * times_c;
        }
      }
    }
  }
  return kinds;
}

}  // namespace

PredictedRequests count_outputs(const IgemmTile& tile, const IgemmParams& p,
                                const StoredTensor& tensor) {
  PredictedRequests sum;
  const auto boxes = boxes_of(p, tensor);
  for (int g = 0; g < p.group_count; ++g) {
    const IgemmGroup& group = p.groups[g];
    for (int unit = 0; unit < group.end_unit - group.first_unit; ++unit) {
      const int64_t column = int64_t{unit} % group.column_tiles * tile.n;
      const int64_t repeat = unit / group.column_tiles;
      for (int i = 0; i < tile.slots; ++i) {
        const IgemmSlot& slot = p.slots[group.first_slot + i];
        const SlotStores stores(tile, p, tensor, slot, slot.phase_h + repeat * group.repeat_phase,
                                column);
        for (const auto& [box, times] : boxes) {
          const auto [images, left_h, left_w, place] = box;
          const PredictedRequests one = stores.count({images, left_h, left_w, place});
          sum.requests += times * one.requests;
          sum.sectors += times * one.sectors;
        }
      }
    }
  }
  return sum;
}

}  // namespace tconv::host::igemm
