// SPDX-License-Identifier: Apache-2.0
// test_igemm_counters_emulated.cpp: what igemm_sm80/prediction.h predicts is what the emulator
// counts.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "src/cuda/igemm_sm80/prediction.h"
#include "src/host/plan/plan.h"
#include "tests/emulator/emulator.h"
#include "tests/gpu/device_operands.h"

namespace tconv::test {
namespace {

/// in, kernel, stride, padding, dilation of one axis.
Axis axis(int64_t in, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation = 1) {
  Axis a = {.in = in, .kernel = kernel, .stride = stride, .dilation = dilation, .pad_begin = pad};
  a.out = a.full() - 2 * pad;
  return a;
}

ProblemDesc problem_of(int64_t batch, int64_t in_c, int64_t out_c, const Axis& h, const Axis& w,
                       int64_t groups = 1) {
  ProblemDesc d;
  d.batch = batch, d.in_c = in_c, d.out_c = out_c, d.groups = groups;
  d.h = h, d.w = w;
  d.dtype = d.output_dtype = d.bias_dtype = DType::f16;
  return d;
}

/// Each of them with every tile that takes it. Channels that are whole chunks, parts of one, odd;
/// ragged boxes, one pixel, images within a box, dilation, groups.
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
      problem_of(2, 99, 63, axis(8, 4, 2, 1), axis(7, 4, 2, 1), 3),
      problem_of(2, 64, 48, axis(8, 4, 2, 1), axis(7, 4, 2, 1), 4),
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

/// Types, layouts, activations and residuals take turns.
ProblemDesc varied(ProblemDesc d, std::size_t i) {
  if (i % 4 == 0) d.dtype = d.output_dtype = d.bias_dtype = DType::f32;
  if (i % 3 == 2) d.layout = Layout::nchw;
  if (i % 3 == 1) d.output_dtype = DType::f32;
  if (i % 4 == 1 || i % 6 == 3) d.filter_order = FilterOrder::ihwo;
  if (i % 4 == 2) d.has_residual = true;
  if (i % 5 == 3) d.activation = Activation::clamp;
  if (i % 7 == 4) d.input_strides = dense_strides(d.layout, {d.batch, d.h.in, d.w.in + 1, d.in_c});
  if (i % 7 == 5) {
    d.output_strides = dense_strides(d.layout, {d.batch, d.h.out, d.w.out, d.out_c + 4});
  }
  return d;
}

/// With `at_most`, the predicted are a bound of the counted ones.
void expect(const PredictedRequests& predicted, const emulator::Requests& counted, bool at_most,
            const char* name) {
  const auto requests = static_cast<double>(counted.requests);
  const auto sectors = static_cast<double>(counted.sectors);
  if (at_most) {
    EXPECT_LE(requests, predicted.requests) << name;
    EXPECT_LE(sectors, predicted.sectors) << name;
  } else {
    EXPECT_EQ(requests, predicted.requests) << name;
    EXPECT_EQ(sectors, predicted.sectors) << name;
  }
}

/// Whether a tile takes a problem, and whether all its counters are predicted exactly.
struct Compared {
  bool taken = false, exact = false, stationary = false;
};

Compared compare(const Problem& problem, const IgemmTile& tile, Math math, int cores = 0) {
  emulator::configure({.check_memory = false, .check_races = false, .count = true, .cores = cores});
  const DeviceFacts device = cuda_facts();
  const IgemmPlan plan = plan_igemm(problem, tile, device, math);
  if (!plan.refused.empty()) {
    emulator::configure({});
    return {};
  }
  const Options options = {
      .device = DeviceKind::cuda, .kernels = {"igemm_sm80"}, .tile = tile.name, .math = math};
  const DeviceOperands operands(small_integers(problem, 1));
  emulator::forget_reports();
  run_on_device(make_plan(problem, options), operands.tensors());
  emulator::configure({});
  emulator::Counters counted;  // a launch of its own fills in
  for (const emulator::Report& report : emulator::reports()) counted.add(report.counters);
  const PlanCounters predicted = count_igemm(problem, tile, plan, device);
  EXPECT_EQ(predicted.blocks, static_cast<double>(counted.blocks));
  EXPECT_EQ(predicted.issued_macs, static_cast<double>(counted.multiply_adds));
  EXPECT_EQ(predicted.shared_wavefronts, static_cast<double>(counted.ldmatrix.wavefronts));
  const bool fills = plan.fill_blocks > 0 && plan.params.splits == 1;
  expect(predicted.copies, counted.async_copies, false, "copies");
  expect(predicted.loads, counted.global_loads, fills, "loads");
  expect(predicted.stores, counted.global_stores, fills, "stores");
  return {true, !fills, plan.params.stationary != 0};
}

TEST(IgemmCounters, AreWhatTheEmulatorCounts) {
  int compared = 0, exact = 0, ihwo = 0, stationary = 0;
  const std::vector<ProblemDesc> problems = small_problems();
  std::set<std::string> tiles, kinds;
  for (std::size_t i = 0; i < 35; ++i) {
    const Problem problem(varied(problems[i % problems.size()], i));
    for (const IgemmTile& tile : kIgemmTiles) {
      SCOPED_TRACE(problem.key() + " tile " + tile.name);
      const Math math = i % 8 == 4 ? Math::tf32x3 : Math::tf32;
      const Compared result = compare(problem, tile, math);
      if (!result.taken) continue;
      // On a GPU of one core blocks have several boxes.
      stationary += compare(problem, tile, math, 1).stationary ? 1 : 0;
      ++compared;
      if (!result.exact) continue;
      ++exact;
      ihwo += problem.desc().filter_order == FilterOrder::ihwo ? 1 : 0;
      kinds.insert(std::string(name_of(problem.desc().layout)) + name_of(problem.desc().dtype));
      tiles.insert(tile.name);
    }
  }
  // Planes of one pixel are copied as channels are.
  ProblemDesc pixels = problem_of(70, 72, 24, axis(1, 4, 1, 0), axis(1, 4, 1, 0));
  pixels.layout = Layout::nchw;
  pixels.alignment = 16;
  for (const IgemmTile& tile : kIgemmTiles) compare(Problem(pixels), tile, Math::tf32);
  EXPECT_GE(exact, 50) << "of " << compared;
  EXPECT_GE(ihwo, 10);
  EXPECT_GE(stationary, 20);
  EXPECT_EQ(kinds, (std::set<std::string>{"nchwf16", "nchwf32", "nhwcf16", "nhwcf32"}));
  EXPECT_EQ(tiles.size(), static_cast<std::size_t>(kIgemmTileCount));
}

}  // namespace
}  // namespace tconv::test
