// SPDX-License-Identifier: Apache-2.0
// test_igemm_plan.cpp: how the implicit GEMM cuts problems, element by element: every output is
// written once, every tap of it is multiplied once with the input that the definition (axis.h)
// names, and all that a window holds lies where its readers look.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <tuple>
#include <vector>

#include "src/cuda/igemm_sm80/plan.h"
#include "src/host/device/device_models.h"
#include "tests/support/cuda_on_host/cuda_on_host.h"
#include "tests/support/support.h"

using std::max;
using std::min;
#include "src/cuda/igemm_sm80/tile.cuh"

namespace tconv::test {
namespace {

using namespace cuda::igemm;  // NOLINT(google-build-using-namespace): what is tested

using Read = std::tuple<int64_t, int64_t, int64_t, int64_t>;  // r, s, h, w

/// The definition.
std::multiset<Read> reads_of(const ProblemDesc& d, int64_t p, int64_t q) {
  std::multiset<Read> reads;
  for (int64_t r = 0; r < d.h.kernel; ++r) {
    for (int64_t s = 0; s < d.w.kernel; ++s) {
      const int64_t h = input_index(d.h, p, r), w = input_index(d.w, q, s);
      if (h != kNoInput && w != kNoInput) reads.insert({r, s, h, w});
    }
  }
  return reads;
}

/// One problem, one tile: does on the CPU what the kernel's index arithmetic says.
template <int kTileIndex>
class Cover {
  static constexpr IgemmTile kTile = kIgemmTiles[kTileIndex];
  static constexpr int kRowBytes = kTile.row_bytes;

 public:
  Cover(const Problem& problem, const DeviceFacts& device)
      : problem_(problem),
        d_(problem.desc()),
        plan_(plan_igemm(problem, kTile, device)),
        written_(static_cast<std::size_t>(problem.output_extents().count())) {}

  bool refused() const { return !plan_.refused.empty(); }
  int pairs() const { return pairs_; }  ///< of pixels that are read at once

  void expect_exact() {
    const IgemmParams& p = plan_.params;
    expect_rings();
    for (int block = 0; block < p.gemm_blocks; ++block) {
      for (int box = first_box_of(p, block); box < p.boxes; box += p.box_step) {
        place_ = place_of<kTileIndex>(p, block, box);
        load_window();
        place_taps();
        for (int slot = 0; slot < kTile.slots; ++slot) expect_slot(slot);
      }
    }
    fill();
    for (const int times : written_) ASSERT_EQ(times, 1) << problem_.key() << kTile.name;
  }

 private:
  struct Held {
    int64_t h, w;  ///< kNoInput: zeros
    uint32_t target;
  };

  void expect_rings() {
    const IgemmParams& p = plan_.params;
    // The tables of pixels and taps, as the kernel lays them out.
    const int64_t entries = int64_t{cuda::igemm::Tiling<kTileIndex>::kTapLines} * p.most_taps;
    const int64_t bytes =
        p.window_pixels * int64_t{sizeof(Pixel)} + entries * int64_t{sizeof(uint32_t)};
    const int64_t table = ceil_div(bytes, 128) * 128;
    EXPECT_GE(p.filters_at, p.window_bytes * p.window_stages);
    EXPECT_GE(plan_.shared_bytes, table + p.filters_at + p.filter_ring_bytes);
    const int64_t chunks = ceil_div(p.channel_bytes, kRowBytes);
    for (int g = 0; g < p.group_count; ++g) {
      const int64_t stages = p.stationary != 0 ? chunks * p.groups[g].iterations : kTile.ahead + 1;
      EXPECT_GE(p.filter_ring_bytes, stages * kTile.stage_bytes());
    }
    if (p.stationary != 0) {
      EXPECT_GE(p.filters_at, kTile.staging_bytes());
    }
    EXPECT_LE(plan_.shared_bytes, device_model("h200").shared_bytes_per_block);
    EXPECT_EQ(p.window_bytes % 128, 0U);
    for (int g = 0; g < p.group_count; ++g) {
      // Chunks that iterations in flight can touch beside the one that is read.
      EXPECT_GE(p.window_stages, 1 + ceil_div(kTile.ahead, p.groups[g].iterations));
    }
  }

