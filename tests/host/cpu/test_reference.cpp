// SPDX-License-Identifier: Apache-2.0
// test_reference.cpp: the judge is judged. The row `reference` against an independent scatter, by
// enumeration; and against vectors that others published.
#include <gtest/gtest.h>

#include "src/host/cpu/reference.h"
#include "src/host/plan/plan.h"
#include "tests/support/support.h"

namespace tconv::test {
namespace {

int64_t offset(Layout layout, const Strides& s, const Extents& e, int64_t n, int64_t h, int64_t w,
               int64_t c) {
  if (s.given()) return n * s.n + h * s.h + w * s.w + c * s.c;
  return layout == Layout::nhwc ? ((n * e.h + h) * e.w + w) * e.c + c
                                : ((n * e.c + c) * e.h + h) * e.w + w;
}

int64_t filter_offset(const ProblemDesc& d, int64_t r, int64_t s, int64_t k, int64_t c) {
  const int64_t co = d.out_c / d.groups, kh = d.h.kernel, kw = d.w.kernel;
  switch (d.filter_order) {
    case FilterOrder::ihwo: return ((c * kh + r) * kw + s) * co + k;
    case FilterOrder::iohw: return ((c * co + k) * kh + r) * kw + s;
    case FilterOrder::ohwi: return ((k * kh + r) * kw + s) * d.in_c + c;
    default: return ((r * kw + s) * co + k) * d.in_c + c;
  }
}

/// Scatter: every input element is thrown at the outputs its taps reach. Shares no index formula
/// with the library: its own offsets, the definition the other way round.
std::vector<double> scatter(const Problem& problem, const Operands& o) {
  const ProblemDesc& d = problem.desc();
  const Extents x = problem.input_extents(), y = problem.output_extents();
  std::vector<double> sums(static_cast<std::size_t>(y.count()), 0.0);
  const int64_t ci = d.in_c / d.groups, co = d.out_c / d.groups;
  for (int64_t n = 0; n < x.n; ++n)
    for (int64_t h = 0; h < x.h; ++h)
      for (int64_t w = 0; w < x.w; ++w)
        for (int64_t c = 0; c < x.c; ++c) {
          const double value =
              load(d.dtype, o.input.data(), offset(d.layout, d.input_strides, x, n, h, w, c));
          for (int64_t r = 0; r < d.h.kernel; ++r)
            for (int64_t s = 0; s < d.w.kernel; ++s) {
              const int64_t p = h * d.h.stride - d.h.pad_begin + r * d.h.dilation;
              const int64_t q = w * d.w.stride - d.w.pad_begin + s * d.w.dilation;
              if (p < 0 || p >= y.h || q < 0 || q >= y.w) continue;
              for (int64_t k = 0; k < co; ++k) {
                const int64_t channel = c / ci * co + k;
                sums[static_cast<std::size_t>(((n * y.h + p) * y.w + q) * y.c + channel)] +=
                    value * load(d.dtype, o.filters.data(), filter_offset(d, r, s, k, c));
              }
            }
        }
  return sums;
}

double expected_activation(const ProblemDesc& d, double x, double slope) {
  switch (d.activation) {
    case Activation::relu: return std::max(x, 0.0);
    case Activation::leaky_relu: return x > 0 ? x : x * d.activation_a;
    case Activation::prelu: return x > 0 ? x : x * slope;
    case Activation::clamp: return std::min(std::max(x, d.activation_a), d.activation_b);
    default: return x;
  }
}

/// All output bytes, padding included, as the scatter and the epilogue's definition give them.
Bytes expected_output(const Problem& problem, const Operands& o) {
  const ProblemDesc& d = problem.desc();
  const Extents y = problem.output_extents();
  const std::vector<double> sums = scatter(problem, o);
  Bytes output = o.output;
  std::size_t i = 0;
  for (int64_t n = 0; n < y.n; ++n)
    for (int64_t p = 0; p < y.h; ++p)
      for (int64_t q = 0; q < y.w; ++q)
        for (int64_t k = 0; k < y.c; ++k) {
          double sum = sums[i++];
          if (d.has_bias) sum += load(d.bias_dtype, o.bias.data(), k);
          if (d.has_residual) {
            sum += load(d.output_dtype, o.residual.data(),
                        offset(d.layout, d.residual_strides, y, n, p, q, k));
          }
          const bool prelu = d.activation == Activation::prelu;
          const double slope = prelu ? load(problem.slopes_dtype(), o.slopes.data(), k) : 0;
          store(d.output_dtype, output.data(), offset(d.layout, d.output_strides, y, n, p, q, k),
                expected_activation(d, sum, slope));
        }
  return output;
}

TEST(Reference, EqualsAnIndependentScatterByEnumeration) {
  const int problems = enumeration(20000, 3000);
  std::mt19937_64 random(20261123);
  double macs = 0;
  int with_taps = 0;
  for (int i = 0; i < problems; ++i) {
    const Problem problem(random_desc(random));
    Operands o = small_integers(problem, random());
    const Bytes expected = expected_output(problem, o);
    reference_conv2d_transpose(problem, o.tensors(), 1 + i % 2);
    ASSERT_EQ(o.output, expected) << "problem " << i << ": " << problem.key();
    macs += problem.useful_macs();
    with_taps += problem.useful_macs() > 0 ? 1 : 0;
  }
  EXPECT_GT(with_taps, problems * 3 / 4);  // most problems must say something
  EXPECT_GT(macs, problems * 100.0);
}

/// What its loops look at: every row of the filter, and every column of a row that lands.
double counted_taps(const ProblemDesc& d) {
  double taps = 0;
  for (int64_t p = 0; p < d.h.out; ++p) {
    for (int64_t r = 0; r < d.h.kernel; ++r) {
      const bool lands = input_index(d.h, p, r) != kNoInput;
      taps += static_cast<double>(d.w.out * (lands ? 1 + d.w.kernel : 1));
    }
  }
  return taps * static_cast<double>(d.batch * d.out_c);
}

TEST(Reference, CountsTheTapsThatItLooksAt) {
  std::mt19937_64 random(11);
  for (int i = 0; i < 500; ++i) {
    const Problem problem(random_desc(random));
    ASSERT_EQ(taps_looked_at(problem), counted_taps(problem.desc())) << problem.key();
  }
}

double estimate_us(const char* key) {
  Options options;
  options.device = DeviceKind::cpu;
  options.kernels = {"reference"};
  options.threads = 1;
  return make_plan(Problem(parse_key(key)), options).estimate_us();
}

// Enlarging 16 times is 16 products an output, found among 64 x 64 taps: what it takes is the
// search.
TEST(Reference, EstimatesTheSearchForTapsThatLand) {
  const double enlarging = estimate_us("f32:nhwc:n1:c3:k3:g3:h14k64s16p40o160:w14k64s16p40o160");
  const double as_many_products = estimate_us("f32:nhwc:n1:c3:k3:g3:h163k4s1o160:w163k4s1o160");
  EXPECT_GT(enlarging, 8 * as_many_products);
}

TEST(Reference, HugeStridesAndOutputsBeyondTwoToTheThirtyOneAddressRight) {
  // Strides larger than any table; the output tensor is strided over more than 2^31 elements, but
  // only the rows that are written exist: two pixels 46,889 apart, batch stride 1.
  ProblemDesc d;
  d.h = {.in = 2, .kernel = 2, .stride = 46889, .dilation = 1, .pad_begin = 46888, .out = 3};
  d.w = {.in = 2, .kernel = 1, .stride = 46889, .dilation = 1, .pad_begin = 0, .out = 46890};
  const Problem problem(d);
  Operands o = small_integers(problem, 3);
  const Bytes expected = expected_output(problem, o);
  reference_conv2d_transpose(problem, o.tensors(), 2);
  EXPECT_EQ(o.output, expected);
}

TEST(Reference, ResidualMayBeTheOutputItself) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 300; ++i) {
    ProblemDesc d = random_desc(random);
    d.has_residual = true;
    d.residual_strides = d.output_strides;
    const Problem problem(d);
    Operands o = small_integers(problem, random());
    o.output = o.residual;
    const Bytes expected = expected_output(problem, o);
    Tensors tensors = o.tensors();
    tensors.residual = tensors.output;
    reference_conv2d_transpose(problem, tensors, 2);
    ASSERT_EQ(o.output, expected) << problem.key();
  }
}

