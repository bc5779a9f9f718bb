// SPDX-License-Identifier: Apache-2.0
// test_igemm_traffic.cpp: the closed form by which the planner judges boxes, against the requests
// counted one by one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "src/cuda/igemm_sm80/copy_counters.h"
#include "src/cuda/igemm_sm80/plan.h"
#include "src/host/device/device_models.h"
#include "tests/cuda/igemm_sm80/igemm_problems.h"

namespace tconv::test {
namespace {

/// Shapes of networks: wide images and some smaller than a box, ragged ones, one row, one pixel,
/// channels that are whole sectors, odd, few; strides up to 32.
std::vector<ProblemDesc> shapes() {
  const Axis one = axis(1, 1, 1, 0);
  std::vector<ProblemDesc> all = {
      problem_of(1, 256, 128, axis(64, 4, 2, 1), axis(64, 4, 2, 1)),
      problem_of(16, 512, 256, axis(4, 4, 2, 1), axis(4, 4, 2, 1)),
      problem_of(64, 256, 256, axis(8, 4, 2, 1), axis(6, 4, 2, 1)),
      problem_of(8, 512, 17, axis(14, 4, 2, 1), axis(14, 4, 2, 1)),
      problem_of(1, 1024, 512, axis(40, 2, 2, 0), axis(59, 2, 2, 0)),
      problem_of(1, 64, 128, axis(248, 2, 2, 0), axis(216, 2, 2, 0)),
      problem_of(3, 96, 48, axis(13, 5, 2, 0), axis(13, 5, 2, 0)),
      problem_of(1, 192, 192, axis(37, 4, 4, 0), axis(37, 4, 4, 0)),
      problem_of(2, 56, 1, axis(135, 9, 3, 4, 1, 2), axis(240, 9, 3, 4, 1, 2)),
      problem_of(1, 21, 21, axis(16, 64, 32, 16), axis(16, 64, 32, 16)),
      problem_of(1, 20, 20, axis(128, 2, 2, 0), axis(256, 2, 2, 0)),
      problem_of(4, 512, 256, one, axis(861, 16, 8, 4)),
      problem_of(2, 256, 1, one, axis(3999, 16, 8, 0)),
      problem_of(64, 100, 64, axis(1, 4, 1, 0), axis(1, 4, 1, 0)),
      problem_of(2, 64, 64, axis(40, 3, 1, 2, 2), axis(40, 3, 1, 2, 2)),
      problem_of(1, 48, 40, axis(24, 3, 2, 1, 1, 1), axis(24, 3, 2, 1, 1, 1), DType::f32),
      problem_of(6, 65, 33, axis(10, 3, 2, 1), axis(15, 3, 2, 1), DType::bf16),
      problem_of(1, 32, 16, axis(9, 4, 2, -700), axis(9, 4, 2, -90)),  // most boxes meet nothing
  };
  all.push_back(problem_of(2, 128, 64, axis(32, 4, 2, 1), axis(32, 4, 2, 1)));
  all.back().groups = 4;
  const std::size_t channels_last = all.size();
  for (std::size_t i = 0; i < channels_last; ++i) {
    all.push_back(all[i]);
    all.back().layout = Layout::nchw;
    if (size_of(all[i].dtype) == 2) {
      all.push_back(all[i]);
      all.back().filter_order = FilterOrder::ihwo;
    }
  }
  for (ProblemDesc& d : all) d.alignment = 16;
  return all;
}

/// Estimates over counts.
class Ratios {
 public:
  void add(double estimate, double count, const std::string& title, double bound) {
    ASSERT_GT(count, 0) << title;
    const double ratio = std::log(estimate / count);
    EXPECT_LT(std::abs(ratio), std::log(bound)) << title << ": " << estimate << ", " << count;
    sum_ += ratio, ++count_;
  }
  double mean() const { return std::exp(sum_ / count_); }
  int count() const { return count_; }

 private:
  double sum_ = 0;
  int count_ = 0;
};

// The bounds are what was found, and a little: a sector more or less at either end of a run.
TEST(IgemmTraffic, IsWhatCountingFinds) {
  Ratios windows, filters, outputs;
  for (const ProblemDesc& d : shapes()) {
    const Problem problem(d);
    for (const IgemmTile& tile : kIgemmTiles) {
      const IgemmPlan plan = plan_igemm(problem, tile, device_model("h200"));
      if (!plan.refused.empty()) continue;
      const IgemmParams& p = plan.params;
      const std::string title = problem.key() + " " + tile.name;
      windows.add(plan.traffic.window_bytes, igemm::count_windows(tile, p, d.in_c).bytes(),
                  title + " windows", 1.8);
      filters.add(plan.traffic.filter_bytes, igemm::count_filters(tile, p).bytes(),
                  title + " filters", 1.25);
      if (p.splits > 1 || plan.fill_blocks > 0) continue;  // others write, too
      const igemm::StoredTensor output = {p.output_n,
                                          p.output_h,
                                          p.output_w,
                                          p.output_c,
                                          static_cast<int64_t>(size_of(d.output_dtype)),
                                          p.wide_stores != 0};
      outputs.add(plan.traffic.output_bytes, igemm::count_outputs(tile, p, output).bytes(),
                  title + " outputs", 2.2);
    }
  }
  EXPECT_GT(windows.count(), 200);
  EXPECT_GT(outputs.count(), 100);
  EXPECT_NEAR(windows.mean(), 1, 0.05);
  EXPECT_NEAR(filters.mean(), 1, 0.05);
  EXPECT_NEAR(outputs.mean(), 1, 0.1);
}

}  // namespace
}  // namespace tconv::test