  void load_window() {
    const IgemmParams& p = plan_.params;
    const Corner corner = corner_of(p, place_);
    window_.clear();
    std::set<uint32_t> rows;
    for (int i = 0; i < p.window_pixels; ++i) {
      const Pixel pixel = pixel_of<kTileIndex>(p, place_, corner, i);
      const uint32_t row = pixel.target / kRowBytes;
      ASSERT_TRUE(rows.insert(row).second) << "two pixels in one row";
      ASSERT_LE((row + 1) * kRowBytes, p.window_bytes);
      Held held = {kNoInput, kNoInput, pixel.target};
      if (pixel.offset != kNoInput) {
        ASSERT_GE(pixel.offset, 0);
        const int64_t at =
            pixel.offset + place_.n * p.input_n + corner.in_h * p.input_h + corner.in_w * p.input_w;
        ASSERT_LE(at + (p.channels_last != 0 ? d_.in_c * 2 : 2), problem_.input_bytes());
        held.h = at % p.input_n / p.input_h, held.w = at % p.input_h / p.input_w;
        ASSERT_EQ(at % p.input_w, 0);
      }
      window_[row] = held;
      if (p.pixel_pairs != 0 && i % 2 == 0) expect_pair(corner, i);
    }
  }

  /// Pixels `i` and the next are read at once: four aligned bytes, or none.
  void expect_pair(const Corner& corner, int i) {
    const IgemmParams& p = plan_.params;
    ++pairs_;
    ASSERT_LT(i + 1, p.window_pixels);
    const int even = pixel_of<kTileIndex>(p, place_, corner, i).offset;
    const int odd = pixel_of<kTileIndex>(p, place_, corner, i + 1).offset;
    ASSERT_EQ(odd, even == kNoInput ? kNoInput : even + 2);
    if (even == kNoInput) return;
    ASSERT_EQ((even + corner.in_w * p.input_w) % 4, 0);
    for (const int64_t step : {p.input_n, p.input_h, p.input_c}) ASSERT_EQ(step % 4, 0);
  }

  /// Where each row of warp tiles finds its taps. Filters are copied if any of them has the tap.
  void place_taps() {
    const IgemmParams& p = plan_.params;
    constexpr std::size_t kWarps = kTile.m / kTile.warp_m;
    const auto most = static_cast<std::size_t>(p.most_taps);
    taps_.assign((kWarps + 1) * most, 0);
    const auto spans = spans_of(p, place_, corner_of(p, place_));
    const int taps = p.groups[place_.group].iterations * kTile.slots;
    for (int i = 0; i < taps; ++i) {
      const auto entry = static_cast<std::size_t>(i);
      place_tap<kTileIndex>(p, place_, spans, i, &taps_[entry]);
      bool used = false;
      for (std::size_t warp = 0; warp < kWarps; ++warp) {
        const uint32_t window = taps_[warp * most + entry];
        EXPECT_EQ(window & kIgemmNoFilters, taps_[entry] & kIgemmNoFilters);
        used = used || (window & kIgemmNoTap) == 0;
      }
      EXPECT_NE(taps_[kWarps * most + entry] & kIgemmNoTap, 0U);  // of warps without columns
      if (used) {
        EXPECT_EQ(taps_[entry] & kIgemmNoFilters, 0U);
      } else if (p.stationary == 0) {
        EXPECT_NE(taps_[entry] & kIgemmNoFilters, 0U);
      }
    }
  }

  void expect_slot(int index) {
    const IgemmParams& p = plan_.params;
    const IgemmGroup& group = p.groups[place_.group];
    const IgemmSlot& slot = p.slots[group.first_slot + index];
    for (int m = 0; m < kTile.m; ++m) {
      const Row row = row_of(p, place_, slot.phase_h + place_.repeat * group.repeat_phase, m);
      for (int c = 0; c < kTile.n; ++c) {
        const Column column = column_of(p, place_, group, index, c);
        const int q = row.q + column.phase;
        if (!row.exists || !exists(group, slot, c) || q >= p.w.out) continue;
        ASSERT_TRUE(column_exists(p, place_, group, c / kTile.warp_n * kTile.warp_n));
        const int64_t output = row.output + q * p.output_w + column.k * p.output_c;
        ++written_.at(static_cast<std::size_t>(output));
        if (column.k == place_.conv_group * p.out_channels.divisor) {
          const int64_t pixel_row = row.output % p.output_n / p.output_h;
          expect_reads(group, index, m, filter_row(slot, column), pixel_row, q);
        }
      }
    }
  }

