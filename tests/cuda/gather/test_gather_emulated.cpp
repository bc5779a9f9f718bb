// SPDX-License-Identifier: Apache-2.0
// test_gather_emulated.cpp: the row `gather`, planned, copied, launched and copied back as a user
// would, in the emulator: equal to the row `reference`, nothing found, and what it asks of memory
// is what its header comment says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/host/cpu/reference.h"
#include "src/host/plan/plan.h"
#include "src/host/verify/verify.h"
#include "tests/emulator/emulator.h"
#include "tests/host/cpu/strict_sums.h"
#include "tests/support/activation_ends.h"
#include "tests/support/support.h"

namespace tconv::emulator {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace): operands and problems

class GatherEmulated : public testing::Test {
 protected:
  ~GatherEmulated() override {
    configure({});
    forget_reports();
  }

  static Plan plan_gather(const Problem& problem) {
    Options options;
    options.kernels = {"gather"};
    return make_plan(problem, options);
  }

  static void run_gather(const Problem& problem, const Tensors& tensors) {
    configure({});
    ASSERT_NO_THROW(run_host(plan_gather(problem), tensors, {}, 1, 1, nullptr)) << problem.key();
  }

  /// All bytes of the output, so that a padding byte that was written is a difference.
  static void expect_exact(const Problem& problem, uint64_t seed) {
    Operands operands = small_integers(problem, seed);
    const Bytes before[] = {operands.input, operands.filters, operands.bias, operands.residual};
    Bytes expected(operands.output.size(), kPoison);
    Tensors tensors = operands.tensors();
    tensors.output = expected.data();
    reference_conv2d_transpose(problem, tensors, 1);
    configure({.seed = seed});
    forget_reports();
    ASSERT_NO_THROW(run_host(plan_gather(problem), operands.tensors(), {}, 1, 1, nullptr))
        << problem.key();
    EXPECT_EQ(operands.output, expected) << problem.key() << " seed " << seed;
    const Bytes after[] = {operands.input, operands.filters, operands.bias, operands.residual};
    EXPECT_TRUE(std::equal(std::begin(before), std::end(before), std::begin(after)));
    if (problem.empty_output()) return;
    ASSERT_EQ(reports().size(), 1U);
    const Counters& counters = reports()[0].counters;
    EXPECT_EQ(static_cast<double>(counters.multiply_adds), problem.useful_macs()) << problem.key();
    EXPECT_EQ(counters.useful_multiply_adds, problem.useful_macs());
  }

  static Counters count(const ProblemDesc& d) {
    const Problem problem(d);
    Operands operands = small_integers(problem, 1);
    configure({.count = true});
    forget_reports();
    run_host(plan_gather(problem), operands.tensors(), {}, 1, 1, nullptr);
    return reports().back().counters;
  }
};

TEST_F(GatherEmulated, EqualsTheReferenceOnSmallIntegers) {
  std::mt19937_64 random(20261125);
  const int problems = enumeration(8000, 2000);
  std::map<std::pair<DType, Layout>, int> seen;
  for (int i = 0; i < problems && !HasFailure(); ++i) {
    const ProblemDesc d = random_desc(random);
    ++seen[{d.dtype, d.layout}];
    expect_exact(Problem(d), static_cast<uint64_t>(i));
  }
  EXPECT_EQ(seen.size(), 8U);  // every type in both layouts
  for (const auto& [kind, times] : seen) EXPECT_GT(times, problems / 20);
}

TEST_F(GatherEmulated, ActivationsAreRightAtTheirEnds) {
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

TEST_F(GatherEmulated, SumsAreFusedAndInOrder) { expect_sums_fused_and_in_order(run_gather); }

TEST_F(GatherEmulated, IssuesNoMultiplyAddTwice) {
  // Stride 3 and 2, borders cut off: each product that reaches an output is one multiply-add.
  ProblemDesc d;
  d.in_c = 12, d.out_c = 17;
  d.h = {.in = 5, .kernel = 4, .stride = 3, .dilation = 1, .pad_begin = 0, .out = 15};
  d.w = {.in = 7, .kernel = 3, .stride = 2, .dilation = 1, .pad_begin = 0, .out = 14};
  EXPECT_EQ(count(d).multiply_adds, 77520U);
}

TEST_F(GatherEmulated, WritesNeighboursToNeighboursInBothLayouts) {
  for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
    ProblemDesc d;
    d.layout = layout;
    d.in_c = 4, d.out_c = 32;
    d.h = d.w = {.in = 8, .kernel = 4, .stride = 2, .dilation = 1, .pad_begin = 1, .out = 16};
    const Counters counters = count(d);
    const uint64_t outputs = 32 * 16 * 16;
    EXPECT_EQ(counters.global_stores.requests, outputs / 32);
    EXPECT_EQ(counters.global_stores.sectors, outputs * 4 / 32);
    EXPECT_EQ(counters.global_stores.useful_bytes, counters.global_stores.moved_bytes());
  }
}

TEST_F(GatherEmulated, BroadcastsTheInputInNhwc) {
  // One output pixel to a warp: per tap and channel one request of one sector for the input.
  ProblemDesc d;
  d.in_c = 8, d.out_c = 32;
  d.filter_order = FilterOrder::ihwo;  // k innermost: coalesced
  d.h = d.w = {.in = 4, .kernel = 1, .stride = 1, .dilation = 1, .pad_begin = 0, .out = 4};
  const Counters counters = count(d);
  const uint64_t pixels = 16, channels = 8;
  EXPECT_EQ(counters.global_loads.requests, pixels * channels * 2);
  EXPECT_EQ(counters.global_loads.sectors, pixels * channels * (1 + 4));
}

TEST_F(GatherEmulated, WidensEveryHalf) {
  ProblemDesc d;
  d.dtype = DType::f16;
  d.output_dtype = DType::f32;
  d.h = d.w = {.in = 256, .kernel = 1, .stride = 1, .dilation = 1, .pad_begin = 0, .out = 256};
  const Problem problem(d);
  Operands operands = small_integers(problem, 1);
  store(DType::f16, operands.filters.data(), 0, 1);
  auto* const halves = reinterpret_cast<Half*>(operands.input.data());
  for (int i = 0; i < 65536; ++i) halves[i] = {static_cast<uint16_t>(i)};
  run_host(plan_gather(problem), operands.tensors(), {}, 1, 1, nullptr);
  const auto* const output = reinterpret_cast<const float*>(operands.output.data());
  for (int i = 0; i < 65536; ++i) {
    const float expected = widen(halves[i]);
    ASSERT_TRUE(std::isnan(expected) ? std::isnan(output[i]) : output[i] == expected) << i;
  }
}

TEST_F(GatherEmulated, NamesProblemPlaceAndThread) {
  // Tensors in host memory: the first read of the kernel is out of bounds, and
  // the error says the problem, the place and the thread.
  ProblemDesc d;
  const Problem problem(d);
  const Plan plan = plan_gather(problem);
  Operands operands = small_integers(problem, 1);
  try {
    run(plan, operands.tensors(), {}, nullptr);
    FAIL() << "host memory was taken for device memory";
  } catch (const std::exception& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("row gather on " + problem.key()));
    EXPECT_THAT(error.what(), testing::HasSubstr("out of bounds at gather.cu:"));
    EXPECT_THAT(error.what(), testing::HasSubstr("thread 0"));
  }
}

}  // namespace
}  // namespace tconv::emulator
