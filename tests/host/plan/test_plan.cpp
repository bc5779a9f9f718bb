// SPDX-License-Identifier: Apache-2.0
// test_plan.cpp: the planner over tables of fake families, and the cost of run on one that is idle.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "src/host/explain/explain.h"
#include "src/host/plan/plan.h"
#include "src/host/problem/errors.h"
#include "src/host/run/run.h"
#include "tests/support/count_allocations.h"
#include "tests/support/support.h"

namespace tconv::test {
namespace {

struct FakeState : KernelState {
  int tile = 0;
};

std::string takes_all(const Problem&, const Options&, const DeviceFacts&) { return ""; }
std::string takes_none(const Problem&, const Options&, const DeviceFacts&) { return "takes none"; }
Considered ten_per_tile(const Problem&, int tile, const Options&, const DeviceFacts&) {
  return {.estimate_us = 30.0 - 10 * tile};
}
Considered hundred(const Problem&, int, const Options&, const DeviceFacts&) {
  return {.estimate_us = 100};
}
std::shared_ptr<const KernelState> small_state(const Problem&, int tile, const Options&,
                                               const DeviceFacts&) {
  auto state = std::make_shared<FakeState>();
  state->tile = tile;
  return state;
}
std::shared_ptr<const KernelState> large_state(const Problem&, int tile, const Options&,
                                               const DeviceFacts&) {
  auto state = std::make_shared<FakeState>();
  state->tile = tile;
  state->workspace_bytes = 4096;
  return state;
}
std::shared_ptr<const KernelState> vendor_refuses(const Problem&, int, const Options&,
                                                  const DeviceFacts&) {
  throw Unsupported("the vendor refuses");
}
std::shared_ptr<const KernelState> device_fails(const Problem&, int tile, const Options&,
                                                const DeviceFacts&) {
  throw DeviceError("the device fails for tile " + std::to_string(tile));
}
Considered not_a_number(const Problem&, int, const Options&, const DeviceFacts&) {
  return {.estimate_us = NAN};
}
Considered endless(const Problem&, int, const Options&, const DeviceFacts&) {
  return {.estimate_us = INFINITY};
}
Considered before_now(const Problem&, int, const Options&, const DeviceFacts&) {
  return {.estimate_us = -5};
}
std::atomic<int64_t> launches{0};
void nothing(const Problem&, const KernelState&, const Tensors&, Stream) {
  launches.fetch_add(1, std::memory_order_relaxed);
}

constexpr const char* kOneTile[] = {"only"};
constexpr const char* kTwoTiles[] = {"small", "big"};
constexpr DType kTypes[] = {DType::f32};

using Prepare = decltype(Kernel::prepare);
Kernel fake(const char* name, decltype(Kernel::declines) declines, Prepare prepare,
            std::span<const char* const> tiles = kOneTile,
            decltype(Kernel::consider) consider = hundred) {
  return {.name = name,
          .device = DeviceKind::cpu,
          .tiles = tiles,
          .dtypes = kTypes,
          .declines = declines,
          .consider = consider,
          .prepare = prepare,
          .launch = nothing,
          .prepack = nullptr};
}

const Kernel kTiled = fake("tiled", takes_all, small_state, kTwoTiles, ten_per_tile);
const Kernel kDeclining = fake("declining", takes_none, small_state, kTwoTiles);
const Kernel kRefusing = fake("refusing", takes_all, vendor_refuses, kOneTile, ten_per_tile);
const Kernel kHungry = fake("hungry", takes_all, large_state, kOneTile, ten_per_tile);
const Kernel kFailing = fake("failing", takes_all, device_fails, kTwoTiles, ten_per_tile);
const Kernel kNan = fake("nan", takes_all, small_state, kOneTile, not_a_number);
const Kernel kEndless = fake("endless", takes_all, small_state, kOneTile, endless);
const Kernel kNegative = fake("negative", takes_all, small_state, kOneTile, before_now);
const Kernel kLast = fake("last", takes_all, small_state);

Plan plan_with(std::vector<const Kernel*> table, const Options& options = {}) {
  ProblemDesc d;
  d.h.out = d.w.out = 2;
  return make_plan(Problem(d), options, cpu_facts(), table);
}

const Candidate& candidate(const Plan& plan, const std::string& name) {
  for (const Candidate& c : plan.candidates()) {
    if (name == c.kernel->name) return c;
  }
  throw std::out_of_range(name);
}

TEST(Planner, TakesTheCheapestTileThatCanBePrepared) {
  const Plan plan = plan_with({&kDeclining, &kLast, &kTiled});
  EXPECT_STREQ(plan.kernel().name, "tiled");
  EXPECT_STREQ(plan.tile(), "big");
  EXPECT_EQ(plan.estimate_us(), 20);
  EXPECT_EQ(candidate(plan, "declining").reason, "takes none");
  EXPECT_EQ(candidate(plan, "last").reason, "slower by estimate");
}

TEST(Planner, KeepsTheReasonOfARowThatCannotBePrepared) {
  const Plan plan = plan_with({&kRefusing, &kLast});
  EXPECT_STREQ(plan.kernel().name, "last");
  EXPECT_EQ(candidate(plan, "refusing").reason, "the vendor refuses");
}

TEST(Planner, HonoursTheWorkspaceLimit) {
  EXPECT_STREQ(plan_with({&kHungry, &kLast}).kernel().name, "hungry");
  const Plan exact = plan_with({&kHungry, &kLast}, {.workspace_limit = 4096});
  EXPECT_STREQ(exact.kernel().name, "hungry");
  const Plan capped = plan_with({&kHungry, &kLast}, {.workspace_limit = 4095});
  EXPECT_STREQ(capped.kernel().name, "last");
  EXPECT_EQ(candidate(capped, "hungry").reason, "needs 4096 bytes of workspace, the limit is 4095");
}

TEST(Planner, TiesGoToTheEarlierRow) {
  const Kernel other = fake("other", takes_all, small_state);
  EXPECT_STREQ(plan_with({&kLast, &other}).kernel().name, "last");
  EXPECT_STREQ(plan_with({&other, &kLast}).kernel().name, "other");
}

TEST(Planner, WhatIsNoTimeRanksLastInTheOrderOfTheTable) {
  EXPECT_STREQ(plan_with({&kNan, &kNegative, &kLast, &kEndless}).kernel().name, "last");
  EXPECT_STREQ(plan_with({&kEndless, &kNan, &kNegative}).kernel().name, "endless");
  const Plan chosen = plan_with({&kNan, &kEndless, &kNegative});
  EXPECT_EQ(chosen.estimate_us(), 0) << "none is known";
  EXPECT_FALSE(nlohmann::json::parse(chosen.explain(true))["rows"][0].contains("estimate_us"));
  EXPECT_EQ(chosen.explain(false).find("inf"), std::string::npos) << chosen.explain(false);
  EXPECT_FALSE(nlohmann::json::parse(explain_counters(chosen, true)).contains("estimate_us"));
}

// What an order without a place for NaN does depends on the algorithm and the table: many of them.
TEST(Planner, NoOrderOfTheTableHidesTheCheapest) {
  std::mt19937_64 random(31);
  std::vector<const Kernel*> table = {&kLast, &kTiled};
  for (int i = 0; i < 40; ++i) table.push_back(i % 2 == 0 ? &kNan : &kEndless);
  for (int i = 0; i < 200; ++i) {
    std::ranges::shuffle(table, random);
    const Plan plan = plan_with(table);
    EXPECT_STREQ(plan.kernel().name, "tiled");
    EXPECT_STREQ(plan.tile(), "big");
  }
}

TEST(Planner, AFailureOfTheDeviceIsTheReasonOfItsRow) {
  const Plan plan = plan_with({&kFailing, &kLast});
  EXPECT_STREQ(plan.kernel().name, "last");
  EXPECT_EQ(candidate(plan, "failing").reason, "the device fails for tile 0");
  EXPECT_NE(plan.explain(false).find("not chosen: the device fails for tile 1"), std::string::npos);
}

TEST(Planner, WhereAllFailTheErrorIsTheDevicesAndHasEveryReason) {
  try {
    plan_with({&kDeclining, &kFailing, &kRefusing, &kLast},
              {.kernels = {"declining", "failing", "refusing"}});
    FAIL() << "made a plan";
  } catch (const DeviceError& e) {
    const std::string what = e.what();
    for (const char* part :
         {"no kernel for f32:nhwc", "declining: takes none", "fails for tile 0", "fails for tile 1",
          "refusing: the vendor refuses", "last: not among"}) {
      EXPECT_NE(what.find(part), std::string::npos) << what;
    }
  }
}

TEST(Planner, AllowedKernelsAndTilesAreObeyedAndMustExist) {
  EXPECT_STREQ(plan_with({&kTiled, &kLast}, {.kernels = {"last"}}).kernel().name, "last");
  EXPECT_STREQ(plan_with({&kTiled, &kLast}, {.tile = "small"}).tile(), "small");
  EXPECT_THROW(plan_with({&kTiled}, {.kernels = {"tilde"}}), InvalidProblem);
  EXPECT_THROW(plan_with({&kTiled}, {.tile = "tiny"}), InvalidProblem);
  EXPECT_THROW(plan_with({&kTiled}, {.prepacked_filters = true, .verify = true}), InvalidProblem);
}

TEST(Planner, UnsupportedHasEveryReason) {
  try {
    plan_with({&kDeclining, &kRefusing, &kLast}, {.kernels = {"declining", "refusing"}});
    FAIL() << "made a plan";
  } catch (const Unsupported& e) {
    const std::string what = e.what();
    EXPECT_NE(what.find("declining: takes none"), std::string::npos) << what;
    EXPECT_EQ(what.find("takes none"), what.rfind("takes none")) << "once for both tiles: " << what;
    EXPECT_NE(what.find("refusing: the vendor refuses"), std::string::npos) << what;
    EXPECT_NE(what.find("last: not among the allowed kernels"), std::string::npos) << what;
  }
}

TEST(Planner, IsAPureFunction) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 200; ++i) {
    const Problem problem(random_desc(random));
    for (const char* model : {"", "h200"}) {
      const Options options{.device = *model == 0 ? DeviceKind::cpu : DeviceKind::automatic,
                            .device_model = model};
      const auto decision = [&]() -> std::string {
        try {
          return explain(make_plan(problem, options), true);
        } catch (const Unsupported& e) {  // a build without CUDA
          return e.what();
        }
      };
      EXPECT_EQ(decision(), decision());
    }
  }
}

