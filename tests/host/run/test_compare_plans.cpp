// SPDX-License-Identifier: Apache-2.0
// test_compare_plans.cpp: two tensors against each other, two rows against each other, and what two
// right results may be apart. The GPU is a fake.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "src/host/run/compare_plans.h"
#include "tests/support/fake_gpu.h"
#include "tests/support/fake_rows.h"
#include "tests/support/support.h"

namespace tconv::test {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// ---- Two tensors --------------------------------------------------------------------------------

TEST(Compare, SpecialValuesEqualThemselves) {
  const double values[] = {kNaN, kInfinity, -kInfinity, 0.0, -0.0, 1.0};
  for (const double x : values) {
    for (const double y : values) {
      const bool same = x == y || (std::isnan(x) && std::isnan(y));
      const CompareResult result = difference(x, y, 7);
      EXPECT_EQ(result.differ, same ? 0 : 1) << x << ", " << y;
      EXPECT_EQ(result.first, same ? -1 : 7);
      EXPECT_EQ(result.worst, same ? 0 : std::isfinite(x) && std::isfinite(y) ? 1 : kInfinity);
    }
  }
}

TEST(Compare, CountsTheWorstAndTheFirstInAnyGrouping) {
  const CompareResult parts[] = {{}, {2, 1.5, 9}, {1, 4, 3}, {}};
  CompareResult forward, backward;
  for (int i = 0; i < 4; ++i) {
    forward = joined(forward, parts[i]);
    backward = joined(backward, parts[3 - i]);
  }
  for (const CompareResult& all : {forward, backward}) {
    EXPECT_EQ(all.differ, 3);
    EXPECT_EQ(all.worst, 4);
    EXPECT_EQ(all.first, 3);
  }
}

TEST(Compare, WalksTheElementsInMemoryOrderAndNoPadding) {
  for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
    const Extents extents{2, 3, 4, 5}, wide{2, 4, 6, 7};
    const Region region{DType::f32, layout, extents, dense_strides(layout, wide)};
    EXPECT_FALSE(region.is_dense());
    Bytes a = filled(DType::f32, 4 * wide.count(), [](int64_t i) { return double(i); });
    Bytes b = filled(DType::f32, 4 * wide.count(), [](int64_t) { return -1.0; });
    int64_t last = -1;
    for (int64_t i = 0; i < region.count(); ++i) {
      EXPECT_GT(region.offset(i), last);
      last = region.offset(i);
      store(DType::f32, b.data(), last, double(last));
    }
    EXPECT_EQ(region.bytes(), 4 * (last + 1));
    EXPECT_EQ(compare_on_host(a.data(), b.data(), region).differ, 0);
    store(DType::f32, b.data(), region.offset(41), 1000);
    EXPECT_EQ(compare_on_host(a.data(), b.data(), region).first, 41);
  }
  // A stride that no element uses does not count.
  EXPECT_TRUE((Region{DType::f32, Layout::nhwc, {1, 1, 4, 5}, {99, 98, 5, 1}}.is_dense()));
}

TEST(Compare, WhatASeamWithoutCodeOfItsOwnDoes) {
  FakeGpu fake;
  const Bytes a = filled(DType::f32, 40, [](int64_t i) { return i == 3 ? -8.0 : 1.0; });
  const Bytes b = filled(DType::f32, 40, [](int64_t) { return 1.0; });
  const Region region = dense_region(DType::f32, 10);
  const CompareResult result = fake.Gpu::compare(a.data(), b.data(), region, nullptr);
  EXPECT_EQ(result.first, 3);
  EXPECT_EQ(result.worst, 9);
  EXPECT_EQ(fake.Gpu::compare(a.data(), nullptr, region, nullptr).worst, 8);
  EXPECT_EQ(fake.bytes_to_host, 120);
  EXPECT_EQ(fake.Gpu::compare(nullptr, nullptr, dense_region(DType::f32, 0), nullptr).differ, 0);
}

// ---- Two rows on a GPU --------------------------------------------------------------------------

Kernel another_row() {
  Kernel row = rows::kFake;
  row.name = "other";
  return row;
}

