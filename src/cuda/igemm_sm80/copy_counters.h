// SPDX-License-Identifier: Apache-2.0
// copy_counters.h: requests and sectors of what the blocks of one plan move: part of
// prediction.h.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "src/cuda/igemm_sm80/plan.h"
#include "src/host/plan/prediction.h"

namespace tconv::host::igemm {

constexpr int64_t kSectorBytes = 32, kLanes = 32;

/// The sectors of one warp's instruction. No access of a lane crosses a sector's end.
class WarpRequest {
 public:
  void add(int64_t address) {
    const int64_t sector = address >= 0 ? address / kSectorBytes : ~(~address / kSectorBytes);
    for (int i = 0; i < count_; ++i) {
      if (sectors_[static_cast<std::size_t>(count_ - 1 - i)] == sector) return;
    }
    sectors_[static_cast<std::size_t>(count_++)] = sector;
  }
  void add_to(PredictedRequests& sum, double times = 1) const {
    if (count_ == 0) return;
    sum.requests += times;
    sum.sectors += times * count_;
  }

 private:
  std::array<int64_t, kLanes> sectors_;
  int count_ = 0;
};

/// What blocks differ by, and how many have it.
template <typename... Key>
using Kinds = std::map<std::tuple<Key...>, double>;

/// Starts of `count` things that lie `step` bytes apart, by their place in a sector.
Kinds<int64_t> places(int64_t count, int64_t step);

/// The columns of one unit's tile: in NHWC one phase of as many channels as it has columns.
struct TileColumns {
  TileColumns(const IgemmTile& tile, const IgemmParams& p, const IgemmGroup& group, int64_t unit);

  int64_t first_column;                // filter row of column 0, from the tap's first
  int64_t first_phase, first_channel;  // NCHW
  int64_t width;                       // columns from one phase to the next
  int64_t phases, channels;            // that exist
};

/// In how many boxes, or such parts of them, of one group of the problem, entry `i` of the group's
/// taps meets the input.
double useful_parts(const IgemmTile& tile, const IgemmParams& p, const IgemmGroup& group,
                    const IgemmPart& part, int i);

/// The windows that all blocks read. `planes`: input channels of all groups.
PredictedRequests count_windows(const IgemmTile& tile, const IgemmParams& p, int64_t planes);
/// Their filters.
PredictedRequests count_filters(const IgemmTile& tile, const IgemmParams& p);

/// A tensor that is addressed as the output is.
struct StoredTensor {
  int64_t n, h, w, c;  ///< element strides
  int64_t element_bytes;
  bool runs;  ///< a lane moves 8 elements, 16 bytes at once
};
/// What the launch that adds the shares of a split plan loads and stores, the residual included.
struct SumRequests {
  PredictedRequests loads, stores;
};
SumRequests count_sums(const Problem& problem, const IgemmParams& p);

/// The outputs that taps reach.
PredictedRequests count_outputs(const IgemmTile& tile, const IgemmParams& p,
                                const StoredTensor& tensor);

}  // namespace tconv::host::igemm
