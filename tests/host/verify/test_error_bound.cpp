// SPDX-License-Identifier: Apache-2.0
// test_error_bound.cpp: the error bound is wide enough for every order of summation and every
// activation; acceptance at the edges of each type. (And tight enough: test_error_bound_tight.cpp.)
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "src/host/cpu/reference.h"
#include "src/host/verify/verify.h"
#include "tests/host/verify/summation.h"
#include "tests/support/support.h"

namespace tconv::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// ---- acceptable(): every bound on the error becomes an interval of representable values. --------

bool fits(DType type, double got, double expected, double bound) {
  return acceptable(type, got, {.value = expected}, bound);
}

TEST(Acceptable, AllowsExactlyTheRoundingsOfTheInterval) {
  EXPECT_TRUE(fits(DType::f16, 1, 1, 0));
  EXPECT_FALSE(fits(DType::f16, 1 + 0x1p-10, 1, 0));
  EXPECT_FALSE(fits(DType::f16, 1 - 0x1p-11, 1, 0));
  // Half way between two values: without error only the even one, with any error both.
  EXPECT_TRUE(fits(DType::f16, 1, 1 + 0x1p-11, 0));
  EXPECT_FALSE(fits(DType::f16, 1 + 0x1p-10, 1 + 0x1p-11, 0));
  EXPECT_TRUE(fits(DType::f16, 1 + 0x1p-10, 1 + 0x1p-11, 0x1p-30));
  EXPECT_TRUE(fits(DType::f16, 1, 1 + 0x1p-11, 0x1p-30));
  EXPECT_TRUE(fits(DType::bf16, 1, 1 + 0x1p-8, 0));
  EXPECT_FALSE(fits(DType::bf16, 1 + 0x1p-7, 1 + 0x1p-8, 0));
  EXPECT_TRUE(fits(DType::f64, 1 + 0x1p-52, 1, 0x1p-52));
  EXPECT_FALSE(fits(DType::f64, 1 + 0x1p-51, 1, 0x1p-52));
}

TEST(Acceptable, RoundsToInfinityWhereTheTypeEnds) {
  EXPECT_TRUE(fits(DType::f16, 65504, 65519.9, 0));
  EXPECT_FALSE(fits(DType::f16, kInfinity, 65519.9, 0));
  EXPECT_TRUE(fits(DType::f16, kInfinity, 65520, 0));
  EXPECT_FALSE(fits(DType::f16, 65504, 65520, 0));
  EXPECT_TRUE(fits(DType::f16, 65504, 65520, 0.1));
  EXPECT_TRUE(fits(DType::f16, kInfinity, 65519.9, 0.1));
  EXPECT_FALSE(fits(DType::f16, -kInfinity, 65520, 0.1));
  EXPECT_TRUE(fits(DType::f32, kInfinity, 1e39, 1e30));
  EXPECT_FALSE(fits(DType::f32, std::numeric_limits<float>::max(), 1e39, 1e30));
}

TEST(Acceptable, KnowsSubnormals) {
  EXPECT_TRUE(fits(DType::f16, 0x1p-24, 0x1p-24, 0));
  EXPECT_FALSE(fits(DType::f16, 0, 0x1p-24, 0));
  EXPECT_TRUE(fits(DType::f16, 0, 0x1p-25, 0));  // a tie, to even
  EXPECT_FALSE(fits(DType::f16, 0x1p-24, 0x1p-25, 0));
  EXPECT_TRUE(fits(DType::f16, 0x1p-24, 0x1.8p-25, 0));
  EXPECT_TRUE(fits(DType::f32, 0, 0x1p-140, 0x1p-126));  // flushed
  EXPECT_FALSE(fits(DType::f32, 0, 0x1p-140, 0));
  EXPECT_TRUE(fits(DType::f32, -0.0, 0, 0));
}

