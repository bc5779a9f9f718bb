// SPDX-License-Identifier: Apache-2.0
// test_simd_numbers.cpp: what rounds stays within the derived bound, and what is no number stays
// where the definition has it.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "src/host/verify/verify.h"
#include "tests/host/cpu/simd/simd_runs.h"
#include "tests/host/cpu/strict_sums.h"

namespace tconv::test {
namespace {

// ---- Numbers that round, and numbers that are none. ---------------------------------------------

void expect_within_bound(const Problem& problem, uint64_t seed) {
  Operands operands = uniform(problem, seed);
  for (const int tile : tiles_for(problem)) {
    Prepared(problem, tile, {.threads = 1}, operands.filters.data()).launch(operands.tensors());
    const VerifyReport report = verify(problem, operands.tensors(), {.threads = 1});
    EXPECT_TRUE(report.right()) << problem.key() << " " << name_of_tile(tile) << "\n"
                                << describe_mismatch(problem, report);
  }
}

TEST(Simd, StaysWithinTheBoundForEveryActivation) {
  for (int activation = 0; activation <= static_cast<int>(Activation::silu); ++activation) {
    for (const DType type : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
      for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
        ProblemDesc d = dense_desc(1, 33, 19, kUp2, kUp2);
        d.layout = layout;
        d.dtype = d.output_dtype = d.bias_dtype = type;
        d.alignment = 8;
        d.has_bias = true;
        d.activation = static_cast<Activation>(activation);
        if (d.activation == Activation::leaky_relu) d.activation_a = 0.1;
        if (d.activation == Activation::clamp) d.activation_a = -0.3, d.activation_b = 0.7;
        expect_within_bound(Problem(d), static_cast<uint64_t>(activation));
      }
    }
  }
}

// One tap of one channel: the activation of a number that is read, from where it is zero to where
// it overflows. The bound's share for the sum is then next to nothing.
TEST(Simd, ActivatesEveryMagnitude) {
  const Axis line{.in = 4001, .kernel = 1, .stride = 1, .dilation = 1, .pad_begin = 0, .out = 4001};
  for (int activation = 0; activation <= static_cast<int>(Activation::silu); ++activation) {
    for (const DType type : {DType::f32, DType::f64}) {
      ProblemDesc d = dense_desc(1, 1, 1, Axis{}, line);
      d.dtype = d.output_dtype = d.bias_dtype = type;
      d.alignment = 8;
      d.activation = static_cast<Activation>(activation);
      if (d.activation == Activation::leaky_relu) d.activation_a = 0.1;
      if (d.activation == Activation::clamp) d.activation_a = -0.3, d.activation_b = 0.7;
      const Problem problem(d);
      Operands operands = uniform(problem, 1);
      store(type, operands.filters.data(), 0, 1);
      for (int64_t i = 0; i < line.in; ++i) {
        const double magnitude = std::exp2(static_cast<double>(i / 2) / 2000 * 160 - 130);
        store(type, operands.input.data(), i, i % 2 == 0 ? magnitude : -magnitude);
      }
      for (const int tile : tiles_for(problem)) {
        Prepared(problem, tile, {.threads = 1}, operands.filters.data()).launch(operands.tensors());
        const VerifyReport report = verify(problem, operands.tensors(), {.threads = 1});
        EXPECT_TRUE(report.right()) << problem.key() << " " << name_of_tile(tile) << "\n"
                                    << describe_mismatch(problem, report);
      }
    }
  }
}

TEST(Simd, StaysWithinTheBoundOnRandomProblems) {
  std::mt19937_64 random(5);
  RandomLimits limits;
  limits.inexact_activations = true, limits.zero_sizes = false, limits.max_channels = 24;
  for (int i = 0; i < enumeration(1000, 40) && !HasFailure(); ++i) {
    expect_within_bound(Problem(random_desc(random, limits)), static_cast<uint64_t>(i));
  }
}

// The methods `tiles` and `depthwise` add as the formula says, so that gather's strict sums are
// theirs.
TEST(Simd, TilesAddInTheOrderOfTheFormula) {
  expect_sums_fused_and_in_order([](const Problem& problem, const Tensors& tensors) {
    const int tile = tiles_for(problem).front();
    ASSERT_EQ(name_of_tile(tile).substr(0, 5), "tiles");
    if (name_of_tile(tile) == "tiles_portable")
      return reference_conv2d_transpose(problem, tensors, 1);
    Prepared(problem, tile, {.threads = 1}, tensors.filters).launch(tensors);
  });
}

// However work is cut and wherever an output lies in a vector, near a border or not, its sum has
// one order: alike inputs give alike bits.
TEST(Simd, AddsInOneOrderWhereverAnOutputLies) {
  for (const Layout layout : {Layout::nchw, Layout::nhwc}) {
    for (const int64_t in_c : {1, 7}) {
      Axis long_axis{.in = 53, .kernel = 7, .stride = 2, .dilation = 1, .pad_begin = 3, .out = 105};
      ProblemDesc d = dense_desc(1, in_c, 3, long_axis, long_axis);
      d.layout = layout;
      const Problem problem(d);
      Operands operands = uniform(problem, 4);
      for (int64_t n = 1; n < problem.input_extents().count(); ++n) {
        store(DType::f32, operands.input.data(), n, load(DType::f32, operands.input.data(), 0));
      }
      for (const int tile : tiles_for(problem)) {
        Prepared(problem, tile, {.threads = 1}, operands.filters.data()).launch(operands.tensors());
        const auto at = [&](int64_t p, int64_t q, int64_t k) {
          return load(DType::f32, operands.output.data(),
                      problem.desc().output_strides.offset(0, p, q, k));
        };
        for (int64_t k = 0; k < 3; ++k) {
          for (int64_t p = 6; p < 98; ++p) {
            for (int64_t q = 6; q < 98; ++q) {
              ASSERT_EQ(at(p, q, k), at(6 + p % 2, 6 + q % 2, k))
                  << problem.key() << " " << name_of_tile(tile) << " " << p << "," << q;
            }
          }
        }
      }
    }
  }
}

// A product with a pixel that does not exist is not made: infinite filters at the border stay
// unseen where their taps miss the input.
TEST(Simd, MultipliesNothingBeyondTheBorder) {
  for (const int64_t channels : {3, 40}) {
    const Problem problem(dense_desc(2, 5, channels, kUp2, kUp2));
    Operands operands = small_integers(problem, 8);
    const FilterStrides f = problem.filter_strides();
    for (int64_t k = 0; k < channels; ++k) {
      for (int64_t c = 0; c < 5; ++c) {
        store(DType::f32, operands.filters.data(), f.offset(3, 0, k, c),
              std::numeric_limits<double>::infinity());
      }
    }
    Bytes expected = reference_output(problem, operands);
    const auto nans = [&](const Bytes& bytes) {
      int64_t count = 0;
      for (std::size_t i = 0; i < bytes.size() / sizeof(float); ++i) {
        count += std::isnan(load(DType::f32, bytes.data(), static_cast<int64_t>(i))) ? 1 : 0;
      }
      return count;
    };
    for (const int tile : tiles_for(problem)) {
      Prepared(problem, tile, {}, operands.filters.data()).launch(operands.tensors());
      EXPECT_EQ(nans(operands.output), nans(expected)) << name_of_tile(tile);
    }
    EXPECT_LT(nans(expected), static_cast<int64_t>(expected.size() / sizeof(float)));
  }
}

}  // namespace
}  // namespace tconv::test