  /// Whether the tile has column `i`.
  bool exists(const IgemmGroup& group, const IgemmSlot& slot, int i) const {
    const IgemmParams& p = plan_.params;
    if (p.channels_last != 0) return place_.first_column + i < slot.columns;
    const int phase = place_.first_phase + (i >> group.log_channels);
    const int channel = place_.first_channel + i % (1 << group.log_channels);
    return channel < p.out_channels.divisor && phase * p.out_channels.divisor < slot.columns;
  }
  /// Of the filters of a tap, the row that belongs to a column of a slot.
  int64_t filter_row(const IgemmSlot& slot, const Column& column) const {
    const int out = plan_.params.out_channels.divisor;
    const int j = slot.column_step == 0 ? 0 : (column.phase - slot.phase_w) / slot.column_step;
    return int64_t{j} * out + column.k % out;
  }

  void expect_reads(const IgemmGroup& group, int slot, int m, int64_t column, int64_t pixel_row,
                    int q) {
    const IgemmParams& p = plan_.params;
    std::multiset<Read> reads;
    for (int i = 0; i < group.iterations; ++i) {
      const int entry = i * kTile.slots + slot;
      const IgemmTap& tap = p.taps[group.first_tap + entry];
      const uint32_t window =
          taps_[static_cast<std::size_t>(m / kTile.warp_m * p.most_taps + entry)];
      if ((window & kIgemmNoTap) != 0) continue;
      ASSERT_EQ(window, tap.window);
      const uint32_t row = window_row(p, m) + tap.window / kRowBytes;
      ASSERT_EQ(window_.count(row), 1U) << "a tap outside the window";
      const Held& held = window_[row];
      ASSERT_EQ(held.target, cuda::swizzled<kRowBytes>(row, 0, m + (tap.window & kIgemmKeyMask)));
      const bool ihwo = d_.filter_order == FilterOrder::ihwo;
      const int64_t column_bytes = ihwo ? 2 : p.filter_row;
      const int64_t filter = int64_t{tap.filter} + int64_t{place_.repeat} * group.repeat_filter +
                             column * column_bytes;
      ASSERT_LT(filter, ihwo ? p.filter_row : problem_.filter_bytes());
      const int64_t filter_row = filter / column_bytes, k = filter_row % p.out_channels.divisor;
      ASSERT_EQ(k, 0);
      const int64_t rs = filter_row / p.out_channels.divisor;
      if (held.h != kNoInput) {
        reads.insert({rs / d_.w.kernel, rs % d_.w.kernel, held.h, held.w});
      }
    }
    ASSERT_EQ(reads, reads_of(d_, pixel_row, q)) << problem_.key() << " " << kTile.name;
  }

  void fill() {
    const IgemmParams& p = plan_.params;
    const bool fills = plan_.fill_blocks > 0;
    if (fills) {
      EXPECT_GE(plan_.fill_blocks * kIgemmFillThreads, static_cast<int64_t>(written_.size()));
    }
    for (std::size_t i = 0; i < written_.size(); ++i) {
      const int64_t pixel = static_cast<int64_t>(i) / (p.channels_last != 0 ? d_.out_c : 1);
      const auto p_out = static_cast<uint32_t>(pixel / d_.w.out % d_.h.out);
      const auto q_out = static_cast<uint32_t>(pixel % d_.w.out);
      if (p.reach_h.contains(p_out) && p.reach_w.contains(q_out)) continue;
      if (fills) ++written_[i];
    }
  }

