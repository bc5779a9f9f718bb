// SPDX-License-Identifier: Apache-2.0
// test_igemm_traffic_emulated.cpp: what a plan predicts, from which boxes are chosen (traffic.h),
// against what the emulator counts when it runs the kernel: multiply-adds and blocks exactly, bytes
// on average.
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "src/cuda/igemm_sm80/prediction.h"
#include "src/host/plan/plan.h"
#include "tests/cuda/igemm_sm80/igemm_problems.h"
#include "tests/emulator/emulator.h"
#include "tests/gpu/device_operands.h"

namespace tconv::test {
namespace {

/// Channels that are whole chunks, parts of one, odd; ragged boxes, one pixel, images within a box,
/// dilation.
std::vector<ProblemDesc> small_problems() {
  const Axis half = axis(9, 4, 2, 1);
  return {
      problem_of(1, 64, 64, half, axis(17, 4, 2, 1)),
      problem_of(1, 40, 72, half, axis(17, 4, 2, 1)),
      problem_of(1, 130, 24, axis(7, 3, 2, 1), axis(10, 3, 2, 1)),
      problem_of(2, 72, 24, axis(6, 2, 2, 0), axis(9, 2, 2, 0)),
      problem_of(1, 48, 136, axis(7, 3, 1, 1), axis(19, 3, 1, 1)),
      problem_of(2, 36, 40, axis(5, 5, 2, 2), axis(6, 5, 2, 2)),
      problem_of(33, 32, 16, axis(2, 4, 2, 1), axis(2, 4, 2, 1)),
      problem_of(130, 40, 5, axis(1, 4, 1, 0), axis(1, 4, 1, 0)),
      problem_of(1, 33, 8, axis(3, 1, 1, 0), axis(20, 16, 8, 4)),
      problem_of(3, 21, 9, axis(6, 7, 3, 2), axis(5, 7, 3, 1)),
      problem_of(1, 48, 40, axis(9, 3, 2, 1, 2), axis(9, 3, 2, 1, 2)),
      problem_of(1, 3, 40, axis(11, 3, 1, 2, 2), axis(13, 3, 1, 3, 3)),
      problem_of(2, 1, 3, half, half),
      problem_of(1, 64, 64, axis(1, 1, 1, 0), axis(1, 1, 1, 0)),
      problem_of(2, 99, 63, axis(8, 4, 2, 1), axis(7, 4, 2, 1)),
      problem_of(2, 64, 48, axis(8, 4, 2, 1), axis(7, 4, 2, 1)),
      problem_of(1, 20, 12, axis(5, 3, 3, 0), axis(4, 3, 3, 0)),
      problem_of(5, 68, 33, axis(3, 6, 2, 2), axis(3, 6, 2, 2)),
      problem_of(2, 16, 256, axis(4, 2, 2, 0), axis(5, 2, 2, 0)),
      problem_of(1, 24, 16, axis(1, 1, 1, 0), axis(70, 4, 2, 1)),
      problem_of(3, 6, 130, axis(4, 4, 4, 0), axis(6, 4, 4, 0)),
      problem_of(1, 192, 8, axis(12, 5, 1, 2), axis(11, 5, 1, 2)),
      problem_of(7, 12, 20, axis(6, 3, 2, 0), axis(3, 5, 3, 1)),
      problem_of(2, 44, 7, axis(5, 9, 1, 4), axis(5, 9, 1, 4)),
  };
}

/// Types, layouts, groups, activations, residuals and strides take turns.
ProblemDesc varied(ProblemDesc d, std::size_t i) {
  if (i % 4 == 0) d.dtype = d.output_dtype = d.bias_dtype = DType::f32;
  if (i % 3 == 2) d.layout = Layout::nchw;
  if (i % 3 == 1) d.output_dtype = DType::f32;
  if (i % 4 == 1 || i % 6 == 3) d.filter_order = FilterOrder::ihwo;
  if (i % 4 == 2) d.has_residual = true;
  if (i % 5 == 3) d.activation = Activation::clamp, d.activation_b = 6;
  if (i == 4 || i == 25) d.activation = Activation::sigmoid;
  if (d.in_c == 99) d.groups = 3;
  if (d.in_c == 64 && d.out_c == 48) d.groups = 4;
  if (i % 7 == 4) d.input_strides = dense_strides(d.layout, {d.batch, d.h.in, d.w.in + 1, d.in_c});
  if (i % 7 == 5) {
    d.output_strides = dense_strides(d.layout, {d.batch, d.h.out, d.w.out, d.out_c + 4});
  }
  return d;
}

/// Predicted over counted.
class Ratios {
 public:
  /// `factor`: by which they may differ.
  void add(double predicted, uint64_t sectors, double factor, const char* name) {
    const auto counted = static_cast<double>(32 * sectors);
    ASSERT_GT(counted, 0) << name;
    const double ratio = std::log(predicted / counted);
    EXPECT_LT(std::abs(ratio), std::log(factor)) << name << ": " << predicted << ", " << counted;
    sum_ += ratio, ++count_;
  }
  double mean() const { return std::exp(sum_ / count_); }
  int count() const { return count_; }

