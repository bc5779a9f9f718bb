// SPDX-License-Identifier: Apache-2.0
// test_bench_statistics.cpp: what the benchmark on a GPU makes of samples, without one: medians and
// intervals, the rounds that count, resuming from a file that was cut off.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "bench/gpu/result_lines.h"
#include "bench/gpu/timing.h"

namespace tconv::bench {
namespace {

// ---- Statistics. --------------------------------------------------------------------------------

TEST(Median, OfOddAndEvenCounts) {
  EXPECT_EQ(median({3}), 3);
  EXPECT_EQ(median({9, 1, 5}), 5);
  EXPECT_EQ(median({4, 1, 100, 2}), 3);
}

std::vector<double> noisy(double middle, double spread, int count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> noise(middle, spread);
  std::vector<double> values(static_cast<std::size_t>(count));
  for (double& value : values) value = noise(random);
  return values;
}

TEST(Bootstrap, CoversTheTruthAboutAsOftenAsItSays) {
  constexpr int kTrials = 300;
  int covered = 0, ratio_covered = 0;
  for (int i = 0; i < kTrials; ++i) {
    const auto seed = static_cast<uint64_t>(i);
    const auto a = noisy(100, 5, 25, 2 * seed), b = noisy(50, 2, 25, 2 * seed + 1);
    covered += bootstrap_median(a, seed).excludes(100) ? 0 : 1;
    ratio_covered += bootstrap_ratio(a, b, seed).excludes(2) ? 0 : 1;
  }
  // 95 %, as far as 25 values and 300 trials can tell.
  EXPECT_GT(covered, kTrials * 88 / 100);
  EXPECT_LT(covered, kTrials);
  EXPECT_GT(ratio_covered, kTrials * 88 / 100);
}

TEST(Bootstrap, NarrowsWithMoreValuesAndSaysTheSameTwice) {
  const auto few = noisy(100, 5, 9, 1), many = noisy(100, 5, 400, 1);
  const Interval wide = bootstrap_median(few, 7), narrow = bootstrap_median(many, 7);
  EXPECT_LT(narrow.high - narrow.low, (wide.high - wide.low) / 2);
  EXPECT_EQ(bootstrap_median(few, 7).low, wide.low);
  const Interval constant = bootstrap_median(std::vector<double>(9, 3.0), 1);
  EXPECT_EQ(constant.low, 3);
  EXPECT_EQ(constant.high, 3);
}

TEST(Bootstrap, OfARatioCancelsWhatSlowsBothSides) {
  std::vector<double> a, b;
  for (const double slow : {1.0, 1.5, 1.1, 2.0, 1.2, 1.0, 1.7, 1.3, 1.05}) {
    a.push_back(30 * slow), b.push_back(20 * slow);
  }
  const Interval ratio = bootstrap_ratio(a, b, 1);
  EXPECT_NEAR(ratio.low, 1.5, 1e-12);
  EXPECT_NEAR(ratio.high, 1.5, 1e-12);
  EXPECT_TRUE(ratio.excludes(1));
}

TEST(SteadyRounds, DropWhereAnyAnchorIsOff) {
  const std::vector<std::vector<double>> anchors = {{100, 101, 99, 104, 100, 100},
                                                    {10, 10, 10, 10, 10.2, 9.6}};
  EXPECT_EQ(steady_rounds(anchors, 0.03), (std::vector<std::size_t>{0, 1, 2, 4}));
  EXPECT_EQ(steady_rounds(anchors, 0.005), (std::vector<std::size_t>{0}));
  EXPECT_TRUE(steady_rounds({}, 0.03).empty());
}

TEST(GeometricMean, OfRatios) {
  EXPECT_NEAR(geometric_mean({2, 0.5}), 1, 1e-12);
  EXPECT_EQ(geometric_mean({}), 0);
}

// ---- Rounds. ------------------------------------------------------------------------------------

/// A machine that slows down in some rounds: everything takes `factor` as long.
struct SimulatedMachine {
  std::vector<double> factors;  ///< by round; 1 after the end
  std::vector<std::string> calls;
  std::size_t per_round = 3;