  const Problem& problem_;
  const ProblemDesc& d_;
  IgemmPlan plan_;
  std::vector<int> written_;
  int pairs_ = 0;
  Place place_ = {};
  std::map<uint32_t, Held> window_;
  std::vector<uint32_t> taps_;  ///< of each row of warp tiles, most_taps apart
};

/// What was looked at.
struct Seen {
  int plans = 0, with_pairs = 0;
};

template <int kTileIndex>
void expect_exact(const Problem& problem, const DeviceFacts& device, Seen& seen) {
  Cover<kTileIndex> cover(problem, device);
  if (cover.refused()) return;
  cover.expect_exact();
  ++seen.plans;
  seen.with_pairs += cover.pairs() > 0 ? 1 : 0;
}

/// On a GPU of few cores boxes are full as those of large problems, and one block has several.
Seen expect_all_tiles(const Problem& problem, int cores = 132) {
  static_assert(kIgemmTileCount == 6);
  DeviceFacts device = device_model("h200");
  device.cores = cores;
  Seen seen;
  expect_exact<0>(problem, device, seen), expect_exact<1>(problem, device, seen);
  expect_exact<2>(problem, device, seen), expect_exact<3>(problem, device, seen);
  expect_exact<4>(problem, device, seen), expect_exact<5>(problem, device, seen);
  return seen;
}

ProblemDesc dense(std::mt19937_64& random, const RandomLimits& limits) {
  ProblemDesc d = random_desc(random, limits);
  d.filter_order = random() % 3 == 0 ? FilterOrder::ihwo : FilterOrder::hwoi;
  d.input_strides = d.output_strides = d.residual_strides = {};
  return d;
}

TEST(IgemmPlan, WritesEachOutputAndMultipliesEachTapOnce) {
  std::mt19937_64 random(20261125);
  RandomLimits limits;
  limits.dtypes = {DType::f16, DType::bf16};
  limits.zero_sizes = false;
  limits.max_in = 5, limits.max_channels = 3, limits.max_batch = 3;
  Seen all;
  const int problems = enumeration(4000, 250);
  for (int i = 0; i < problems && !testing::Test::HasFailure(); ++i) {
    const Seen seen = expect_all_tiles(Problem(dense(random, limits)), i % 2 == 0 ? 132 : 1);
    all.plans += seen.plans, all.with_pairs += seen.with_pairs;
  }
  EXPECT_GT(all.plans, problems * 2);
  EXPECT_GT(all.with_pairs, problems / 4);
}

/// in, kernel, stride, padding, dilation of one axis.
Axis axis(int64_t in, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation = 1) {
  Axis a = {.in = in, .kernel = kernel, .stride = stride, .dilation = dilation, .pad_begin = pad};
  a.out = a.full() - 2 * pad;
  return a;
}

TEST(IgemmPlan, TakesWhatNetworksAsk) {
  ProblemDesc d;
  d.dtype = d.output_dtype = DType::f16;
  d.batch = 3, d.in_c = 2, d.out_c = 5;
  struct Case {
    Axis h, w;
    int tiles;  ///< that take it
  };
  const Case cases[] = {
      {axis(4, 4, 2, 1), axis(5, 4, 2, 1), 6},        // DCGAN
      {axis(9, 3, 2, 1), axis(7, 3, 2, 1), 6},        // U-Net, odd kernel
      {axis(5, 2, 2, 0), axis(6, 2, 2, 0), 4},        // k == s: two phases of H
      {axis(1, 4, 1, 0), axis(1, 4, 1, 0), 6},        // one pixel: four phases of H
      {axis(1, 1, 1, 0), axis(30, 16, 8, 4), 4},      // HiFi-GAN
      {axis(3, 64, 32, 16), axis(3, 64, 32, 16), 3},  // FCN-32s: too many phases for more
      {axis(7, 3, 1, 1, 2), axis(9, 3, 1, 3, 3), 3},  // dilated: subgrids
      {axis(7, 3, 2, 1, 2), axis(9, 2, 4, 1, 2), 4},  // stride and dilation share a factor
      {axis(4, 2, 5, 0), axis(4, 1, 3, 0), 4},        // k < s
  };
  for (const Case& c : cases) {
    d.h = c.h, d.w = c.w;
    EXPECT_EQ(expect_all_tiles(Problem(d)).plans, c.tiles) << Problem(d).key();
  }
}

TEST(Divisor, DividesExactly) {
  constexpr int32_t kLast = std::numeric_limits<int32_t>::max();
  std::mt19937 random(5);
  for (int i = 0; i < 200000; ++i) {
    const auto shift = random() % 31;
    const int32_t d = i < 1000 ? i + 1 : 1 + static_cast<int32_t>(random() % (kLast >> shift));
    const Divisor divisor(d);
    const auto any = static_cast<int32_t>(random() % kLast);
    const int32_t multiple = any / d * d;
    for (const int32_t n : {0, d - 1, any, multiple, multiple > 0 ? multiple - 1 : 0, kLast,
                            kLast - 1, kLast / d * d, d}) {
      ASSERT_EQ(divisor.quotient(n), n / d) << n << " / " << d;
      ASSERT_EQ(divisor.remainder(n), n % d);
    }
  }
  EXPECT_EQ(Divisor().quotient(kLast), kLast);
}

TEST(IgemmPlan, SaysWhatItDoesNotTake) {
  ProblemDesc d;
  d.dtype = d.output_dtype = DType::f16;
  const auto refused = [&] {
    return plan_igemm(Problem(d), kIgemmTiles[0], device_model("h200")).refused;
  };
  d.h = axis(0, 1, 1, 0), d.h.out = 3;
  EXPECT_NE(refused().find("empty"), std::string::npos);
  d.h = axis(2, 1, int64_t{1} << 20, 0);
  EXPECT_NE(refused().find("strides above 65535"), std::string::npos);
  d.h = axis(8, 15, 1, 7), d.w = axis(8, 15, 1, 7);
  EXPECT_NE(refused().find("225 taps"), std::string::npos);
  d.h = axis(8, 3, 1, 1), d.w = axis(8, 3, 1, 1);
  d.in_c = 0;
  EXPECT_NE(refused().find("no input channels"), std::string::npos);
  d.in_c = 1;
  EXPECT_EQ(refused(), "");
  d.out_c = 0;
  EXPECT_NE(refused().find("output is empty"), std::string::npos);
}

TEST(IgemmPlan, KnowsHowRowsOfChannelsAreAligned) {
  ProblemDesc d;
  d.dtype = d.output_dtype = DType::f16;
  d.h = d.w = axis(4, 3, 1, 1);
  const auto access = [&](int64_t in_c) {
    d.in_c = in_c;
    return igemm_access(Problem(d));
  };
  EXPECT_EQ(access(64), 16);
  EXPECT_EQ(access(12), 8);
  EXPECT_EQ(access(6), 4);
  EXPECT_EQ(access(21), 2);
  d.alignment = 4;
  EXPECT_EQ(access(64), 4);
  // Rows of columns are aligned as the output channels of a group are.
  const auto filter_access = [&](FilterOrder order, int64_t out_c) {
    d.in_c = 64, d.out_c = out_c, d.groups = 2, d.alignment = 16, d.filter_order = order;
    EXPECT_EQ(igemm_access(Problem(d)), 16);
    return igemm_filter_access(Problem(d));
  };
  EXPECT_EQ(filter_access(FilterOrder::hwoi, 6), 16);
  EXPECT_EQ(filter_access(FilterOrder::ihwo, 6), 2);
  EXPECT_EQ(filter_access(FilterOrder::ihwo, 24), 8);
  EXPECT_EQ(filter_access(FilterOrder::ihwo, 32), 16);
}

// The more is issued, the later a plan comes; a problem that is bound by memory costs its bytes.
TEST(IgemmPlan, EstimatesGrowWithTheWork) {
  ProblemDesc d;
  d.dtype = d.output_dtype = DType::f16;
  d.in_c = d.out_c = 64;
  const DeviceFacts device = device_model("h200");
  double last = 0;
  for (const int64_t size : {128, 256, 512, 1024}) {
    d.h = d.w = axis(size, 4, 2, 1);
    const Problem problem(d);
    const double us = estimate_igemm_us(problem, kIgemmTiles[2],
                                        plan_igemm(problem, kIgemmTiles[2], device), device);
    EXPECT_GT(us, last);
    EXPECT_GT(us, problem.least_bytes() / device.bytes_per_us);
    last = us;
  }
}

}  // namespace
}  // namespace tconv::test
