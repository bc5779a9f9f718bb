// SPDX-License-Identifier: Apache-2.0
// test_error_bound_tight.cpp: the error bound is tight enough to see a missing tap, and operands of
// TF32 where the caller does not allow them; where he does, it allows these and nothing coarser.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "src/host/cpu/reference.h"
#include "src/host/verify/verify.h"
#include "tests/host/verify/summation.h"
#include "tests/support/support.h"

namespace tconv::test {
namespace {

// ---- f32 by TF32. -------------------------------------------------------------------------------

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