class Agree : public testing::Test {
 protected:
  static ProblemDesc desc() {
    ProblemDesc d;
    d.in_c = 3, d.out_c = 4;
    d.h = d.w = {.in = 3, .kernel = 3, .stride = 2, .pad_begin = 1, .out = 6};
    d.has_bias = d.has_residual = true;
    d.activation = Activation::prelu;
    d.output_strides = dense_strides(d.layout, {1, 6, 6, 8});
    return d;
  }
  Agree() {
    fake_.on_launch = [this](const Launch& launch) {
      rows::compute(launch);
      const auto& arguments = *static_cast<const rows::Arguments*>(launch.arguments[0]);
      if (fake_.launches == 2) spoil(static_cast<float*>(arguments.tensors.output));
    };
  }
  Plan plan(const Kernel& row, const Options& options = {}) const {
    const Kernel* table[] = {&row};
    return make_plan(problem_, options, table);
  }
  Agreement agreement(const Plan& a, const Plan& b) {
    fake_.launches = 0;
    return compare_host(a, b, operands_.tensors(), {});
  }

  FakeGpu fake_;
  Problem problem_{desc()};
  Operands operands_ = uniform(problem_, 1);
  std::function<void(float*)> spoil = [](float*) {};  ///< what the second row does wrong
  Kernel other_row_ = another_row();
};

TEST_F(Agree, RightRowsDoAndNoResultIsCopied) {
  const Plan made = plan(rows::kFake), other = plan(other_row_);
  const Bytes before = operands_.output;
  const Agreement result = agreement(made, other);
  EXPECT_TRUE(result.right());
  EXPECT_EQ(result.total, 144);
  EXPECT_EQ(result.differ, 0);
  EXPECT_GT(result.allowed, 0);
  EXPECT_LT(result.allowed, 1e-4);
  EXPECT_EQ(fake_.bytes_to_host, 0);
  EXPECT_EQ(fake_.comparisons, 6);  // the outputs; how large each operand is
  EXPECT_EQ(operands_.output, before);
  EXPECT_FALSE(fake_.leaks());
}

TEST_F(Agree, AWrongElementIsFoundAndReported) {
  // Output (0, 2, 3, 1), in memory wider than the tensor.
  spoil = [](float* output) { output[(2 * 6 + 3) * 8 + 1] += 1; };
  const Agreement result = agreement(plan(rows::kFake), plan(other_row_));
  EXPECT_FALSE(result.right());
  EXPECT_EQ(result.differ, 1);
  EXPECT_EQ(result.first.p, 2);
  EXPECT_EQ(result.first.q, 3);
  EXPECT_EQ(result.first.k, 1);
  EXPECT_NEAR(result.other - result.got, 1, 1e-5);
  EXPECT_NEAR(result.worst, 1, 1e-5);
  EXPECT_EQ(fake_.bytes_to_host, 8);  // the two elements
  const std::string sentence = describe(problem_, result);
  for (const char* part : {"1 of 144 elements differ", "n=0, p=2, q=3, k=1", "allowed"}) {
    EXPECT_NE(sentence.find(part), std::string::npos) << sentence;
  }
}

TEST_F(Agree, ARoundingApartIsRightForTwoRowsAndWrongForOne) {
  spoil = [](float* output) { output[0] = std::nextafter(output[0], 100.0F); };
  const Plan made = plan(rows::kFake);
  EXPECT_TRUE(agreement(made, plan(other_row_)).right());
  const Agreement again = agreement(made, made);
  EXPECT_EQ(again.differ, 1);
  EXPECT_EQ(again.allowed, 0);
  EXPECT_FALSE(again.right());
  EXPECT_FALSE(agreement(made, plan(rows::kFake)).right());
  const Plan loose = plan(rows::kFake, {.deterministic = false});
  EXPECT_TRUE(agreement(loose, loose).right());
}

TEST_F(Agree, PaddingIsNotCompared) {
  spoil = [](float* output) { output[4] = 100; };
  EXPECT_EQ(agreement(plan(rows::kFake), plan(other_row_)).differ, 0);
}

TEST_F(Agree, AnElementThatOneRowDoesNotWriteDiffers) {
  fake_.on_launch = [this](const Launch& launch) {
    if (fake_.launches == 1) rows::compute(launch);
  };
  const Agreement result = agreement(plan(rows::kFake), plan(other_row_));
  EXPECT_EQ(result.differ, 144);
  EXPECT_EQ(result.worst, kInfinity);
  EXPECT_FALSE(result.right());
}

TEST_F(Agree, NothingBoundsResultsOfNaNs) {
  store(DType::f32, operands_.input.data(), 0, kNaN);
  const Agreement result = agreement(plan(rows::kFake), plan(other_row_));
  EXPECT_EQ(result.differ, 0);
  EXPECT_EQ(result.allowed, kInfinity);
  EXPECT_TRUE(result.right());
}

