// SPDX-License-Identifier: Apache-2.0
// test_igemm_plan.cpp: how the implicit GEMM cuts problems, element by element: every output is
// written once, every tap of it is multiplied once with the input that the definition (axis.h)
// names, and all that a window holds lies where its readers look.
#include <gtest/gtest.h>

#include <algorithm>
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
  static constexpr igemm::Tile kTile = igemm::kTiles[kTileIndex];
  static constexpr int kRowBytes = kTile.row_bytes;

 public:
  Cover(const Problem& problem, const DeviceFacts& device)
      : problem_(problem),
        d_(problem.desc()),
        plan_(igemm::plan_tile(problem, kTile, device)),
        written_(static_cast<std::size_t>(problem.output_extents().count())) {}

  bool refused() const { return !plan_.refused.empty(); }
  int pairs() const { return pairs_; }  ///< of pixels that are read at once

  void expect_exact() {
    const igemm::Params& p = plan_.params;
    expect_rings();
    for (int block = 0; block < p.gemm_blocks; ++block) {
      for (int m_tile = first_m_tile_of(p, block); m_tile < p.m_tiles; m_tile += p.m_tile_step) {
        place_ = place_of<kTileIndex>(p, block, m_tile);
        load_window();
        place_taps();
        for (int sub_gemm = 0; sub_gemm < kTile.sub_gemms; ++sub_gemm) expect_sub_gemm(sub_gemm);
      }
    }
    store_tapless();
    for (const int times : written_) ASSERT_EQ(times, 1) << problem_.key() << kTile.name;
  }

 private:
  struct Held {
    int64_t h, w;  ///< kNoInput: zeros
    uint32_t target;
  };

  void expect_rings() {
    const igemm::Params& p = plan_.params;
    // The tables of pixels and taps, as the kernel lays them out.
    const int64_t entries = int64_t{cuda::igemm::Tiling<kTileIndex>::kTapLines} * p.most_taps;
    const int64_t bytes =
        p.window_pixels * int64_t{sizeof(Pixel)} + entries * int64_t{sizeof(uint32_t)};
    const int64_t table = ceil_div(bytes, 128) * 128;
    EXPECT_GE(p.filters_at, p.window_bytes * p.window_stages);
    EXPECT_GE(plan_.shared_bytes, table + p.filters_at + p.filter_ring_bytes);
    const int64_t chunks = ceil_div(p.channel_bytes, kRowBytes);
    for (int g = 0; g < p.group_count; ++g) {
      const int64_t stages =
          p.persistent_filters != 0 ? chunks * p.groups[g].iterations : kTile.prefetch_stages + 1;
      EXPECT_GE(p.filter_ring_bytes, stages * kTile.stage_bytes());
    }
    if (p.persistent_filters != 0) {
      EXPECT_GE(p.filters_at, kTile.staging_bytes());
    }
    EXPECT_LE(plan_.shared_bytes, device_model("h200").shared_bytes_per_block);
    EXPECT_EQ(p.window_bytes % 128, 0U);
    for (int g = 0; g < p.group_count; ++g) {
      // Chunks that iterations in flight can touch beside the one that is read.
      EXPECT_GE(p.window_stages, 1 + ceil_div(kTile.prefetch_stages, p.groups[g].iterations));
    }
  }

  void load_window() {
    const igemm::Params& p = plan_.params;
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
    const igemm::Params& p = plan_.params;
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
    const igemm::Params& p = plan_.params;
    constexpr std::size_t kWarps = kTile.m / kTile.warp_m;
    const auto most = static_cast<std::size_t>(p.most_taps);
    taps_.assign((kWarps + 1) * most, 0);
    const auto spans = spans_of(p, place_, corner_of(p, place_));
    const int taps = p.groups[place_.group].iterations * kTile.sub_gemms;
    for (int i = 0; i < taps; ++i) {
      const auto entry = static_cast<std::size_t>(i);
      place_tap<kTileIndex>(p, place_, spans, i, &taps_[entry]);
      bool used = false;
      for (std::size_t warp = 0; warp < kWarps; ++warp) {
        const uint32_t window = taps_[warp * most + entry];
        EXPECT_EQ(window & igemm::kNoFilters, taps_[entry] & igemm::kNoFilters);
        used = used || (window & igemm::kNoTap) == 0;
      }
      EXPECT_NE(taps_[kWarps * most + entry] & igemm::kNoTap, 0U);  // of warps without columns
      if (used) {
        EXPECT_EQ(taps_[entry] & igemm::kNoFilters, 0U);
      } else if (p.persistent_filters == 0) {
        EXPECT_NE(taps_[entry] & igemm::kNoFilters, 0U);
      }
    }
  }

  void expect_sub_gemm(int index) {
    const igemm::Params& p = plan_.params;
    const igemm::CtaSubGemms& group = p.groups[place_.group];
    const igemm::SubGemm& sub_gemm = p.sub_gemms[group.first_sub_gemm + index];
    for (int m = 0; m < kTile.m; ++m) {
      const Row row = row_of(p, place_, sub_gemm.phase_h + place_.repeat * group.repeat_phase, m);
      for (int c = 0; c < kTile.n; ++c) {
        const Column column = column_of(p, place_, group, index, c);
        const int q = row.q + column.phase;
        if (!row.exists || !exists(group, sub_gemm, c) || q >= p.w.out) continue;
        ASSERT_TRUE(column_exists(p, place_, group, c / kTile.warp_n * kTile.warp_n));
        const int64_t output = row.output + q * p.output_w + column.k * p.output_c;
        ++written_.at(static_cast<std::size_t>(output));
        if (column.k == place_.conv_group * p.out_channels.divisor) {
          const int64_t pixel_row = row.output % p.output_n / p.output_h;
          expect_reads(group, index, m, filter_row(sub_gemm, column), pixel_row, q);
        }
      }
    }
  }

  /// Whether the tile has column `i`.
  bool exists(const igemm::CtaSubGemms& group, const igemm::SubGemm& sub_gemm, int i) const {
    const igemm::Params& p = plan_.params;
    if (p.channels_last != 0) return place_.first_column + i < sub_gemm.columns;
    const int phase = place_.first_phase + (i >> group.log_channels);
    const int channel = place_.first_channel + i % (1 << group.log_channels);
    return channel < p.out_channels.divisor && phase * p.out_channels.divisor < sub_gemm.columns;
  }
  /// Of the filters of a tap, the row that belongs to a column of a sub-GEMM.
  int64_t filter_row(const igemm::SubGemm& sub_gemm, const Column& column) const {
    const int out = plan_.params.out_channels.divisor;
    const int j =
        sub_gemm.column_step == 0 ? 0 : (column.phase - sub_gemm.phase_w) / sub_gemm.column_step;
    return int64_t{j} * out + column.k % out;
  }

  void expect_reads(const igemm::CtaSubGemms& group, int sub_gemm, int m, int64_t column,
                    int64_t pixel_row, int q) {
    const igemm::Params& p = plan_.params;
    std::multiset<Read> reads;
    for (int i = 0; i < group.iterations; ++i) {
      const int entry = i * kTile.sub_gemms + sub_gemm;
      const igemm::Tap& tap = p.taps[group.first_tap + entry];
      const uint32_t window =
          taps_[static_cast<std::size_t>(m / kTile.warp_m * p.most_taps + entry)];
      if ((window & igemm::kNoTap) != 0) continue;
      ASSERT_EQ(window, tap.window);
      const uint32_t row = window_row(p, m) + tap.window / kRowBytes;
      ASSERT_EQ(window_.count(row), 1U) << "a tap outside the window";
      const Held& held = window_[row];
      ASSERT_EQ(held.target, cuda::swizzled<kRowBytes>(row, 0, m + (tap.window & igemm::kKeyMask)));
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

  void store_tapless() {
    const igemm::Params& p = plan_.params;
    const bool writes = plan_.second_launch_blocks > 0;
    if (writes) {
      EXPECT_GE(plan_.second_launch_blocks * igemm::kSecondLaunchThreads,
                static_cast<int64_t>(written_.size()));
    }
    for (std::size_t i = 0; i < written_.size(); ++i) {
      const int64_t pixel = static_cast<int64_t>(i) / (p.channels_last != 0 ? d_.out_c : 1);
      const auto p_out = static_cast<uint32_t>(pixel / d_.w.out % d_.h.out);
      const auto q_out = static_cast<uint32_t>(pixel % d_.w.out);
      if (p.tapped_h.contains(p_out) && p.tapped_w.contains(q_out)) continue;
      if (writes) ++written_[i];
    }
  }

  const Problem& problem_;
  const ProblemDesc& d_;
  igemm::Plan plan_;
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

/// On a GPU of few cores boxes are full as those of large problems, and one block has several M
/// tiles.
Seen expect_all_tiles(const Problem& problem, int cores = 132) {
  static_assert(igemm::kTileCount == 6);
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

TEST(IgemmPlan, SaysWhatItDoesNotTake) {
  ProblemDesc d;
  d.dtype = d.output_dtype = DType::f16;
  const auto refused = [&] {
    return igemm::plan_tile(Problem(d), igemm::kTiles[0], device_model("h200")).refused;
  };
  d.h = axis(0, 1, 1, 0), d.h.out = 3;
  EXPECT_NE(refused().find("empty"), std::string::npos);
  d.h = axis(2, 1, int64_t{1} << 20, 0);
  EXPECT_EQ(refused(), "h: stride 1048576 is above 65535: for other families");
  // What is at fault is named, not what is calculated from it.
  d.h = axis(2, 3, 1, 0, (int64_t{1} << 20) + 1);
  EXPECT_EQ(refused(), "h: stride * dilation 1048577 is above 1048576: for other families");
  d.h = axis(1, 3, 1, 0, 40000);
  EXPECT_EQ(refused(), "h: dilated kernel over one pixel 80001 is above 65535: for other families");
  d.h = axis(int64_t{1} << 29, 1, 1, 0);
  EXPECT_EQ(refused(), "h: input size 536870912 is above 268435456: for other families");
  d.h = axis(8, 1, 1, 0), d.w = axis(2, 2, 1, 0, int64_t{1} << 29);
  EXPECT_EQ(refused(), "w: output size 536870914 is above 268435456: for other families");
  d.w = axis(8, 1, 1, 0), d.batch = int64_t{1} << 29;
  EXPECT_EQ(refused(), "batch 536870912 is above 268435456: for other families");
  d.batch = 1;
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
    const double us = igemm::estimate_us(
        problem, igemm::kTiles[2], igemm::plan_tile(problem, igemm::kTiles[2], device), device);
    EXPECT_GT(us, last);
    EXPECT_GT(us, problem.least_bytes() / device.bytes_per_us);
    last = us;
  }
}

}  // namespace
}  // namespace tconv::test
