// SPDX-License-Identifier: Apache-2.0
// test_gather_host.cpp: the kernel of the row `gather`, its own source compiled by the host
// compiler and run thread after thread, against the row `reference`. What a GPU does differently
// (its math functions, its memory) is for tests/gpu.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "src/host/cpu/reference.h"
#include "src/host/verify/verify.h"
#include "tests/host/cpu/strict_sums.h"
#include "tests/support/activation_ends.h"
#include "tests/support/cuda_on_host/gather_on_host.h"
#include "tests/support/fake_gpu.h"
#include "tests/support/support.h"

namespace tconv::test {
namespace {

enum class Width { as_planned, wide };

/// The whole buffer, so that a padding byte that was written is a difference.
Bytes reference_output(const Problem& problem, Operands& operands) {
  Bytes output(operands.output.size(), kPoison);
  Tensors tensors = operands.tensors();
  tensors.output = output.data();
  reference_conv2d_transpose(problem, tensors, 1);
  return output;
}

class GatherOnHost : public testing::Test {
 protected:
  GatherOnHost() {
    gpu_.on_launch = [this](const Launch& launch) {
      ++(is_wide(launch.kernel) ? wide_launches_ : narrow_launches_);
      run_on_host(launch);
    };
  }

  /// Prepares and launches as the planner and run do.
  void run_gather(const Problem& problem, const Tensors& tensors, Width width = Width::as_planned) {
    if (problem.empty_output()) return;
    if (width == Width::wide) return launch_wide(problem, tensors);
    const Kernel& row = gather_on_host();
    ASSERT_EQ(row.declines(problem, {}, gpu_.present[0]), "");
    const auto state = row.prepare(problem, 0, {}, gpu_.present[0]);
    row.launch(problem, *state, tensors, nullptr);
  }

  void expect_exact(const Problem& problem, uint64_t seed) {
    Operands operands = small_integers(problem, seed);
    const Bytes expected = reference_output(problem, operands);
    for (const Width width : {Width::as_planned, Width::wide}) {
      std::fill(operands.output.begin(), operands.output.end(), kPoison);
      run_gather(problem, operands.tensors(), width);
      const auto at = std::mismatch(expected.begin(), expected.end(), operands.output.begin());
      EXPECT_TRUE(at.first == expected.end())
          << problem.key() << " seed " << seed << (width == Width::wide ? " 64-bit" : "")
          << " differs at byte " << at.first - expected.begin();
    }
  }