TEST(Acceptable, NeverLetsNaNPassByComparison) {
  for (const DType type : {DType::f16, DType::bf16, DType::f32, DType::f64}) {
    for (const double bound : {0.0, 1.0, kInfinity}) {
      EXPECT_FALSE(fits(type, kNaN, 1, bound));
      EXPECT_FALSE(fits(type, 1, kNaN, bound));
      EXPECT_TRUE(fits(type, kNaN, kNaN, bound));
      EXPECT_TRUE(fits(type, kInfinity, kInfinity, bound));
      EXPECT_FALSE(fits(type, -kInfinity, kInfinity, bound));
      EXPECT_FALSE(fits(type, kNaN, kInfinity, bound));
    }
    EXPECT_FALSE(fits(type, 1, 1, kNaN));
    EXPECT_TRUE(fits(type, kInfinity, 1, kInfinity));
  }
}

// ---- The bound is wide enough. ------------------------------------------------------------------

/// A problem and its data.
struct Drawn {
  Problem problem;
  Operands data;
};

/// Long and short sums, slopes on both sides of 1.
ProblemDesc draw_desc(std::mt19937_64& random, const std::vector<DType>& dtypes,
                      Activation activation, double scale) {
  RandomLimits limits;
  limits.dtypes = dtypes;
  limits.max_in = 5, limits.max_channels = random() % 4 == 0 ? 64 : 8;
  ProblemDesc d = random_desc(random, limits);
  d.activation = activation;
  d.activation_a = d.activation_b = 0;
  if (activation == Activation::leaky_relu) d.activation_a = random() % 2 == 0 ? 0.1 : 3;
  if (activation == Activation::clamp) d.activation_a = -0.7 * scale, d.activation_b = 1.3 * scale;
  return d;
}

/// Products of one magnitude, `scale`.
Drawn draw(std::mt19937_64& random, const std::vector<DType>& dtypes, double scale,
           Activation activation) {
  const Problem problem(draw_desc(random, dtypes, activation, scale));
  std::uniform_real_distribution<double> value(-1, 1);
  const double root = std::sqrt(scale);
  return {problem, operands(
                       problem, [&](int64_t) { return root * value(random); },
                       [&](int64_t) { return 4 * value(random); })};
}

/// The worst case of the bound: a few products of +-1, many that are just too small to change a
/// truncated sum that has one of those.
Drawn draw_swamped(std::mt19937_64& random, Activation activation) {
  ProblemDesc d = draw_desc(random, {DType::f16, DType::bf16, DType::f32}, activation, 1);
  if (d.output_dtype != d.dtype) d.output_dtype = DType::f32;  // where little is lost at the end
  if (d.dtype == DType::f16) d.output_dtype = DType::f32;
  const Problem problem(d);
  const double sign = random() % 2 == 0 ? 1 : -1, lost = 0x1p-11 * (1 - 0x1p-8);
  Operands data = operands(
      problem, [&](int64_t) { return sign * (random() % 8 == 0 ? 0x1p12 : lost); },
      [&](int64_t) { return random() % 2 == 0 ? 4 : -4; });
  const auto fill = [](DType type, Bytes& bytes, double value) {
    for (std::size_t i = 0; i < bytes.size() / size_of(type); ++i) {
      store(type, bytes.data(), static_cast<int64_t>(i), value);
    }
  };
  fill(d.dtype, data.filters, 0x1p-12);
  fill(d.bias_dtype, data.bias, sign * lost * 0x1p-12);
  fill(d.output_dtype, data.residual, sign * lost * 0x1p-12);
  return {problem, std::move(data)};
}

class ActivationTest : public testing::TestWithParam<Activation> {};

/// Checks a few elements of one problem, summed in every way. Returns how many results that were.
int64_t expect_all_sums_within_bound(Drawn drawn) {
  const Problem& problem = drawn.problem;
  const ProblemDesc& d = problem.desc();
  const Tensors tensors = drawn.data.tensors();
  int64_t checked = 0;
  for (const Coordinate& at : stratified_sample(problem, 1, 8)) {
    const auto& [n, p, q, k] = at;
    const ExactElement exact = exact_element(problem, tensors, n, p, q, k);
    const double bound = error_bound(problem, exact);
    EXPECT_TRUE(std::isfinite(bound)) << problem.key();
    const double bias = d.has_bias ? load(d.bias_dtype, tensors.bias, k) : 0;
    const int64_t offset = d.residual_strides.offset(n, p, q, k);
    const double residual = d.has_residual ? load(d.output_dtype, tensors.residual, offset) : 0;
    for (const float sum : all_sums(factors(problem, tensors, at))) {
      const float x = toward_zero(toward_zero(sum + bias) + residual);
      const float y = activate_f32(d, x, static_cast<float>(exact.slope));
      const double got = rounded(d.output_dtype, y);
      EXPECT_TRUE(acceptable(d.output_dtype, got, exact, bound))
          << problem.key() << " at " << n << "," << p << "," << q << "," << k << ": got " << got
          << ", exactly " << exact.value << ", bound " << bound;
      ++checked;
    }
  }
  return checked;
}

