// SPDX-License-Identifier: Apache-2.0
// test_plan.cpp: the planner over tables of fake families.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "src/host/explain/explain.h"
#include "src/host/plan/plan.h"
#include "src/host/plan/unlock.h"
#include "src/host/problem/errors.h"
#include "src/host/run/run.h"
#include "tests/support/fake_kernels.h"
#include "tests/support/support.h"

namespace tconv::test {
namespace {

std::string takes_none(const Problem&, const Options&, const DeviceFacts&) { return "takes none"; }
Considered ten_per_tile(const Problem&, int tile, const Options&, const DeviceFacts&) {
  return {.estimate_us = 30.0 - 10 * tile};
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

constexpr const char* kTwoTiles[] = {"small", "big"};

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
  EXPECT_FALSE(nlohmann::json::parse(explain(chosen, true))["rows"][0].contains("estimate_us"));
  EXPECT_EQ(explain(chosen, false).find("inf"), std::string::npos) << explain(chosen, false);
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
  EXPECT_NE(explain(plan, false).find("not chosen: the device fails for tile 1"),
            std::string::npos);
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

// ---- The option that unlocks more ---------------------------------------------------------------

/// 100 us, 40 with filters prepacked, 60 where it may use memory, 30 where bits may differ.
Considered choosy(const Problem&, int, const Options& options, const DeviceFacts&) {
  return {.estimate_us = options.prepacked_filters     ? 40.0
                         : options.workspace_limit < 0 ? 60.0
                         : !options.deterministic      ? 30.0
                                                       : 100.0};
}

TEST(Unlock, NamesTheOptionOfTheFastestRow) {
  const Kernel choosy_row = fake("choosy", takes_all, small_state, kOneTile, choosy);
  const auto capped = unlocked_by_one_option(plan_with({&choosy_row}, {.workspace_limit = 0}));
  ASSERT_TRUE(capped.has_value());
  EXPECT_EQ(capped->option, "allow_nondeterministic");
  EXPECT_EQ(capped->kernel, "choosy");
  EXPECT_EQ(capped->estimate_us, 30);
  const Plan free = plan_with({&choosy_row, &kLast}, {.kernels = {"choosy", "last"}});
  ASSERT_TRUE(unlocked_by_one_option(free).has_value());
  EXPECT_EQ(unlocked_by_one_option(free)->option, "prepacked_filters");
  const auto json = nlohmann::json::parse(explain(free, true));
  EXPECT_EQ(json["unlock"]["option"], "prepacked_filters");
  EXPECT_EQ(json["unlock"]["estimate_us"], 40);
  EXPECT_NE(explain(free, false).find("\nwith prepacked filters: choosy, 40 us\n"),
            std::string::npos);
}

TEST(Unlock, SaysNothingWhereNothingFasterCanBePrepared) {
  EXPECT_FALSE(unlocked_by_one_option(plan_with({&kTiled, &kLast})).has_value());
  // A row that only promises: what is named must be there.
  const Kernel absent = fake(
      "absent",
      [](const Problem&, const Options& o, const DeviceFacts&) -> std::string {
        return o.prepacked_filters ? "" : "takes prepacked filters";
      },
      vendor_refuses, kOneTile, ten_per_tile);
  EXPECT_FALSE(unlocked_by_one_option(plan_with({&absent, &kLast})).has_value());
  // 4 % are not worth a word.
  const Kernel nearly = fake("nearly", takes_all, small_state, kOneTile,
                             [](const Problem&, int, const Options& o, const DeviceFacts&) {
                               return Considered{.estimate_us = o.prepacked_filters ? 96.0 : 100.0};
                             });
  EXPECT_FALSE(unlocked_by_one_option(plan_with({&nearly})).has_value());
  EXPECT_EQ(explain(plan_with({&nearly}), false).find("prepacked"), std::string::npos);
}

// ---- Reasons ------------------------------------------------------------------------------------

TEST(Explain, SaysAReasonOnceHoweverManyTilesItExcludes) {
  const auto times = [](const std::string& text, const std::string& words) {
    int count = 0;
    for (std::size_t at = text.find(words); at != std::string::npos;
         at = text.find(words, at + 1)) {
      ++count;
    }
    return count;
  };
  const std::string text = explain(plan_with({&kDeclining, &kTiled, &kLast}), false);
  EXPECT_EQ(times(text, "takes none"), 1) << text;
  EXPECT_EQ(times(text, "declining/small, big  not chosen: takes none"), 1) << text;
  const std::string unused = explain(plan_with({&kTiled, &kLast}, {.kernels = {"last"}}), false);
  EXPECT_EQ(times(unused, "not among the allowed kernels"), 1) << unused;
  EXPECT_EQ(times(unused, "\n        small  30 us"), 1) << unused;
  EXPECT_EQ(times(unused, "\n        big  20 us"), 1) << unused;
  try {
    plan_with({&kDeclining, &kRefusing, &kDeclining});
    FAIL();
  } catch (const Unsupported& refusal) {
    EXPECT_EQ(times(refusal.what(), "takes none"), 1) << refusal.what();
  }
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

// What `explain --at` is for: where does a NaN come from? From channel 11 here.
TEST(Explain, AtShowsInfinitiesAndNaNs) {
  ProblemDesc d;
  d.in_c = 14;
  d.w = {.in = 2, .kernel = 2, .stride = 1, .out = 3};
  const Problem problem(d);
  Operands o = small_integers(problem, 1);
  const double inf = std::numeric_limits<double>::infinity();
  store(DType::f32, o.input.data(), 0, -inf);
  store(DType::f32, o.filters.data(), 0, 2);
  store(DType::f32, o.input.data(), 11, inf);
  store(DType::f32, o.filters.data(), 11, 0);
  const Plan plan = make_plan(problem, {.kernels = {"reference"}});
  const auto at = [&](bool json) {
    return explain_at(plan, o.input.data(), o.filters.data(), 0, 0, 0, 0, json);
  };
  const auto json = nlohmann::json::parse(at(true));
  EXPECT_EQ(json["sum"], "nan");
  const auto& products = json["taps"][0]["products"];
  ASSERT_EQ(products.size(), 9U);
  EXPECT_EQ(products[0]["input"], "-inf");
  EXPECT_EQ(products[0]["filter"], 2);
  EXPECT_EQ(products[0]["product"], "-inf");
  EXPECT_EQ(products[8]["c"], 11);
  EXPECT_EQ(products[8]["product"], "nan");
  const std::string text = at(false);
  for (const char* part :
       {"c=0: -inf * 2", "= -inf", "c=11: inf * 0", "= nan", "sum nan", "and 5 more channels\n"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  EXPECT_EQ(text.find("null"), std::string::npos) << text;
}

}  // namespace
}  // namespace tconv::test