// ---- Published vectors: arange operands, checksums over the output in NHWC order. ---------------

struct Vector {
  const char* name;
  int64_t in_h, in_w, in_c, k, out_c, stride, pad, out_h, out_w;
  double sum, weighted;
};

class PublishedVectors : public testing::TestWithParam<Vector> {};

TEST_P(PublishedVectors, HaveTheirChecksums) {
  const Vector& v = GetParam();
  ProblemDesc d;
  d.in_c = v.in_c, d.out_c = v.out_c;
  d.h = {.in = v.in_h, .kernel = v.k, .stride = v.stride, .pad_begin = v.pad, .out = v.out_h};
  d.w = {.in = v.in_w, .kernel = v.k, .stride = v.stride, .pad_begin = v.pad, .out = v.out_w};
  const Problem problem(d);
  Operands o = small_integers(problem, 0);
  const auto arange = [](int64_t i) { return static_cast<double>(i + 1); };
  o.input = filled(d.dtype, problem.input_bytes(), arange);
  o.filters = filled(d.dtype, problem.filter_bytes(), arange);
  reference_conv2d_transpose(problem, o.tensors(), 1);
  double sum = 0, weighted = 0;
  for (int64_t i = 0; i < problem.output_extents().count(); ++i) {
    sum += load(d.dtype, o.output.data(), i);
    weighted += static_cast<double>(i + 1) * load(d.dtype, o.output.data(), i);
  }
  EXPECT_EQ(sum, v.sum);
  EXPECT_EQ(weighted, v.weighted);
}