 private:
  double sum_ = 0;
  int count_ = 0;
};

class Comparison {
 public:
  /// Runs `problem` with `tile` on a GPU of so many cores (0: as many as an H200 has); false if the
  /// tile does not take it.
  bool add(const Problem& problem, const igemm::Tile& tile, Math math, int cores) {
    emulator::configure(
        {.check_memory = false, .check_races = false, .count = true, .cores = cores});
    const DeviceFacts device = cuda_facts();
    const igemm::Plan plan = igemm::plan_tile(problem, tile, device, math);
    if (plan.refused.empty()) {
      const Options options = {
          .device = DeviceKind::cuda, .kernels = {"igemm_sm80"}, .tile = tile.name, .math = math};
      const DeviceOperands operands(small_integers(problem, 1));
      emulator::forget_reports();
      run_on_device(make_plan(problem, options), operands.tensors());
      compare(problem, plan, igemm::predict(problem, tile, plan, device));
      ++plans, persistent += plan.params.persistent_filters, tiles.insert(tile.name);
      kinds.insert(std::string(name_of(problem.desc().layout)) + name_of(problem.desc().dtype));
    }
    emulator::configure({});
    return plan.refused.empty();
  }

  Ratios reads, windows, filters, outputs;
  int plans = 0, persistent = 0;
  std::set<std::string> tiles, kinds;

 private:
  void compare(const Problem& problem, const igemm::Plan& plan, const Prediction& predicted) {
    const igemm::Params& p = plan.params;
    emulator::Counters all;
    for (const emulator::Report& report : emulator::reports()) all.add(report.counters);
    EXPECT_EQ(predicted.blocks, static_cast<double>(all.blocks));
    EXPECT_EQ(predicted.issued_macs, static_cast<double>(all.multiply_adds));
    if (p.gemm_blocks == 0) return;

    // A second launch reads and writes other things.
    const emulator::Counters& gemm = emulator::reports().front().counters;
    const uint64_t copied = gemm.async_copies.sectors, loaded = gemm.global_loads.sectors;
    const bool adds_residual = problem.desc().has_residual && p.split_k == 1;
    const bool loads_window = p.vector_bytes == 2 || p.input_channels_last == 0;
    const bool loads_filters = p.filter_vector_bytes == 2;
    // Only a residual goes with what is loaded through registers.
    if (!adds_residual || (!loads_window && !loads_filters)) {
      const uint64_t read = copied + (adds_residual ? 0 : loaded);
      reads.add(predicted.l2.input + predicted.l2.filters, read, 1.4, "reads");
    }
    if (loads_window && !loads_filters) {
      filters.add(predicted.l2.filters, copied, 1.2, "filters");
      if (!adds_residual) windows.add(predicted.l2.input, loaded, 1.5, "windows");
    }
    if (plan.second_launch_blocks > 0) return;
    const double written = predicted.l2.output / (adds_residual ? 2 : 1);
    outputs.add(written, gemm.global_stores.sectors, 1.6, "outputs");
  }
};

// The factors are what was found, and a little: a sector more or less at either end of a run.
TEST(IgemmTraffic, IsAboutWhatTheEmulatorCounts) {
  Comparison all;
  const std::vector<ProblemDesc> problems = small_problems();
  for (std::size_t i = 0; i < 35; ++i) {
    const Problem problem(varied(problems[i % problems.size()], i));
    const Math math = i % 8 == 4 ? Math::tf32x3 : Math::tf32;
    for (const igemm::Tile& tile : igemm::kTiles) {
      SCOPED_TRACE(problem.key() + " tile " + tile.name);
      // On a GPU of one core blocks have several M tiles.
      if (all.add(problem, tile, math, 0)) all.add(problem, tile, math, 1);
    }
  }
  EXPECT_GE(all.plans, 200);
  EXPECT_GE(all.persistent, 20);
  EXPECT_GE(all.reads.count(), 200);
  EXPECT_GE(all.windows.count(), 30);
  EXPECT_GE(all.filters.count(), 30);
  EXPECT_GE(all.outputs.count(), 200);
  EXPECT_NEAR(all.reads.mean(), 1, 0.05);
  EXPECT_NEAR(all.windows.mean(), 1, 0.05);
  EXPECT_NEAR(all.filters.mean(), 1, 0.05);
  EXPECT_NEAR(all.outputs.mean(), 1, 0.1);
  EXPECT_EQ(all.kinds, (std::set<std::string>{"nchwf16", "nchwf32", "nhwcf16", "nhwcf32"}));
  EXPECT_EQ(all.tiles.size(), static_cast<std::size_t>(igemm::kTileCount));
}

}  // namespace
}  // namespace tconv::test
