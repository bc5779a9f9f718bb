// SPDX-License-Identifier: Apache-2.0
// test_verify.cpp: the error bound from both sides (wide enough for every order of summation, tight
// enough for a missing tap), acceptance at the edges of each type, the stratified sample, and
// planted errors that verify() must find.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>
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

TEST(ErrorBound, IsInfiniteWhereAnF32SumMayOverflow) {
  ProblemDesc d;
  d.in_c = 4;
  const Problem problem(d);
  EXPECT_TRUE(std::isfinite(error_bound(problem, {.value = 0, .magnitude = 3.4e38, .terms = 4})));
  EXPECT_EQ(error_bound(problem, {.value = 0, .magnitude = 3.5e38, .terms = 4}), kInfinity);
  EXPECT_EQ(error_bound(problem, {.value = 0, .magnitude = kInfinity, .terms = 4}), kInfinity);
  d.dtype = d.output_dtype = d.bias_dtype = DType::f64;
  EXPECT_TRUE(
      std::isfinite(error_bound(Problem(d), {.value = 0, .magnitude = 3.5e38, .terms = 4})));
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

// ---- f32 by TF32.
// ---------------------------------------------------------------------------------

/// To `bits` significant bits, ties away from zero, as cvt.rna does.
float to_bits(float x, int bits) {
  int exponent = 0;
  const double fraction = std::frexp(static_cast<double>(x), &exponent);
  return static_cast<float>(std::ldexp(std::round(std::ldexp(fraction, bits)), exponent - bits));
}

/// What verify says of x*w, exact, when the product was made of operands with so many bits.
bool accepts_product(float x, float w, int bits, Math math) {
  const Problem problem(ProblemDesc{});
  float output = static_cast<float>(double{to_bits(x, bits)} * to_bits(w, bits));
  const Tensors tensors = {.input = &x, .filters = &w, .output = &output};
  return verify(problem, tensors, {.threads = 1, .math = math}).right();
}

TEST(ErrorBound, AllowsOperandsOfTf32WhereTheCallerDoes) {
  std::mt19937 random(5);
  std::uniform_real_distribution<float> value(1, 2);
  int strict = 0;
  constexpr int kTries = 1000;
  for (int i = 0; i < kTries; ++i) {
    const float x = value(random), w = -value(random);
    EXPECT_TRUE(accepts_product(x, w, 11, Math::tf32));
    strict += accepts_product(x, w, 11, Math::strict) ? 1 : 0;
    EXPECT_FALSE(accepts_product(x, w, 11, Math::tf32x3) && !accepts_product(x, w, 11, Math::tf32));
  }
  EXPECT_LT(strict, kTries / 20);
  // As far off as TF32 can be: both operands in the middle between two of its numbers.
  const float middle = 1 + 0x1p-11F;
  EXPECT_TRUE(accepts_product(middle, middle, 11, Math::tf32));
  EXPECT_FALSE(accepts_product(middle, middle, 11, Math::tf32x3));
  // bf16 and f16's neighbours with 8 to 10 bits are not TF32.
  EXPECT_FALSE(accepts_product(1 + 0x1p-10F, 1 + 0x1p-10F, 10, Math::tf32));
  EXPECT_FALSE(accepts_product(1 + 0x1p-8F, 1 + 0x1p-8F, 8, Math::tf32));
}

TEST(ErrorBound, AllowsThreeProductsOfTf32WhereTheCallerDoes) {
  std::mt19937 random(6);
  std::uniform_real_distribution<float> value(1, 2);
  const Problem problem(ProblemDesc{});
  for (int i = 0; i < 1000; ++i) {
    const float x = value(random), w = value(random);
    const float x1 = to_bits(x, 11), w1 = to_bits(w, 11);
    const float x2 = to_bits(x - x1, 11), w2 = to_bits(w - w1, 11);
    float output = static_cast<float>(double{x1} * w1 + double{x1} * w2 + double{x2} * w1);
    const Tensors tensors = {.input = &x, .filters = &w, .output = &output};
    EXPECT_TRUE(verify(problem, tensors, {.threads = 1, .math = Math::tf32x3}).right());
    output += output * 0x1p-19F;
    EXPECT_FALSE(verify(problem, tensors, {.threads = 1, .math = Math::tf32x3}).right());
  }
}

/// The three products that are added for each.
std::vector<std::pair<double, double>> split_factors(const std::vector<float>& x,
                                                     const std::vector<float>& w) {
  std::vector<std::pair<double, double>> result;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float x1 = to_bits(x[i], 11), w1 = to_bits(w[i], 11);
    result.emplace_back(to_bits(x[i] - x1, 11), w1);
    result.emplace_back(x1, to_bits(w[i] - w1, 11));
    result.emplace_back(x1, w1);
  }
  return result;
}

