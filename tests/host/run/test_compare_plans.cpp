// SPDX-License-Identifier: Apache-2.0
// test_compare_plans.cpp: two rows against each other, and what two right results may be apart. The
// GPU is a fake.
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

// ---- Two rows on a GPU --------------------------------------------------------------------------

Kernel another_row() {
  Kernel row = rows::kFake;
  row.name = "other";
  return row;
}

class ComparePlans : public testing::Test {
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
  ComparePlans() {
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
  PlanComparison compared(const Plan& a, const Plan& b) {
    fake_.launches = 0;
    return compare_host(a, b, operands_.tensors(), {});
  }

  FakeGpu fake_;
  Problem problem_{desc()};
  Operands operands_ = uniform(problem_, 1);
  std::function<void(float*)> spoil = [](float*) {};  ///< what the second row does wrong
  Kernel other_row_ = another_row();
};

TEST_F(ComparePlans, RightRowsDoAndNoResultIsCopied) {
  const Plan made = plan(rows::kFake), other = plan(other_row_);
  const Bytes before = operands_.output;
  const PlanComparison result = compared(made, other);
  EXPECT_TRUE(result.right());
  EXPECT_EQ(result.total, 144);
  EXPECT_EQ(result.differ, 0);
  EXPECT_EQ(fake_.bytes_to_host, 0);
  EXPECT_EQ(fake_.comparisons, 1);
  EXPECT_EQ(fake_.launches, 3);  // both rows, and the magnitudes
  EXPECT_EQ(operands_.output, before);
  EXPECT_FALSE(fake_.leaks());
}

TEST_F(ComparePlans, AWrongElementIsFoundAndReported) {
  // Output (0, 2, 3, 1), in memory wider than the tensor.
  spoil = [](float* output) { output[(2 * 6 + 3) * 8 + 1] += 1; };
  const PlanComparison result = compared(plan(rows::kFake), plan(other_row_));
  EXPECT_FALSE(result.right());
  EXPECT_EQ(result.differ, 1);
  EXPECT_EQ(result.first.p, 2);
  EXPECT_EQ(result.first.q, 3);
  EXPECT_EQ(result.first.k, 1);
  EXPECT_NEAR(result.other - result.got, 1, 1e-5);
  EXPECT_NEAR(result.worst, 1, 1e-5);
  EXPECT_GT(result.allowed, 0);
  EXPECT_LT(result.allowed, 1e-4);
  EXPECT_EQ(fake_.bytes_to_host, 8);  // the two elements
  const std::string sentence = describe(problem_, result);
  for (const char* part :
       {"1 of 144 elements differ, 1 of them by more", "n=0, p=2, q=3, k=1", "allowed"}) {
    EXPECT_NE(sentence.find(part), std::string::npos) << sentence;
  }
}

TEST_F(ComparePlans, ARoundingApartIsRightForTwoRowsAndWrongForOne) {
  spoil = [](float* output) { output[0] = std::nextafter(output[0], 100.0F); };
  const Plan made = plan(rows::kFake);
  EXPECT_TRUE(compared(made, plan(other_row_)).right());
  const PlanComparison again = compared(made, made);
  EXPECT_EQ(again.differ, 1);
  EXPECT_EQ(again.allowed, 0);
  EXPECT_FALSE(again.right());
  EXPECT_FALSE(compared(made, plan(rows::kFake)).right());
  const Plan loose = plan(rows::kFake, {.deterministic = false});
  EXPECT_TRUE(compared(loose, loose).right());
}

TEST_F(ComparePlans, PaddingIsNotCompared) {
  spoil = [](float* output) { output[4] = 100; };
  EXPECT_EQ(compared(plan(rows::kFake), plan(other_row_)).differ, 0);
}

TEST_F(ComparePlans, AnElementThatOneRowDoesNotWriteDiffers) {
  fake_.on_launch = [this](const Launch& launch) {
    if (fake_.launches == 1) rows::compute(launch);
  };
  const PlanComparison result = compared(plan(rows::kFake), plan(other_row_));
  EXPECT_EQ(result.differ, 144);
  EXPECT_EQ(result.worst, kInfinity);
  EXPECT_FALSE(result.right());
}

// A NaN or an infinity in the operands leaves every element its bound.
TEST_F(ComparePlans, ANaNInTheInputExcusesNothing) {
  store(DType::f32, operands_.input.data(), 0, kNaN);
  store(DType::f32, operands_.input.data(), 26, kInfinity);
  EXPECT_TRUE(compared(plan(rows::kFake), plan(other_row_)).right());
  for (const auto& [at, wrong] : {std::pair{(5 * 6 + 2) * 8, 1e-3F}, {0, 1.0F}}) {
    // Far from the NaN; and where it is.
    spoil = [at = at, wrong = wrong](float* output) {
      output[at] = std::isnan(output[at]) ? wrong : output[at] + wrong;
    };
    const PlanComparison result = compared(plan(rows::kFake), plan(other_row_));
    EXPECT_EQ(result.wrong, 1) << at;
    EXPECT_EQ(result.one_nan, at == 0 ? 1 : 0);
    EXPECT_FALSE(result.right());
  }
  const std::string sentence = describe(problem_, compared(plan(rows::kFake), plan(other_row_)));
  EXPECT_NE(sentence.find("in 1 only one of the two is NaN"), std::string::npos) << sentence;
  EXPECT_EQ(sentence.find("-nan"), std::string::npos) << sentence;
}

TEST_F(ComparePlans, ALargeElementExcusesNoOther) {
  store(DType::f32, operands_.input.data(), 0, 1e20);
  spoil = [](float* output) { output[(5 * 6 + 5) * 8] += 1e-3F; };  // no tap of pixel 0 is here
  const PlanComparison result = compared(plan(rows::kFake), plan(other_row_));
  EXPECT_EQ(result.wrong, 1);
  EXPECT_LT(result.allowed, 1e-4);
}

TEST_F(ComparePlans, SumsThatMayOverflowAreCounted) {
  store(DType::f32, operands_.input.data(), 0, 3e38);
  for (int64_t i = 0; i < 108; ++i) store(DType::f32, operands_.filters.data(), i, 2);
  spoil = [](float* output) { output[0] = 0; };
  const PlanComparison result = compared(plan(rows::kFake), plan(other_row_));
  EXPECT_EQ(result.differ, 1);
  EXPECT_EQ(result.unbounded, 1);
  EXPECT_TRUE(result.right());
}

TEST_F(ComparePlans, NamesTheRowThatMultipliesZerosBeyondTheBorder) {
  other_row_.border = Border::zeros;
  store(DType::f32, operands_.filters.data(), 0, kInfinity);
  spoil = [](float* output) { output[(5 * 6 + 5) * 8] = static_cast<float>(kNaN); };
  const PlanComparison result = compared(plan(rows::kFake), plan(other_row_));
  EXPECT_EQ(result.one_nan, 1);
  EXPECT_NE(describe(problem_, result).find("other multiplies zeros beyond the border"),
            std::string::npos)
      << describe(problem_, result);
}

TEST_F(ComparePlans, PackedFiltersAndOneCopyOfTheOperands) {
  const Plan packed = plan(rows::kFake, {.prepacked_filters = true});
  EXPECT_EQ(compared(packed, plan(other_row_)).differ, 0);
  // Operands, outputs, workspaces, packed filters; magnitudes of the operands, their sums,
  // workspace.
  EXPECT_EQ(fake_.allocations, 5 + 2 + 2 + 1 + 4 + 1 + 1);
  EXPECT_FALSE(fake_.leaks());
}

TEST_F(ComparePlans, RunningOutOfMemoryAnywhereLeaksNothing) {
  const Plan made = plan(rows::kFake), other = plan(other_row_);
  for (int64_t nth = 0; nth < 15; ++nth) {
    fake_.allocations = 0;
    fake_.fail_allocation = nth;
    try {
      compared(made, other);
      ADD_FAILURE() << nth;
    } catch (const DeviceError& e) {
      EXPECT_NE(std::string(e.what()).find(problem_.key()), std::string::npos) << e.what();
    }
    EXPECT_FALSE(fake_.leaks()) << nth;
  }
}

TEST_F(ComparePlans, WhatCannotBeComparedIsRefusedBeforeItAllocates) {
  const Plan made = plan(rows::kFake);
  ProblemDesc wider = desc();
  wider.batch = 2, wider.output_strides = {};
  const Kernel* table[] = {&rows::kFake};
  EXPECT_THROW(compared(made, make_plan(Problem(wider), {}, table)), InvalidProblem);
  const Plan on_cpu = make_plan(problem_, {.device = DeviceKind::cpu, .kernels = {"reference"}});
  EXPECT_THROW(compared(made, on_cpu), InvalidProblem);
  const Plan model = plan(rows::kFake, {.device_model = "a100"});
  EXPECT_THROW(compared(model, model), Unsupported);
  Tensors missing = operands_.tensors();
  missing.bias = nullptr;
  EXPECT_THROW(compare_host(made, made, missing, {}), InvalidProblem);
  fake_.add("l4");
  fake_.current = 1;
  EXPECT_THROW(compared(made, made), DeviceError);
  EXPECT_EQ(fake_.allocations, 0);
}

TEST_F(ComparePlans, OnTheCpuToo) {
  const Plan reference = make_plan(problem_, {.device = DeviceKind::cpu, .kernels = {"reference"}});
  EXPECT_EQ(compare_host(reference, reference, operands_.tensors(), {}).differ, 0);
  const Plan fastest = make_plan(problem_, {.device = DeviceKind::cpu});
  EXPECT_TRUE(compare_host(fastest, reference, operands_.tensors(), {}).right());
  EXPECT_EQ(fake_.allocations + fake_.launches, 0);
}

// ---- What is allowed ----------------------------------------------------------------------------

// No element's own interval of right results (docs/verification.md) is wider.
TEST(Tolerance, CoversEveryPairOfRightResults) {
  std::mt19937_64 random(31);
  for (int i = 0; i < enumeration(20000, 1000); ++i) {
    const Problem problem(
        random_desc(random, {.strided_tensors = false, .inexact_activations = true}));
    const ProblemDesc& d = problem.desc();
    const double scale = std::ldexp(1.0, static_cast<int>(random() % 24) - 12);
    Operands o = uniform(problem, random());
    for (int64_t j = 0; j < problem.input_bytes() / static_cast<int64_t>(size_of(d.dtype)); ++j) {
      store(d.dtype, o.input.data(), j, scale * load(d.dtype, o.input.data(), j));
    }
    double slope = 0;
    for (int64_t k = 0;
         k < problem.slopes_bytes() / static_cast<int64_t>(size_of(problem.slopes_dtype())); ++k) {
      slope = std::max(slope, std::fabs(load(problem.slopes_dtype(), o.slopes.data(), k)));
    }
    const Tolerance tolerance = tolerance_of(problem, slope);
    const Extents e = problem.output_extents();
    for (int64_t at = 0; at < e.count(); ++at) {
      const int64_t n = at % e.n, p = at / e.n % e.h, q = at / e.n / e.h % e.w;
      const int64_t k = at / e.n / e.h / e.w;
      const ExactElement exact = exact_element(problem, o.tensors(), n, p, q, k);
      const double bound = error_bound(problem, exact);
      const double low = rounded(d.output_dtype, exact.value - bound);
      const double high = rounded(d.output_dtype, exact.value + bound);
      ASSERT_EQ(difference(low, high, exact.magnitude, tolerance, 0).wrong, 0)
          << problem.key() << ": " << low << " to " << high << ", allowed "
          << tolerance.allowed(exact.magnitude);
    }
  }
}

// And it is not much wider than what two results of that element may be apart.
TEST(Tolerance, IsThatOfTheElement) {
  for (const Activation activation :
       {Activation::identity, Activation::tanh, Activation::clamp, Activation::gelu}) {
    ProblemDesc d;
    d.in_c = 64;
    d.activation = activation;
    if (activation == Activation::clamp) d.activation_a = 0, d.activation_b = 6;
    const Problem problem(d);
    const Tolerance tolerance = tolerance_of(problem, 0);
    for (const double magnitude : {1e-3, 1.0, 1e3}) {
      ExactElement exact{.magnitude = magnitude, .terms = 64};
      exact.value = exact.sum = magnitude;
      if (activation == Activation::tanh) exact.value = std::tanh(magnitude);
      const double both_ways = 2 * (error_bound(problem, exact) + 0x1p-24 * (1 + magnitude));
      EXPECT_LT(tolerance.allowed(magnitude), 3 * both_ways)
          << name_of(activation) << " " << magnitude;
    }
    EXPECT_GT(tolerance.limit, 3e38 * 0.99);
    EXPECT_LT(tolerance.limit, std::numeric_limits<float>::max());
  }
}

}  // namespace
}  // namespace tconv::test