TEST_F(Agree, PackedFiltersAndOneCopyOfTheOperands) {
  const Plan packed = plan(rows::kFake, {.prepacked_filters = true});
  EXPECT_EQ(agreement(packed, plan(other_row_)).differ, 0);
  EXPECT_EQ(fake_.allocations, 5 + 2 + 2 + 1);  // operands, outputs, workspaces, packed filters
  EXPECT_FALSE(fake_.leaks());
}

TEST_F(Agree, RunningOutOfMemoryAnywhereLeaksNothing) {
  const Plan made = plan(rows::kFake), other = plan(other_row_);
  for (int64_t nth = 0; nth < 9; ++nth) {
    fake_.allocations = 0;
    fake_.fail_allocation = nth;
    try {
      agreement(made, other);
      ADD_FAILURE() << nth;
    } catch (const DeviceError& e) {
      EXPECT_NE(std::string(e.what()).find(problem_.key()), std::string::npos) << e.what();
    }
    EXPECT_FALSE(fake_.leaks()) << nth;
  }
}

TEST_F(Agree, WhatCannotBeComparedIsRefusedBeforeItAllocates) {
  const Plan made = plan(rows::kFake);
  ProblemDesc wider = desc();
  wider.batch = 2, wider.output_strides = {};
  const Kernel* table[] = {&rows::kFake};
  EXPECT_THROW(agreement(made, make_plan(Problem(wider), {}, table)), InvalidProblem);
  const Plan on_cpu = make_plan(problem_, {.device = DeviceKind::cpu, .kernels = {"reference"}});
  EXPECT_THROW(agreement(made, on_cpu), InvalidProblem);
  const Plan model = plan(rows::kFake, {.device_model = "a100"});
  EXPECT_THROW(agreement(model, model), Unsupported);
  Tensors missing = operands_.tensors();
  missing.bias = nullptr;
  EXPECT_THROW(compare_host(made, made, missing, {}), InvalidProblem);
  fake_.add("l4");
  fake_.current = 1;
  EXPECT_THROW(agreement(made, made), DeviceError);
  EXPECT_EQ(fake_.allocations, 0);
}

TEST_F(Agree, OnTheCpuToo) {
  const Plan reference = make_plan(problem_, {.device = DeviceKind::cpu, .kernels = {"reference"}});
  EXPECT_EQ(compare_host(reference, reference, operands_.tensors(), {}).differ, 0);
  const Plan fastest = make_plan(problem_, {.device = DeviceKind::cpu});
  EXPECT_TRUE(compare_host(fastest, reference, operands_.tensors(), {}).right());
  EXPECT_EQ(fake_.allocations + fake_.launches, 0);
}

// ---- What is allowed ----------------------------------------------------------------------------

double largest(DType type, const Bytes& data, int64_t bytes) {
  const int64_t count = bytes / static_cast<int64_t>(size_of(type));
  return compare_on_host(data.data(), nullptr, dense_region(type, count)).worst;
}

// No element's own interval of right results (docs/verification.md) is wider.
TEST(AllowedDistance, CoversEveryPairOfRightResults) {
  std::mt19937_64 random(31);
  for (int i = 0; i < enumeration(20000, 1000); ++i) {
    const Problem problem(
        random_desc(random, {.strided_tensors = false, .inexact_activations = true}));
    const ProblemDesc& d = problem.desc();
    Operands o = uniform(problem, random());
    const double allowed = allowed_distance(
        problem, {.input = largest(d.dtype, o.input, problem.input_bytes()),
                  .filters = largest(d.dtype, o.filters, problem.filter_bytes()),
                  .bias = largest(d.bias_dtype, o.bias, problem.bias_bytes()),
                  .slopes = largest(problem.slopes_dtype(), o.slopes, problem.slopes_bytes()),
                  .residual = largest(d.output_dtype, o.residual, problem.residual_bytes())});
    const Extents e = problem.output_extents();
    for (int64_t at = 0; at < e.count(); ++at) {
      const int64_t n = at % e.n, p = at / e.n % e.h, q = at / e.n / e.h % e.w;
      const int64_t k = at / e.n / e.h / e.w;
      const ExactElement exact = exact_element(problem, o.tensors(), n, p, q, k);
      const double bound = error_bound(problem, exact);
      const double low = rounded(d.output_dtype, exact.value - bound);
      const double high = rounded(d.output_dtype, exact.value + bound);
      ASSERT_GE(allowed, high - low) << problem.key();
    }
  }
}

}  // namespace
}  // namespace tconv::test
