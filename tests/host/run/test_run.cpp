// SPDX-License-Identifier: Apache-2.0
// test_run.cpp: what run refuses, what it costs on a family that does nothing, prepacked filters,
// and threads that share a plan.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <thread>
#include <vector>

#include "src/host/plan/plan.h"
#include "src/host/problem/errors.h"
#include "src/host/run/run.h"
#include "tests/support/count_allocations.h"
#include "tests/support/fake_kernels.h"
#include "tests/support/support.h"

namespace tconv::test {
namespace {

const Kernel kHungry = fake("hungry", takes_all, large_state);
const Kernel kNothing = fake("nothing", takes_all, small_state);

class RunTest : public testing::Test {
 protected:
  Problem problem_ = [] {
    ProblemDesc d;
    d.in_c = d.out_c = 4;
    d.has_bias = d.has_residual = true;
    d.activation = Activation::prelu;
    return Problem(d);
  }();
  Operands operands_ = small_integers(problem_, 1);
  Plan plan_ = make_plan(problem_, {}, cpu_facts(), std::vector<const Kernel*>{&kHungry});
  Bytes workspace_ = Bytes(4096 + 256);
};

TEST_F(RunTest, AllocatesNothing) {
  Tensors tensors = operands_.tensors();
  tensors.workspace = workspace_.data();
  const StatedBytes stated{.workspace = 4096};
  run(plan_, tensors, stated, nullptr);
  const int64_t before = allocation_count(), launched = launches;
  for (int i = 0; i < 1000; ++i) run(plan_, tensors, stated, nullptr);
  EXPECT_EQ(allocation_count() - before, 0);
  EXPECT_EQ(launches - launched, 1000);
}

TEST_F(RunTest, RefusesEveryBadPointerBeforeTheLaunch) {
  Tensors good = operands_.tensors();
  good.workspace = workspace_.data();
  const StatedBytes stated{.workspace = 4096};
  const auto expect_refused = [&](const Tensors& tensors, const StatedBytes& bytes,
                                  const std::string& field) {
    const int64_t launched = launches;
    try {
      run(plan_, tensors, bytes, nullptr);
      ADD_FAILURE() << "ran without a good " << field;
    } catch (const InvalidProblem& e) {
      EXPECT_NE(std::string(e.what()).find(field), std::string::npos) << e.what();
    }
    EXPECT_EQ(launches, launched);
  };
  const auto with = [&](auto field, auto value) {
    Tensors tensors = good;
    tensors.*field = value;
    return tensors;
  };
  const auto* odd = static_cast<const std::byte*>(good.input) + 4;
  const auto* odder = static_cast<const std::byte*>(good.bias) + 2;
  expect_refused(with(&Tensors::input, nullptr), stated, "tensors.input = null");
  expect_refused(with(&Tensors::filters, nullptr), stated, "tensors.filters = null");
  expect_refused(with(&Tensors::bias, nullptr), stated, "tensors.bias = null");
  expect_refused(with(&Tensors::slopes, nullptr), stated, "tensors.slopes = null");
  expect_refused(with(&Tensors::residual, nullptr), stated, "tensors.residual = null");
  expect_refused(with(&Tensors::output, nullptr), stated, "tensors.output = null");
  expect_refused(with(&Tensors::workspace, nullptr), stated, "tensors.workspace = null");
  expect_refused(with(&Tensors::input, odd), stated,
                 "tensors.input = 4, but it must be 0 modulo 16");
  expect_refused(with(&Tensors::bias, odder), stated, "tensors.bias = 2");
  expect_refused(with(&Tensors::workspace, workspace_.data() + 128), stated, "tensors.workspace");
  expect_refused(good, {.workspace = 4095}, "tensors.workspace_bytes = 4095");
  expect_refused(good, {.input = 15, .workspace = 4096}, "tensors.input_bytes = 15");
  expect_refused(good, {.filters = 1, .workspace = 4096}, "tensors.filters_bytes = 1");
  expect_refused(good, {.bias = 20, .workspace = 4096}, "tensors.bias_bytes = 20");
  expect_refused(good, {.slopes = 12, .workspace = 4096}, "tensors.slopes_bytes = 12");
  expect_refused(good, {.residual = 8, .workspace = 4096}, "tensors.residual_bytes = 8");
  expect_refused(good, {.output = 8, .workspace = 4096}, "tensors.output_bytes = 8");
}

TEST_F(RunTest, AnEmptyOutputIsSuccessAndNoLaunch) {
  ProblemDesc d;
  d.batch = 0;
  const Plan plan = make_plan(Problem(d), {}, cpu_facts(), std::vector<const Kernel*>{&kHungry});
  Tensors tensors;
  tensors.filters = operands_.filters.data();
  tensors.workspace = workspace_.data();
  const int64_t launched = launches;
  run(plan, tensors, {.workspace = 4096}, nullptr);
  EXPECT_EQ(launches, launched);
}

TEST_F(RunTest, VerifiedRunsThrowOnWrongResults) {
  // A row that does nothing leaves the poison in place: NaN is never right.
  const Plan plan =
      make_plan(problem_, {.verify = true}, cpu_facts(), std::vector<const Kernel*>{&kNothing});
  EXPECT_THROW(run(plan, operands_.tensors(), {}, nullptr), Mismatch);
  const Plan right = make_plan(problem_, {.kernels = {"reference"}, .verify = true});
  Tensors in_place = operands_.tensors();
  in_place.residual = in_place.output = operands_.residual.data();
  EXPECT_NO_THROW(run(right, in_place, {}, nullptr));
}

TEST_F(RunTest, EveryProblemHasARowForPrepackedFilters) {
  std::mt19937_64 random(12);
  for (int i = 0; i < 300; ++i) {
    const Problem problem(random_desc(random));
    const Plan plan = make_plan(problem, {.device = DeviceKind::cpu, .prepacked_filters = true});
    Operands plain = small_integers(problem, 3);
    Operands packed = plain;
    packed.filters.assign(plan.packed_filter_bytes() + 1, kPoison);
    packed.workspace.resize(plan.workspace_bytes() + 1, kPoison);
    prepack(plan, plain.filters.data(), packed.filters.data(), packed.filters.size(), nullptr);
    run(plan, packed.tensors(), {.workspace = packed.workspace.size()}, nullptr);
    run(make_plan(problem, {.kernels = {"reference"}}), plain.tensors(), {}, nullptr);
    ASSERT_EQ(packed.output, plain.output) << problem.key() << " by " << plan.kernel().name;
  }
}

TEST_F(RunTest, PrepackRefusesWhatDoesNotFit) {
  const Plan plan = make_plan(problem_, {.kernels = {"reference"}, .prepacked_filters = true});
  Bytes packed(plan.packed_filter_bytes());
  const auto& filters = operands_.filters;
  EXPECT_NO_THROW(prepack(plan, filters.data(), packed.data(), packed.size(), nullptr));
  EXPECT_THROW(prepack(plan, filters.data(), packed.data(), packed.size() - 1, nullptr),
               InvalidProblem);
  EXPECT_THROW(prepack(plan, nullptr, packed.data(), packed.size(), nullptr), InvalidProblem);
  EXPECT_THROW(prepack(plan_, filters.data(), packed.data(), packed.size(), nullptr),
               InvalidProblem);
}

TEST_F(RunTest, ManyThreadsShareOnePlan) {
  std::mt19937_64 random(11);
  const Problem problem(random_desc(random, {.zero_sizes = false}));
  const Plan plan = make_plan(problem, {.kernels = {"reference"}, .threads = 1});
  Operands first = small_integers(problem, 2);
  run(plan, first.tensors(), {}, nullptr);
  std::vector<Operands> copies(8, small_integers(problem, 2));
  std::vector<std::thread> threads;
  for (Operands& o : copies) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) run(plan, o.tensors(), {}, nullptr);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Operands& o : copies) EXPECT_EQ(o.output, first.output);
}

}  // namespace
}  // namespace tconv::test