INSTANTIATE_TEST_SUITE_P(
    TFLite, PublishedVectors,
    testing::Values(Vector{"Simple", 4, 4, 1, 3, 1, 1, 1, 4, 4, 3860, 42500},
                    Vector{"TwoFilters", 4, 4, 2, 3, 1, 1, 1, 4, 4, 28280, 314570},
                    Vector{"PaddingValid", 4, 4, 2, 3, 1, 1, 0, 6, 6, 45216, 1127880},
                    Vector{"StrideValid", 2, 2, 1, 3, 1, 2, 0, 5, 5, 450, 7800},
                    Vector{"MultiChannel", 2, 2, 1, 3, 2, 2, 0, 5, 5, 1710, 58854}),
    [](const auto& test) { return test.param.name; });

TEST(PublishedSums, TensorFlowsOwnThree) {
  struct Case {
    int64_t stride, pad, out_h, out_w;
    double sum;
  };
  for (const Case& c : {Case{1, 1, 6, 4, 1920}, Case{2, 0, 12, 8, 2244}, Case{2, 0, 13, 9, 2592}}) {
    ProblemDesc d;
    d.batch = 2, d.in_c = 3, d.out_c = 2;
    d.h = {.in = 6, .kernel = 3, .stride = c.stride, .pad_begin = c.pad, .out = c.out_h};
    d.w = {.in = 4, .kernel = 3, .stride = c.stride, .pad_begin = c.pad, .out = c.out_w};
    const Problem problem(d);
    Operands o = operands(
        problem, [](int64_t) { return 1.0; }, [](int64_t) { return 1.0; });
    reference_conv2d_transpose(problem, o.tensors(), 1);
    double sum = 0;
    for (int64_t i = 0; i < problem.output_extents().count(); ++i) {
      sum += load(d.dtype, o.output.data(), i);
    }
    EXPECT_EQ(sum, c.sum) << "stride " << c.stride << ", out " << c.out_h;
  }
}

}  // namespace
}  // namespace tconv::test