  double factor() const {
    const std::size_t warm_up = per_round;
    if (calls.size() < warm_up) return 5;  // the first samples are slow: they must not count
    const std::size_t round = (calls.size() - warm_up) / per_round;
    return round < factors.size() ? factors[round] : 1;
  }
  Contender make(const std::string& name, double us) {
    return {name, [this, name, us] {
              const double sample = us * factor();
              calls.push_back(name);
              return sample;
            }};
  }
};

TEST(Rounds, RunEachOnceARoundInRandomOrder) {
  SimulatedMachine machine;
  const Contender contenders[] = {machine.make("a", 10), machine.make("b", 20)};
  const Contender anchors[] = {machine.make("anchor", 5)};
  const Rounds rounds = run_rounds(contenders, anchors, {});
  EXPECT_TRUE(rounds.steady);
  EXPECT_EQ(rounds.run, 9);
  EXPECT_EQ(rounds.dropped, 0);
  EXPECT_EQ(rounds.us, (std::vector<std::vector<double>>{std::vector<double>(9, 10.0),
                                                         std::vector<double>(9, 20.0)}));
  ASSERT_EQ(machine.calls.size(), 3u * 10);
  std::set<std::string> orders;
  for (std::size_t i = 3; i < machine.calls.size(); i += 3) {
    const std::multiset<std::string> round(
        machine.calls.begin() + static_cast<std::ptrdiff_t>(i),
        machine.calls.begin() + static_cast<std::ptrdiff_t>(i + 3));
    EXPECT_EQ(round, (std::multiset<std::string>{"a", "anchor", "b"}));
    orders.insert(machine.calls[i] + machine.calls[i + 1] + machine.calls[i + 2]);
  }
  EXPECT_GT(orders.size(), 2u);
}

TEST(Rounds, ReplaceThoseThatDrifted) {
  SimulatedMachine machine;
  machine.factors = {1, 1.04, 1, 1, 1.5, 1};
  const Contender contenders[] = {machine.make("a", 10), machine.make("b", 20)};
  const Contender anchors[] = {machine.make("anchor", 5)};
  const Rounds rounds = run_rounds(contenders, anchors, {});
  EXPECT_TRUE(rounds.steady);
  EXPECT_EQ(rounds.run, 11);
  EXPECT_EQ(rounds.dropped, 2);
  EXPECT_EQ(rounds.us[0], std::vector<double>(9, 10.0));
}

TEST(Rounds, SayThatAMachineNeverSettled) {
  SimulatedMachine machine;
  for (int i = 0; i < 27; ++i) machine.factors.push_back(1 + 0.1 * i);
  const Contender contenders[] = {machine.make("a", 10), machine.make("b", 20)};
  const Contender anchors[] = {machine.make("anchor", 5)};
  const Rounds rounds = run_rounds(contenders, anchors, {});
  EXPECT_FALSE(rounds.steady);
  EXPECT_EQ(rounds.run, 27);
  EXPECT_EQ(rounds.us[0].size(), 27u);
  machine.calls.clear();
  EXPECT_TRUE(run_rounds(contenders, {}, {}).steady) << "without anchors every round counts";
}

TEST(Samples, AreLongEnoughAndUseEverySetAlike) {
  for (const double us : {0.5, 3.0, 190.0, 5000.0}) {
    for (const int64_t sets : {1, 7, 300}) {
      const int64_t launches = launches_per_sample(us, 200, sets, 4096);
      EXPECT_EQ(launches % sets, 0);
      EXPECT_GE(static_cast<double>(launches) * us, 200);
      EXPECT_LE(launches, 4096);
    }
  }
  EXPECT_EQ(launches_per_sample(0, 200, 1, 4096), 4096);
  EXPECT_EQ(launches_per_sample(0.01, 200, 3000, 4096), 3000);
}

TEST(Sets, HaveAFootprintOverThreeTimesTheL2) {
  constexpr int64_t kL2 = 50 << 20;
  for (const int64_t bytes : {int64_t{70000}, int64_t{1} << 20, int64_t{3} << 30, 3 * kL2}) {
    const int64_t sets = rotating_sets(bytes, kL2, 4096);
    EXPECT_GT(sets * bytes, 3 * kL2);
    EXPECT_LE((sets - 1) * bytes, 3 * kL2);
  }
  EXPECT_EQ(rotating_sets(1, kL2, 4096), 4096);
}

// ---- Files. -------------------------------------------------------------------------------------

class Results : public testing::Test {
 protected:
  Results() : path_(testing::TempDir() + "results_" + std::to_string(getpid()) + ".jsonl") {
    std::filesystem::remove(path_);
  }
  ~Results() override { std::filesystem::remove(path_); }
  void write(const std::string& text) const { std::ofstream(path_, std::ios::app) << text; }
  std::string text() const {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string path_;
};

TEST_F(Results, AreThereInTheNextRun) {
  {
    ResultLines results(path_);
    EXPECT_TRUE(results.lines().empty());
    results.append({{"kind", "begin"}, {"unit", "u"}});
    results.append({{"kind", "timing"}, {"id", "x|cold"}, {"unit", "u"}});
    results.append({{"kind", "end"}, {"unit", "u"}});
  }
  const ResultLines results(path_);
  EXPECT_EQ(results.lines().size(), 3u);
  EXPECT_TRUE(results.has("x|cold"));
  EXPECT_FALSE(results.has("x|warm"));
  EXPECT_TRUE(results.ended("u"));
  EXPECT_FALSE(results.ended("v"));
}

TEST_F(Results, CountBeginsThatCameToNothing) {
  ResultLines results(path_);
  const Json begin = {{"kind", "begin"}, {"unit", "u"}};
  results.append(begin), results.append(begin);
  EXPECT_EQ(results.vain_begins("u"), 2);
  results.append({{"kind", "timing"}, {"id", "x"}, {"unit", "u"}});
  EXPECT_EQ(results.vain_begins("u"), 0);
  results.append(begin);
  EXPECT_EQ(results.vain_begins("u"), 1);
  EXPECT_EQ(results.vain_begins("v"), 0);
}

TEST_F(Results, SurviveALineThatWasCutOff) {
  write("{\"id\":\"a\"}\n{\"id\":\"b\",\"us\":1.");
  {
    ResultLines results(path_);
    EXPECT_TRUE(results.has("a"));
    EXPECT_FALSE(results.has("b"));
    results.append({{"id", "b"}});
  }
  EXPECT_EQ(text(), "{\"id\":\"a\"}\n{\"id\":\"b\"}\n");
}

TEST_F(Results, SurviveAMissingLineEnd) {
  write("{\"id\":\"a\"}");
  ResultLines(path_).append({{"id", "b"}});
  EXPECT_EQ(text(), "{\"id\":\"a\"}\n{\"id\":\"b\"}\n");
}

TEST_F(Results, RefuseAnotherFile) {
  write("{\"id\":\"a\"}\nnetwork,layer\n{}\n");
  try {
    const ResultLines results(path_);
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("line 2 is no JSON object"), std::string::npos);
  }
  EXPECT_THROW(ResultLines("/nowhere/results.jsonl"), std::runtime_error);
}

}  // namespace
}  // namespace tconv::bench