TEST_P(ActivationTest, EveryOrderOfSummationStaysWithinTheBound) {
  std::mt19937_64 random(static_cast<uint64_t>(GetParam()) + 1);
  int64_t checked = 0;
  for (int i = 0; i < enumeration(1500, 150) && !HasFailure(); ++i) {
    const double scale = std::array{1.0, 1.0, 30.0, 1e-3, 1e-37}[random() % 5];
    checked += expect_all_sums_within_bound(
        i % 3 == 0 ? draw_swamped(random, GetParam())
                   : draw(random, {DType::f16, DType::bf16, DType::f32}, scale, GetParam()));
  }
  EXPECT_GT(checked, 10000);
}

// The sum's error, moved through the activation: a shift by the whole bound of the sum must stay
// within the bound of the element, and some shift must nearly use it up.
TEST_P(ActivationTest, BoundFollowsTheSlopeOfTheActivation) {
  ProblemDesc d;
  const Problem bare(d);
  d.activation = GetParam();
  if (d.activation == Activation::leaky_relu) d.activation_a = -2.5;
  if (d.activation == Activation::clamp) d.activation_a = -0.5, d.activation_b = 1.5;
  const Problem problem(d);
  double most_used = 0;
  for (const double slope : {0.25, 3.0}) {
    for (double x = -4; x <= 4; x += 0x1p-10) {
      const ExactElement sum{.value = x, .magnitude = 4, .terms = 100000};
      const double shift = error_bound(bare, sum);
      ExactElement element = sum;
      element.value = activate(d, x, slope), element.slope = slope;
      const double bound = error_bound(problem, element);
      for (const double moved : {x - shift, x + shift}) {
        const double used = std::fabs(activate(d, moved, slope) - element.value) / bound;
        EXPECT_LE(used, 1 + 1e-9) << x;
        most_used = std::max(most_used, used);
      }
    }
  }
  EXPECT_GT(most_used, 0.97);
}

constexpr Activation kActivations[] = {
    Activation::identity,  Activation::relu,    Activation::leaky_relu, Activation::prelu,
    Activation::clamp,     Activation::sigmoid, Activation::tanh,       Activation::gelu,
    Activation::gelu_tanh, Activation::silu};
INSTANTIATE_TEST_SUITE_P(All, ActivationTest, testing::ValuesIn(kActivations),
                         [](const auto& test) { return std::string(name_of(test.param)); });

TEST(ErrorBound, HoldsForDoublesInAnyOrderAndSeesALostDigit) {
  std::mt19937_64 random(5);
  int64_t checked = 0;
  for (int i = 0; i < enumeration(2000, 300); ++i) {
    auto [problem, data] = draw(random, {DType::f64}, 1, Activation::identity);
    const ProblemDesc& d = problem.desc();
    const Tensors tensors = data.tensors();
    for (const auto& [n, p, q, k] : stratified_sample(problem, 1, 8)) {
      const ExactElement exact = exact_element(problem, tensors, n, p, q, k);
      const double bound = error_bound(problem, exact);
      auto terms = factors(problem, tensors, {n, p, q, k});
      for (int order = 0; order < 3; ++order) {
        if (order == 1) std::ranges::reverse(terms);
        if (order == 2) {
          std::ranges::sort(terms, std::greater{}, [](auto& f) { return f.first * f.second; });
        }
        double sum = d.has_bias ? load(d.bias_dtype, tensors.bias, k) : 0;
        for (const auto& [x, f] : terms) sum = std::fma(x, f, sum);
        if (d.has_residual) {
          sum += load(DType::f64, tensors.residual, d.residual_strides.offset(n, p, q, k));
        }
        EXPECT_TRUE(acceptable(DType::f64, sum, exact, bound)) << problem.key();
        EXPECT_FALSE(acceptable(DType::f64, sum + 1e-10, exact, bound)) << problem.key();
        ++checked;
      }
    }
  }
  EXPECT_GT(checked, 3000);
}

