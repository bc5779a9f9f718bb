// SPDX-License-Identifier: Apache-2.0
// test_verify.cpp: the stratified sample, and planted errors that verify() must find.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <thread>
#include <tuple>

#include "src/host/cpu/reference.h"
#include "src/host/problem/decomposition.h"
#include "src/host/verify/verify.h"
#include "tests/support/support.h"

namespace tconv::test {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// ---- verify() on the whole. ---------------------------------------------------------------------

TEST(VerifyWhole, FindsAnySingleWrongElementAndSaysWhere) {
  std::mt19937_64 random(8);
  for (int i = 0; i < enumeration(3000, 400); ++i) {
    RandomLimits limits;
    limits.zero_sizes = false, limits.inexact_activations = true;
    const Problem problem(random_desc(random, limits));
    const ProblemDesc& d = problem.desc();
    Operands data = uniform(problem, random());
    const Tensors tensors = data.tensors();
    reference_conv2d_transpose(problem, tensors, 1);
    const VerifyReport right = verify(problem, tensors, {.threads = 1});
    ASSERT_TRUE(right.right()) << problem.key() << ": " << describe_mismatch(problem, right);
    EXPECT_TRUE(right.whole);
    EXPECT_LE(right.worst_ratio, 1);

    const Extents e = problem.output_extents();
    const auto below = [&](int64_t n) {
      return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
    };
    const Coordinate at{below(e.n), below(e.h), below(e.w), below(e.c)};
    const int64_t offset = d.output_strides.offset(at.n, at.p, at.q, at.k);
    const ExactElement exact = exact_element(problem, tensors, at.n, at.p, at.q, at.k);
    // Just outside of the interval, upwards or downwards, or never written.
    const double reach =
        1.01 * error_bound(problem, exact) + std::ldexp(std::fabs(exact.value), -6) + 1e-6;
    const double wrong = i % 3 == 0 ? kNaN : exact.value + (i % 3 == 1 ? reach : -reach);
    store(d.output_dtype, tensors.output, offset, wrong);
    const VerifyReport report = verify(problem, tensors, {.threads = 1});
    ASSERT_EQ(report.mismatches, 1) << problem.key();
    EXPECT_EQ(std::tie(report.n, report.p, report.q, report.k), std::tie(at.n, at.p, at.q, at.k));
    EXPECT_GT(report.worst_ratio, 1);
    EXPECT_EQ(report.total, e.count());
  }
}

TEST(VerifyWhole, FindsOutputsThatWereNeverWritten) {
  std::mt19937_64 random(9);
  for (int i = 0; i < 100; ++i) {
    const Problem problem(random_desc(random));
    Operands data = uniform(problem, 1);
    const VerifyReport report = verify(problem, data.tensors(), {.threads = 2});
    EXPECT_EQ(report.mismatches, report.total);
    EXPECT_EQ(report.right(), problem.empty_output());
  }
}

TEST(VerifyWhole, NamesTheFirstMismatchInMemoryOrder) {
  ProblemDesc d;
  d.out_c = 2, d.h = d.w = {.in = 3, .out = 3};
  for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
    d.layout = layout;
    const Problem problem(d);
    Operands data = small_integers(problem, 1);
    const Tensors tensors = data.tensors();
    reference_conv2d_transpose(problem, tensors, 1);
    // In NHWC memory (1, 0, 1) comes before (2, 2, 0), in NCHW after it.
    const Strides& strides = problem.desc().output_strides;
    store(DType::f32, tensors.output, strides.offset(0, 1, 0, 1), 1000);
    store(DType::f32, tensors.output, strides.offset(0, 2, 2, 0), 1000);
    const VerifyReport report = verify(problem, tensors, {});
    EXPECT_EQ(report.mismatches, 2);
    EXPECT_EQ(report.p, layout == Layout::nhwc ? 1 : 2);
    EXPECT_EQ(report.k, layout == Layout::nhwc ? 1 : 0);
    EXPECT_EQ(report.got, 1000);
    const std::string text = describe_mismatch(problem, report);
    EXPECT_NE(text.find(layout == Layout::nhwc ? "n=0, p=1, q=0, k=1" : "n=0, p=2, q=2, k=0"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("= 1000, but it must be"), std::string::npos) << text;
    EXPECT_NE(text.find("2 of 18 elements are wrong (11.1 %)"), std::string::npos) << text;
  }
}

TEST(VerifyWhole, GivesTheSameReportOnAnyNumberOfThreads) {
  ProblemDesc d;
  d.in_c = 64, d.out_c = 64;
  d.h = d.w = {.in = 32, .kernel = 4, .stride = 2, .pad_begin = 1, .out = 64};
  const Problem problem(d);
  Operands data = uniform(problem, 1);
  reference_conv2d_transpose(problem, data.tensors(), 2);
  for (int64_t i = 1000; i < 200000; i += 777) store(DType::f32, data.output.data(), i, 99);
  const VerifyReport one = verify(problem, data.tensors(), {.threads = 1});
  const VerifyReport many = verify(problem, data.tensors(), {.threads = 5});
  EXPECT_EQ(one.mismatches, many.mismatches);
  EXPECT_EQ(std::tie(one.n, one.p, one.q, one.k), std::tie(many.n, many.p, many.q, many.k));
  EXPECT_EQ(one.worst_ratio, many.worst_ratio);
  EXPECT_EQ(one.largest_bound, many.largest_bound);
}

/// 1 x 1 ones over channels of +-3e38: what TensorFlow gives for it is NaN.
class VerifyOverflow : public testing::Test {
 protected:
  static Problem problem_of(DType type) {
    ProblemDesc d;
    d.dtype = type;
    d.in_c = 1024;
    return Problem(d);
  }
  VerifyReport report_of(const Problem& problem, double large, double got) {
    const DType type = problem.desc().dtype;
    data_.input =
        filled(type, problem.input_bytes(), [&](int64_t i) { return i < 512 ? large : -large; });
    data_.filters = filled(type, problem.filter_bytes(), [](int64_t) { return 1.0; });
    data_.output = filled(type, problem.output_bytes(), [&](int64_t) { return got; });
    return verify(problem, data_.tensors(), {.threads = 1});
  }
  Operands data_;
};

TEST_F(VerifyOverflow, AcceptsWhateverAnOrderOfTheSumGives) {
  const Problem problem = problem_of(DType::f32);
  const double inf = std::numeric_limits<double>::infinity();
  for (const double got : {kNaN, inf, -inf, 0.0}) {
    const VerifyReport report = report_of(problem, 3e38, got);
    EXPECT_TRUE(report.right()) << got << ": " << describe_mismatch(problem, report);
    EXPECT_EQ(report.overflowed, got == 0 ? 0 : 1) << got;
  }
  EXPECT_FALSE(report_of(problem, 3e38, 1e38).right());
  EXPECT_FALSE(report_of(problem, 1e30, kNaN).right());
  EXPECT_FALSE(report_of(problem, 1e30, inf).right());
}

TEST_F(VerifyOverflow, OfTheReferenceItself) {
  const Problem problem = problem_of(DType::f64);
  for (const double got : {kNaN, 0.0, 1e300}) {
    EXPECT_TRUE(report_of(problem, 1.5e308, got).right()) << got;
  }
  EXPECT_FALSE(report_of(problem, 1.5e300, kNaN).right());
}

// x = [1 1], w = [inf 1 1], SAME.
TEST(VerifyBorder, NamesZerosBeyondTheBorderAsTheReason) {
  ProblemDesc d;
  d.w = {.in = 2, .kernel = 3, .pad_begin = 1, .out = 2};
  const Problem problem(d);
  const double inf = std::numeric_limits<double>::infinity();
  Operands data = small_integers(problem, 1);
  data.input = filled(DType::f32, 8, [](int64_t) { return 1.0; });
  data.filters = filled(DType::f32, 12, [&](int64_t i) { return i == 0 ? inf : 1.0; });
  const auto report_of = [&](double first, double second) {
    data.output = filled(DType::f32, 8, [&](int64_t i) { return i == 0 ? first : second; });
    return verify(problem, data.tensors(), {});
  };
  EXPECT_TRUE(report_of(inf, 2).right());
  const VerifyReport padded = report_of(inf, kNaN);
  EXPECT_EQ(padded.mismatches, 1);
  EXPECT_EQ(padded.zero_padded, 1);
  const std::string text = describe_mismatch(problem, padded);
  EXPECT_NE(text.find("meets pixels beyond the border"), std::string::npos) << text;
  EXPECT_EQ(report_of(kNaN, kNaN).zero_padded, 1) << "the first has no pixel beyond the border";
  EXPECT_EQ(report_of(inf, inf).zero_padded, 0) << "zeros give NaN";
  data.filters = filled(DType::f32, 12, [](int64_t) { return 1.0; });
  EXPECT_EQ(report_of(2, kNaN).zero_padded, 0) << "all weights are finite";
}

// Where there is one pixel, kernels see stride 1: output 0 is then a pixel's width from the border.
TEST(VerifyBorder, OfOnePixelIsWhereKernelsSeeIt) {
  ProblemDesc d;
  d.h = {.in = 1, .kernel = 2, .stride = 4, .pad_begin = -1, .out = 6};
  const Problem problem(d);
  Operands data = small_integers(problem, 1);
  data.filters = filled(DType::f32, 8, [](int64_t) { return kNaN; });
  reference_conv2d_transpose(problem, data.tensors(), 1);
  EXPECT_EQ(load(DType::f32, data.output.data(), 0), 0);
  store(DType::f32, data.output.data(), 0, kNaN);
  EXPECT_EQ(verify(problem, data.tensors(), {}).zero_padded, 1);
}

TEST(Verify, ReportsProgressFromTheCallingThreadUntilItIsDone) {
  ProblemDesc d;
  d.in_c = 64, d.out_c = 64;
  d.h = d.w = {.in = 32, .kernel = 4, .stride = 2, .pad_begin = 1, .out = 64};
  const Problem problem(d);
  Operands data = uniform(problem, 1);
  std::vector<double> shares;
  bool elsewhere = false;
  VerifyOptions options{.threads = 2};
  options.progress = [&, caller = std::this_thread::get_id()](double done) {
    shares.push_back(done);
    elsewhere = elsewhere || std::this_thread::get_id() != caller;
  };
  verify(problem, data.tensors(), options);
  ASSERT_FALSE(shares.empty());
  EXPECT_TRUE(std::ranges::is_sorted(shares));
  EXPECT_EQ(shares.back(), 1);
  EXPECT_FALSE(elsewhere);
}

// ---- The sample. --------------------------------------------------------------------------------

std::tuple<int64_t, int64_t, int64_t, int64_t> key(const Coordinate& at) {
  return {at.n, at.p, at.q, at.k};
}

void expect_well_formed(const Problem& problem, const std::vector<Coordinate>& sample,
                        int64_t limit) {
  const Extents e = problem.output_extents();
  EXPECT_LE(std::ssize(sample), limit) << problem.key();
  EXPECT_GE(std::ssize(sample), std::min(limit * 9 / 10, e.count())) << problem.key();
  for (std::size_t i = 0; i < sample.size(); ++i) {
    const auto& [n, p, q, k] = sample[i];
    ASSERT_TRUE(0 <= n && n < e.n && 0 <= p && p < e.h && 0 <= q && q < e.w && 0 <= k && k < e.c);
    if (i > 0) {
      ASSERT_LT(key(sample[i - 1]), key(sample[i]));
    }
  }
}

TEST(Sample, IsSortedUniqueInRangeAndRepeatable) {
  std::mt19937_64 random(10);
  for (int i = 0; i < 500; ++i) {
    RandomLimits limits;
    limits.max_in = 30;
    const Problem problem(random_desc(random, limits));
    const auto limit = static_cast<int64_t>(random() % 300);
    const std::vector<Coordinate> sample = stratified_sample(problem, 3, limit);
    if (problem.output_extents().count() <= limit) {
      EXPECT_EQ(std::ssize(sample), problem.output_extents().count());
    }
    expect_well_formed(problem, sample, limit);
    const std::vector<Coordinate> again = stratified_sample(problem, 3, limit);
    EXPECT_TRUE(std::ranges::equal(sample, again, {}, key, key));
  }
}

TEST(Sample, CoversPhasePairsBordersEdgesAndChannels) {
  for (const int64_t stride : {1, 2, 3, 4, 8}) {
    ProblemDesc d;
    d.batch = 5, d.in_c = 8, d.out_c = 96, d.groups = 4;
    d.h = {.in = 100, .kernel = 5, .stride = stride, .dilation = 2, .pad_begin = 1};
    d.w = {.in = 130, .kernel = 4, .stride = stride, .pad_begin = 2};
    d.h.out = d.h.full() - 2, d.w.out = d.w.full() - 3;
    const Problem problem(d);
    const std::vector<Coordinate> sample = stratified_sample(problem, 1, 4096);
    expect_well_formed(problem, sample, 4096);
    std::set<int64_t> n, p, q, k;
    std::set<std::pair<int64_t, int64_t>> phases;
    std::set<std::tuple<int64_t, int64_t, int64_t, int64_t>> all;
    for (const Coordinate& at : sample) {
      n.insert(at.n), p.insert(at.p), q.insert(at.q), k.insert(at.k);
      phases.emplace(at.p % stride, at.q % stride);
      all.insert(key(at));
    }
    EXPECT_EQ(std::ssize(phases), stride * stride);
    EXPECT_EQ(n.size(), 5U);
    EXPECT_EQ(k.size(), 96U);
    for (const int64_t corner_p : {int64_t{0}, d.h.out - 1}) {
      for (const int64_t corner_q : {int64_t{0}, d.w.out - 1}) {
        EXPECT_TRUE(all.contains({0, corner_p, corner_q, 0}));
        EXPECT_TRUE(all.contains({4, corner_p, corner_q, 95}));
      }
    }
    for (int64_t i = 0; i < d.h.keff() - 1 - d.h.pad_begin; ++i) EXPECT_TRUE(p.contains(i));
    for (int64_t i = 99 * stride - d.h.pad_begin + 1; i < d.h.out; ++i) EXPECT_TRUE(p.contains(i));
    for (const int64_t block : {8, 16, 32, 64}) {
      EXPECT_TRUE(p.contains(block - 1) && p.contains(block)) << block;
      EXPECT_TRUE(q.contains(block - 1) && q.contains(block)) << block;
      const int64_t last = (d.w.out - 1) / block * block;
      EXPECT_TRUE(q.contains(last - 1) && q.contains(last)) << block;
      // And on both sides of a tile's edge in the coordinate within a phase.
      EXPECT_TRUE(std::ranges::any_of(q, [&](int64_t at) { return at / stride == block - 1; }));
      EXPECT_TRUE(std::ranges::any_of(q, [&](int64_t at) { return at / stride == block; }));
    }
  }
}

TEST(Sample, HasEveryWindowClassWherePhasesAreMany) {
  for (const int64_t stride : {int64_t{46889}, int64_t{1} << 40}) {
    ProblemDesc d;
    d.h = {.in = 3, .kernel = 7, .stride = stride, .dilation = 3, .pad_begin = 4};
    d.h.out = d.h.full() - 5;
    d.w = {.in = 4, .kernel = 3, .stride = 2, .pad_begin = 0, .out = 8};
    const Problem problem(d);
    const std::vector<Coordinate> sample = stratified_sample(problem, 1, 512);
    expect_well_formed(problem, sample, 512);
    const AxisDecomposition parts = decompose(d.h);
    for (const WindowClass& part : parts.classes) {
      const auto belongs = [&](const Coordinate& at) {
        const int64_t from_first = floor_mod(at.p % stride - part.first_phase, stride);
        return from_first % part.phase_step == 0 && from_first / part.phase_step < part.phase_count;
      };
      EXPECT_GE(std::ranges::count_if(sample, belongs), 3) << part.first_phase;
    }
    const auto tapless = [&](const Coordinate& at) {
      return phase_window(d.h, at.p % stride).tap_count == 0;
    };
    EXPECT_GT(std::ranges::count_if(sample, tapless), 0);
  }
}

TEST(Sample, WorksBeyond32Bits) {
  ProblemDesc d;
  d.batch = 64, d.in_c = 16, d.out_c = 64;
  d.h = d.w = {.in = 2048, .kernel = 4, .stride = 2, .pad_begin = 1, .out = 4096};
  const Problem problem(d);
  ASSERT_GT(problem.output_extents().count(), int64_t{1} << 35);
  const std::vector<Coordinate> sample = stratified_sample(problem, 1, 10000);
  expect_well_formed(problem, sample, 10000);
  EXPECT_EQ(sample.back().n, 63);
}

// ---- verify() on a sample: errors of the kinds that kernels make. -------------------------------

struct Planted {
  const char* what;
  bool (*wrong)(const Coordinate& at, const Extents& e);
};

class VerifySample : public testing::TestWithParam<Planted> {
 protected:
  static Problem problem() {
    ProblemDesc d;
    d.batch = 2, d.in_c = 2, d.out_c = 6;
    d.h = {.in = 150, .kernel = 4, .stride = 2, .pad_begin = 1, .out = 300};
    d.w = {.in = 131, .kernel = 5, .stride = 3, .pad_begin = 1, .out = 393};
    return Problem(d);
  }
  static const Operands& right_result() {
    static const Operands data = [] {
      Operands operands = uniform(problem(), 1);
      reference_conv2d_transpose(problem(), operands.tensors(), 2);
      return operands;
    }();
    return data;
  }
  inline static const VerifyOptions kOptions{.scope = VerifyScope::sample, .threads = 2, .seed = 7};
};

TEST_F(VerifySample, AcceptsARightResult) {
  Operands data = right_result();
  const VerifyReport report = verify(problem(), data.tensors(), kOptions);
  EXPECT_TRUE(report.right());
  EXPECT_FALSE(report.whole);
  EXPECT_LT(report.checked, report.total);
}

TEST_P(VerifySample, Finds) {
  const Extents e = problem().output_extents();
  Operands altered = right_result();
  for (int64_t i = 0; i < e.count(); ++i) {
    const Coordinate at{i / e.c / e.w / e.h, i / e.c / e.w % e.h, i / e.c % e.w, i % e.c};
    if (!GetParam().wrong(at, e)) continue;
    store(DType::f32, altered.output.data(), i, load(DType::f32, altered.output.data(), i) + 0.001);
  }
  const VerifyReport report = verify(problem(), altered.tensors(), kOptions);
  EXPECT_FALSE(report.right());
  EXPECT_TRUE(GetParam().wrong({report.n, report.p, report.q, report.k}, e));
}

constexpr Planted kPlanted[] = {
    {"one_phase", [](auto& at, auto&) { return at.p % 2 == 1 && at.q % 3 == 2; }},
    {"one_phase_of_one_channel",
     [](auto& at, auto&) { return at.p % 2 == 0 && at.q % 3 == 1 && at.k == 4; }},
    {"first_row", [](auto& at, auto&) { return at.p == 0; }},
    {"last_row", [](auto& at, auto& e) { return at.p == e.h - 1; }},
    {"last_column", [](auto& at, auto& e) { return at.q == e.w - 1; }},
    {"second_column", [](auto& at, auto&) { return at.q == 1; }},
    {"corner",
     [](auto& at, auto& e) { return at.p == e.h - 1 && at.q == 0 && at.n == 0 && at.k == 0; }},
    {"tile_edge", [](auto& at, auto&) { return at.q == 64; }},
    {"tile_edge_in_phase", [](auto& at, auto&) { return at.p / 2 == 127; }},
    {"last_tile", [](auto& at, auto& e) { return at.p >= e.h / 64 * 64; }},
    {"last_channel", [](auto& at, auto& e) { return at.k == e.c - 1; }},
    {"last_image", [](auto& at, auto& e) { return at.n == e.n - 1; }},
    {"last_element",
     [](auto& at, auto& e) {
       return at.n == e.n - 1 && at.p == e.h - 1 && at.q == e.w - 1 && at.k == e.c - 1;
     }},
    {"some_tile", [](auto& at, auto&) { return at.n == 1 && at.p / 16 == 9 && at.q / 16 == 13; }},
};
INSTANTIATE_TEST_SUITE_P(Planted, VerifySample, testing::ValuesIn(kPlanted),
                         [](const auto& test) { return std::string(test.param.what); });

}  // namespace
}  // namespace tconv::test