  FakeGpu gpu_;
  int64_t narrow_launches_ = 0, wide_launches_ = 0;
};

TEST_F(GatherOnHost, EqualsTheReferenceOnSmallIntegers) {
  std::mt19937_64 random(20261123);
  const int problems = enumeration(30000, 4000);
  for (int i = 0; i < problems && !HasFailure(); ++i) {
    expect_exact(Problem(random_desc(random)), static_cast<uint64_t>(i));
  }
  // Both widths ran: none of these problems is large.
  EXPECT_GT(narrow_launches_, problems / 2);
  EXPECT_EQ(narrow_launches_, wide_launches_);
}

TEST_F(GatherOnHost, EqualsTheReferenceOnExtremeAxes) {
  std::mt19937_64 random(11);
  RandomLimits limits;
  limits.max_in = 40, limits.max_kernel = 33, limits.max_stride = 37, limits.max_dilation = 19;
  limits.max_channels = 3, limits.max_batch = 1;
  const int problems = enumeration(400, 60);
  for (int i = 0; i < problems && !HasFailure(); ++i) {
    ProblemDesc d = random_desc(random, limits);
    d.h = random_axis(random, RandomLimits{});  // the reference visits every tap of every output
    if (random() % 2 == 0) std::swap(d.h, d.w);
    d.input_strides = d.output_strides = d.residual_strides = {};
    expect_exact(Problem(d), static_cast<uint64_t>(i));
  }
}

TEST_F(GatherOnHost, TakesAStrideOf46889) {
  ProblemDesc d;
  d.w = {.in = 3, .kernel = 2, .stride = 46889, .dilation = 1, .pad_begin = 0, .out = 93780};
  d.has_bias = true;
  expect_exact(Problem(d), 1);
}

TEST_F(GatherOnHost, WritesWhatNoTapReaches) {
  ProblemDesc d;
  d.in_c = d.out_c = 2;
  d.h = {.in = 4, .kernel = 3, .stride = 4, .dilation = 2, .pad_begin = 1, .out = 19};
  d.w = {.in = 4, .kernel = 1, .stride = 3, .dilation = 1, .pad_begin = -2, .out = 20};
  for (const bool has_bias : {false, true}) {
    d.has_bias = has_bias;
    expect_exact(Problem(d), 2);
  }
}

TEST_F(GatherOnHost, WritesAnOutputWithoutInput) {
  for (const bool no_channels : {false, true}) {
    ProblemDesc d;
    d.out_c = 3;
    d.h.out = d.w.out = 5;
    d.has_bias = true;
    (no_channels ? d.in_c : d.h.in) = 0;
    d.input_strides = {.n = int64_t{1} << 60, .h = 7, .w = -3, .c = 1};  // of nothing: unchecked
    const Problem problem(d);
    Operands operands = small_integers(problem, 3);
    Tensors tensors = operands.tensors();
    tensors.input = nullptr;
    const Bytes expected = reference_output(problem, operands);
    run_gather(problem, tensors);
    EXPECT_EQ(operands.output, expected) << problem.key();
  }
}

TEST_F(GatherOnHost, TheResidualMayBeTheOutput) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 300; ++i) {
    ProblemDesc d = random_desc(random, {.zero_sizes = false});
    d.has_residual = true;
    d.residual_strides = d.output_strides;
    const Problem problem(d);
    Operands operands = small_integers(problem, static_cast<uint64_t>(i));
    Operands apart = operands;
    // Bytes between the elements are compared, too.
    apart.output = operands.residual;
    Tensors expected = apart.tensors();
    expected.residual = operands.residual.data();
    reference_conv2d_transpose(problem, expected, 1);
    Tensors in_place = operands.tensors();
    in_place.residual = in_place.output = operands.residual.data();
    run_gather(problem, in_place);
    ASSERT_EQ(operands.residual, apart.output) << problem.key();
  }
}

TEST_F(GatherOnHost, StaysWithinTheBoundOnUniformData) {
  std::mt19937_64 random(17);
  RandomLimits limits;
  limits.inexact_activations = true;
  const int problems = enumeration(3000, 600);
  for (int i = 0; i < problems && !HasFailure(); ++i) {
    const Problem problem(random_desc(random, limits));
    if (problem.empty_output()) continue;
    Operands operands = uniform(problem, static_cast<uint64_t>(i));
    run_gather(problem, operands.tensors());
    const VerifyReport report = verify(problem, operands.tensors(), {.threads = 1});
    EXPECT_TRUE(report.right()) << describe_mismatch(problem, report);
  }
}

TEST_F(GatherOnHost, ActivationsAreRightAtTheirEnds) {
  for (const DType type : {DType::f32, DType::f64}) {
    for (int activation = 0; activation <= 9; ++activation) {
      Operands operands;
      const Problem problem = activation_ends(type, static_cast<Activation>(activation), operands);
      run_gather(problem, operands.tensors());
      const VerifyReport report = verify(problem, operands.tensors(), {.threads = 1});
      EXPECT_TRUE(report.right()) << describe_mismatch(problem, report);
    }
  }
}

TEST_F(GatherOnHost, SumsAreFusedAndInOrder) {
  expect_sums_fused_and_in_order(
      [this](const Problem& problem, const Tensors& tensors) { run_gather(problem, tensors); });
}

TEST_F(GatherOnHost, RunsOnPrepackedFilters) {
  std::mt19937_64 random(29);
  for (int i = 0; i < 100; ++i) {
    const Problem problem(random_desc(random, {.zero_sizes = false}));
    const Options options{.prepacked_filters = true};
    const auto state = gather_on_host().prepare(problem, 0, options, gpu_.present[0]);
    Operands operands = small_integers(problem, static_cast<uint64_t>(i));
    const Bytes expected = reference_output(problem, operands);
    Bytes packed(state->packed_filter_bytes, kPoison);
    gather_on_host().prepack(problem, *state, operands.filters.data(), packed.data(), nullptr);
    EXPECT_EQ(gpu_.last_copy, Copy::on_device);
    Tensors tensors = operands.tensors();
    tensors.filters = packed.data();
    gather_on_host().launch(problem, *state, tensors, nullptr);
    ASSERT_EQ(operands.output, expected) << problem.key();
  }
}

}  // namespace
}  // namespace tconv::test