// ---- Sums that overflow on the way. -------------------------------------------------------------

ExactElement sum_of(double up, double down, int64_t terms = 4) {
  return {.value = up - down,
          .magnitude = up + down,
          .terms = terms,
          .sum = up - down,
          .up = up,
          .down = down};
}

TEST(Overflow, IsWhereTheAddendsOfOneSignReachTheEnd) {
  ProblemDesc d;
  d.in_c = 4;
  const Problem problem(d);
  const auto ends = [&](double up, double down, Math math = Math::strict) {
    const auto [reaches_up, reaches_down] = overflow_of(problem.desc(), sum_of(up, down), math);
    return std::string(reaches_up ? "+" : "") + (reaches_down ? "-" : "");
  };
  EXPECT_EQ(ends(3.4e38, 3.4e38), "");
  EXPECT_EQ(ends(3.5e38, 3.4e38), "+");
  EXPECT_EQ(ends(0, 3.5e38), "-");
  EXPECT_EQ(ends(3.5e38, 3.5e38), "+-");
  EXPECT_EQ(ends(3.4e38, 0, Math::tf32), "+");  // rounded upwards each operand, one product does
  d.dtype = d.output_dtype = d.bias_dtype = DType::f64;
  EXPECT_FALSE(overflow_of(Problem(d).desc(), sum_of(3.5e38, 3.5e38)).up);
}

TEST(Overflow, ExplainsInfinitiesAndInfMinusInfAndNothingElse) {
  const Problem problem(ProblemDesc{});
  const auto explained = [&](double got, const ExactElement& exact) {
    return explained_by_overflow(problem.desc(), got, exact);
  };
  const ExactElement both = sum_of(1e39, 1e39), up = sum_of(5e38, 4.9e38 / 2), none = sum_of(1, 2);
  for (const double got : {kInfinity, -kInfinity, kNaN}) {
    EXPECT_TRUE(explained(got, both)) << got;
    EXPECT_FALSE(explained(got, none)) << got;
    EXPECT_EQ(explained(got, up), got == kInfinity) << got;
  }
  EXPECT_FALSE(explained(0, both)) << "what is finite has its bound";
  EXPECT_TRUE(std::isfinite(error_bound(problem, both)));
  EXPECT_FALSE(acceptable(DType::f32, 1e38, both, error_bound(problem, both)));
  // An operand is -inf, and the others reach the other end.
  ExactElement with_infinity = sum_of(1e39, 0);
  with_infinity.magnitude = kInfinity;
  with_infinity.sum = with_infinity.value = -kInfinity;
  EXPECT_TRUE(explained(kNaN, with_infinity));
  with_infinity.up = 1;
  EXPECT_FALSE(explained(kNaN, with_infinity));
}

TEST(Overflow, GoesThroughTheActivation) {
  ProblemDesc d;
  d.activation = Activation::relu;
  const ExactElement both = sum_of(1e39, 1e39);
  EXPECT_TRUE(explained_by_overflow(d, 0, both)) << "relu(-inf)";
  EXPECT_TRUE(explained_by_overflow(d, kNaN, both));
  EXPECT_FALSE(explained_by_overflow(d, -kInfinity, both));
  d.activation = Activation::sigmoid;
  EXPECT_TRUE(explained_by_overflow(d, 1, both));
  EXPECT_FALSE(explained_by_overflow(d, 0.25, both));
}

TEST(Overflow, OfTheReferenceItselfLeavesOnlyNaNToBeJudged) {
  ProblemDesc d;
  d.dtype = d.output_dtype = d.bias_dtype = DType::f64;
  ExactElement unknown = sum_of(1.7e308, 5);
  unknown.up = kInfinity, unknown.sum = unknown.value = kInfinity;
  EXPECT_TRUE(explained_by_overflow(d, 1e307, unknown));
  EXPECT_FALSE(explained_by_overflow(d, kNaN, unknown)) << "no sum reaches the other end";
  unknown.down = kInfinity, unknown.sum = unknown.value = kNaN;
  EXPECT_TRUE(explained_by_overflow(d, kNaN, unknown));
}