// A large sum meets small products: each of three additions is cut off, more than is allowed for
// one a product.
TEST(ErrorBound, CountsEachOfThreeProducts) {
  std::mt19937 random(7);
  ProblemDesc d;
  d.in_c = 200;
  const Problem problem(d);
  double most = 0;
  for (int i = 0; i < 50; ++i) {
    std::uniform_real_distribution<float> value(0x1p-6F, 0x1p-5F);
    std::vector<float> x(200), w(200);
    std::ranges::generate(x, [&] { return value(random); });
    std::ranges::generate(w, [&] { return value(random); });
    x[0] = w[0] = 1;
    Tensors tensors = {.input = x.data(), .filters = w.data()};
    const ExactElement exact = exact_element(problem, tensors, 0, 0, 0, 0);
    for (const float sum : all_sums(split_factors(x, w))) {
      tensors.output = const_cast<float*>(&sum);
      EXPECT_TRUE(verify(problem, tensors, {.threads = 1, .math = Math::tf32x3}).right());
      most = std::max(most, std::fabs(sum - exact.value) / exact.magnitude);
    }
  }
  EXPECT_GT(most, 200 * 0x1p-23 + 3 * 0x1p-22);
}

TEST(ErrorBound, TakesMathForF32Alone) {
  ProblemDesc d;
  d.dtype = d.output_dtype = d.bias_dtype = DType::f16;
  const ExactElement exact{.value = 1, .magnitude = 1, .terms = 1};
  EXPECT_EQ(error_bound(Problem(d), exact, Math::tf32), error_bound(Problem(d), exact));
}

// ---- The bound is tight enough. -----------------------------------------------------------------

/// Uniform data and a result that `alter` may damage; returns what verify() says.
template <typename Alter>
VerifyReport verify_altered(const Problem& problem, uint64_t seed, Alter&& alter) {
  Operands truth = uniform(problem, seed);
  Operands altered = truth;
  alter(altered);
  reference_conv2d_transpose(problem, altered.tensors(), 1);
  Tensors tensors = truth.tensors();
  tensors.output = altered.output.data();
  return verify(problem, tensors, {.scope = VerifyScope::whole, .threads = 1});
}

ProblemDesc dense_desc(std::mt19937_64& random) {
  RandomLimits limits;
  limits.dtypes = {DType::f32};
  limits.zero_sizes = limits.strided_tensors = false;
  ProblemDesc d = random_desc(random, limits);
  for (Axis* axis : {&d.h, &d.w}) {  // every tap meets an input
    axis->in = 6, axis->pad_begin = 0, axis->out = axis->full();
  }
  d.activation = Activation::identity;
  return d;
}

/// The 10 fraction bits of TF32.
void round_to_tf32(Bytes& data) {
  for (std::size_t i = 0; i + 4 <= data.size() - 1; i += 4) {
    float x = 0;
    std::memcpy(&x, data.data() + i, 4);
    const double scale = std::ldexp(1, 10 - std::ilogb(x));
    x = static_cast<float>(std::nearbyint(x * scale) / scale);
    std::memcpy(data.data() + i, &x, 4);
  }
}

/// Outputs that some tap reaches, counted by scattering.
int64_t reached_outputs(const Axis& axis) {
  std::set<int64_t> reached;
  for (int64_t i = 0; i < axis.in; ++i) {
    for (int64_t r = 0; r < axis.kernel; ++r) {
      reached.insert(i * axis.stride - axis.pad_begin + r * axis.dilation);
    }
  }
  return std::ranges::count_if(reached, [&](int64_t p) { return 0 <= p && p < axis.out; });
}

TEST(ErrorBound, SeesOperandsThatWereRoundedToTf32) {
  std::mt19937_64 random(6);
  for (int i = 0; i < 200; ++i) {
    ProblemDesc d = dense_desc(random);
    d.output_dtype = DType::f32;
    const Problem problem(d);
    EXPECT_TRUE(verify_altered(problem, 1, [](Operands&) {}).right());
    const VerifyReport report = verify_altered(problem, 1, [](Operands& data) {
      round_to_tf32(data.input);
      round_to_tf32(data.filters);
    });
    const int64_t reached = d.batch * reached_outputs(d.h) * reached_outputs(d.w) * d.out_c;
    EXPECT_GT(report.mismatches, reached * 3 / 4) << problem.key();
    EXPECT_GT(report.worst_ratio, 1);
  }
}

TEST(ErrorBound, SeesAMissingTap) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 200; ++i) {
    ProblemDesc d = dense_desc(random);
    d.output_dtype = std::array{DType::f16, DType::bf16, DType::f32}[random() % 3];
    const Problem problem(d);
    const FilterStrides f = problem.filter_strides();
    const auto r = static_cast<int64_t>(random() % static_cast<uint64_t>(d.h.kernel));
    const auto s = static_cast<int64_t>(random() % static_cast<uint64_t>(d.w.kernel));
    const VerifyReport report = verify_altered(problem, 1, [&](Operands& data) {
      for (int64_t k = 0; k < problem.out_c_per_group(); ++k) {
        for (int64_t c = 0; c < d.in_c; ++c)
          store(d.dtype, data.filters.data(), f.offset(r, s, k, c), 0);
      }
    });
    EXPECT_GT(report.mismatches, 0) << problem.key();
  }
}

}  // namespace
}  // namespace tconv::test