TEST(Explain, JsonHasTheWholeDecision) {
  const Plan plan = plan_with({&kDeclining, &kTiled, &kLast});
  const auto json = nlohmann::json::parse(explain(plan, true));
  EXPECT_EQ(json["kernel"], "tiled");
  EXPECT_EQ(json["tile"], "big");
  EXPECT_EQ(json["rows"].size(), 5U);
  int chosen = 0;
  for (const auto& row : json["rows"]) {
    chosen += row["chosen"].get<bool>() ? 1 : 0;
    EXPECT_EQ(row["chosen"].get<bool>(), !row.contains("reason"));
  }
  EXPECT_EQ(chosen, 1);
  EXPECT_NE(explain(plan, false).find("not chosen: takes none"), std::string::npos);
}

TEST(Explain, AtListsExactlyTheTapsThatMakeTheElement) {
  std::mt19937_64 random(8);
  int checked = 0;
  while (checked < 300) {
    ProblemDesc d = random_desc(random, {.zero_sizes = false});
    d.has_bias = d.has_residual = false;
    d.activation = Activation::identity;
    d.output_dtype = d.dtype == DType::f64 ? DType::f64 : DType::f32;
    d.alignment = 8;
    const Problem problem(d);
    const Operands o = small_integers(problem, random());
    const int64_t p = static_cast<int64_t>(random() % static_cast<uint64_t>(d.h.out));
    const int64_t q = static_cast<int64_t>(random() % static_cast<uint64_t>(d.w.out));
    const Plan plan = make_plan(problem, {.kernels = {"reference"}});
    const auto json = nlohmann::json::parse(
        explain_at(plan, o.input.data(), o.filters.data(), 0, p, q, d.out_c - 1, true));
    Operands run_on = o;
    run(plan, run_on.tensors(), {}, nullptr);
    EXPECT_EQ(json["sum"].get<double>(),
              load(d.output_dtype, run_on.output.data(),
                   problem.desc().output_strides.offset(0, p, q, d.out_c - 1)))
        << problem.key();
    for (const auto& tap : json["taps"]) {
      EXPECT_EQ(tap["input_pixel"][0].get<int64_t>() * d.h.stride - d.h.pad_begin +
                    tap["tap"][0].get<int64_t>() * d.h.dilation,
                p);
    }
    ++checked;
  }
}

// ---- run ----------------------------------------------------------------------------------------

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
      make_plan(problem_, {.verify = true}, cpu_facts(), std::vector<const Kernel*>{&kLast});
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
    packed.filters.assign(plan.state().packed_filter_bytes + 1, kPoison);
    packed.workspace.resize(plan.workspace_bytes() + 1, kPoison);
    prepack(plan, plain.filters.data(), packed.filters.data(), packed.filters.size(), nullptr);
    run(plan, packed.tensors(), {.workspace = packed.workspace.size()}, nullptr);
    run(make_plan(problem, {.kernels = {"reference"}}), plain.tensors(), {}, nullptr);
    ASSERT_EQ(packed.output, plain.output) << problem.key() << " by " << plan.kernel().name;
  }
}

TEST_F(RunTest, PrepackRefusesWhatDoesNotFit) {
  const Plan plan = make_plan(problem_, {.kernels = {"reference"}, .prepacked_filters = true});
  Bytes packed(plan.state().packed_filter_bytes);
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