// An infinite operand has no error to hide behind.
TEST(ErrorBound, OfInfiniteSumsIsThatOfTheActivation) {
  ProblemDesc d;
  d.activation = Activation::relu;
  ExactElement exact{.value = 0, .magnitude = kInfinity, .terms = 4, .sum = -kInfinity};
  EXPECT_EQ(error_bound(d, exact), 0);
  d.activation = Activation::sigmoid;
  exact.value = 1, exact.sum = kInfinity;
  EXPECT_LT(error_bound(d, exact), 1e-5);
}

TEST(ErrorBound, KnowsThatAClampLimitIsRoundedToF32) {
  // As f32 the limit is half way between 1 and the next f16, and rounds to 1; exactly it is above.
  ProblemDesc d;
  d.activation = Activation::clamp;
  d.activation_a = 1 + 0x1p-11 + 0x1p-40, d.activation_b = 1e30;
  d.output_dtype = DType::f16;
  const Problem problem(d);
  const ExactElement at_limit{.value = d.activation_a, .magnitude = 0, .terms = 0};
  EXPECT_TRUE(acceptable(DType::f16, 1, at_limit, error_bound(problem, at_limit)));
  EXPECT_TRUE(acceptable(DType::f16, 1 + 0x1p-10, at_limit, error_bound(problem, at_limit)));
  // A limit that is out of reach, however inexact, adds nothing.
  EXPECT_LT(error_bound(problem, {.value = 2, .magnitude = 2, .terms = 1}), 1e-6);
}

/// `x` moved by `ulps` units in the last place.
float off(float x, int ulps) {
  for (int i = 0; i < std::abs(ulps); ++i) {
    x = std::nextafter(x, ulps < 0 ? -HUGE_VALF : HUGE_VALF);
  }
  return x;
}

/// exp, erf and tanh wrong by `ulps`, everything around them cut off toward zero.
float activate_coarsely(Activation activation, float x, int ulps) {
  const auto z = [](double value) { return toward_zero(value); };
  const auto half_x_times = [&](float bracket) { return z(double{z(0.5 * x)} * bracket); };
  switch (activation) {
    case Activation::tanh: return off(std::tanh(x), ulps);
    case Activation::gelu:
      return half_x_times(z(1.0 + off(std::erf(z(double{x} * 0.70710678F)), ulps)));
    case Activation::gelu_tanh: {
      const float cube = z(double{z(double{x} * x)} * x);
      const float inner = z(double{x} + z(double{0.044715F} * cube));
      return half_x_times(z(1.0 + off(std::tanh(z(double{0.79788456F} * inner)), ulps)));
    }
    default: {
      const float denominator = z(1.0 + off(std::exp(-x), ulps));
      return z((activation == Activation::silu ? double{x} : 1.0) / denominator);
    }
  }
}

TEST(ErrorBound, AllowsFunctionsThatAreFourUnitsOffInTheLastPlace) {
  ProblemDesc d;
  for (const Activation activation : {Activation::sigmoid, Activation::tanh, Activation::gelu,
                                      Activation::gelu_tanh, Activation::silu}) {
    d.activation = activation;
    const Problem problem(d);
    for (float x = -120; x < 20; x += 0x1.23p-8F) {
      const ExactElement exact{.value = activate(d, x, 0), .magnitude = std::fabs(x), .terms = 1};
      for (const int ulps : {-4, 0, 4}) {
        const float y = activate_coarsely(activation, x, ulps);
        ASSERT_TRUE(acceptable(DType::f32, y, exact, error_bound(problem, exact)))
            << name_of(activation) << "(" << x << "), off by " << ulps;
      }
    }
  }
}

TEST(ErrorBound, IsZeroWhereNothingIsAdded) {
  EXPECT_EQ(error_bound(Problem(ProblemDesc{}), {.value = 0, .magnitude = 0, .terms = 0}), 0);
}

}  // namespace
}  // namespace tconv::test
