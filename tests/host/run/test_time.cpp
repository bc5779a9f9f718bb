// SPDX-License-Identifier: Apache-2.0
// test_time.cpp: runs that are timed on the caller's own memory and stream.
#include <gtest/gtest.h>

#include "src/host/problem/errors.h"
#include "src/host/run/run.h"
#include "tests/support/fake_gpu.h"
#include "tests/support/fake_rows.h"
#include "tests/support/support.h"

namespace tconv::test {
namespace {

class TimedRuns : public testing::Test {
 protected:
  TimedRuns() { fake_.on_launch = rows::compute; }
  void SetUp() override { operands_.workspace.resize(4096); }

  static Problem problem() {
    ProblemDesc d;
    d.in_c = 3, d.out_c = 4;
    d.h = d.w = {.in = 3, .kernel = 3, .stride = 2, .pad_begin = 1, .out = 6};
    d.has_residual = true;
    return Problem(d);
  }

  FakeGpu fake_;
  const Kernel* const table_[1] = {&rows::kFake};
  const Plan plan_ = make_plan(problem(), {}, table_);
  Operands operands_ = small_integers(problem(), 1);
  const StatedBytes stated_{.workspace = 4096};
  double us_[3] = {};
};

TEST_F(TimedRuns, AreOnTheCallersMemoryAndStream) {
  int stream = 0;
  Stream launched_on = nullptr;
  fake_.on_launch = [&](const Launch& launch) { launched_on = launch.stream; };
  fake_.event_us = 10;
  time_runs(plan_, operands_.tensors(), stated_, &stream, 3, 5, us_);
  EXPECT_EQ(fake_.launches, 15);
  EXPECT_EQ(launched_on, &stream);
  EXPECT_EQ(fake_.copies + fake_.allocations, 0) << "the caller's memory is what it is";
  for (const double us : us_) EXPECT_EQ(us, 2);
}

TEST_F(TimedRuns, AreRefusedBeforeTheFirst) {
  const auto refused = [&](auto&& call) {
    EXPECT_THROW(call(), InvalidProblem);
    EXPECT_EQ(fake_.launches, 0);
  };
  Tensors tensors = operands_.tensors();
  refused([&] { time_runs(plan_, tensors, stated_, nullptr, 0, 1, us_); });
  refused([&] { time_runs(plan_, tensors, stated_, nullptr, 1, 0, us_); });
  refused([&] { time_runs(plan_, tensors, stated_, nullptr, 1, 1, nullptr); });
  refused([&] { time_runs(plan_, tensors, {.workspace = 1}, nullptr, 1, 1, us_); });
  tensors.residual = tensors.output;  // a second run would add the first's sums
  refused([&] { time_runs(plan_, tensors, stated_, nullptr, 1, 2, us_); });
  EXPECT_NO_THROW(time_runs(plan_, tensors, stated_, nullptr, 1, 1, us_));
}

TEST_F(TimedRuns, AreNotCaptured) {
  fake_.capturing = true;
  EXPECT_THROW(time_runs(plan_, operands_.tensors(), stated_, nullptr, 1, 1, us_), Unsupported);
  EXPECT_EQ(fake_.launches, 0);
}

}  // namespace
}  // namespace tconv::test
