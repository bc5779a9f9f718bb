// SPDX-License-Identifier: Apache-2.0
// test_diagnose.cpp: plants every mistake that diagnose() claims to know in random problems and
// wants it named; right results, garbage and unwritten memory must not be explained.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

#include "src/host/verify/diagnose.h"
#include "tests/host/verify/planted_mistakes.h"
#include "tests/host/verify/planted_numbers.h"

namespace tconv::test {
namespace {

ProblemDesc random_problem(Random& random) {
  RandomLimits limits;
  limits.zero_sizes = false;
  limits.inexact_activations = random() % 2 == 0;
  ProblemDesc d = random_desc(random, limits);
  d.alignment = static_cast<int32_t>(size_of(d.dtype == DType::f64 ? DType::f64 : DType::f32));
  return d;
}

/// Uniform data, or 1, 2, ... 13, 1, ... in memory order.
Operands data_for(const Problem& problem, Random& random) {
  if (random() % 2 == 0) return uniform(problem, random());
  const auto count = [](int64_t i) { return static_cast<double>(i % 13 + 1) / 8; };
  return operands(problem, count, [](int64_t i) { return 0.25 * static_cast<double>(i % 3 + 1); });
}

Diagnosis diagnose_scene(Scene& scene) {
  return diagnose(scene.problem, scene.data.tensors(), {.threads = 1});
}

/// True if no product reached any output: the filters might as well be zero.
bool has_no_products(const Scene& scene) {
  Scene zero = scene;
  for_each(
      {1, 1, 1, scene.problem.filter_bytes() / static_cast<int64_t>(size_of(scene.desc().dtype))},
      [&](const Coordinate& at) { store(scene.desc().dtype, zero.data.filters.data(), at.k, 0); });
  run_as(zero, zero.desc(), zero.data);
  bool same = true;
  for_each(scene.problem.output_extents(), [&](const Coordinate& at) {
    same = same && scene.output(scene.data, at) == zero.output(zero.data, at);
  });
  return same;
}

/// A scene on which this mistake changes the result, and which shows where products went.
Scene planted_scene(const Plant& plant, Random& random) {
  for (;;) {
    ProblemDesc d = random_problem(random);
    const auto extents = [&] {
      return std::array{d.in_c, d.out_c, d.h.in, d.w.in, d.h.out, d.w.out};
    };
    const auto before = extents();
    plant.shape(random, d);
    if (extents() != before) d.input_strides = d.output_strides = d.residual_strides = {};
    if (d.h.out < 1 || d.w.out < 1) continue;
    const Problem problem(d);
    if (problem.output_extents().count() < 4) continue;
    Scene scene{problem, data_for(problem, random)};
    plant.commit(random, scene);
    if (has_no_products(scene)) continue;
    if (!verify(scene.problem, scene.data.tensors(), {.threads = 1}).right()) {
      return scene;
    }
  }
}

constexpr int kSample = 100;
#ifdef __SANITIZE_ADDRESS__
constexpr int64_t kManyChannels = 32;  // the sanitizer takes its time
#else
constexpr int64_t kManyChannels = 256;
#endif

std::vector<Plant> every_plant() {
  std::vector<Plant> all = all_plants();
  std::ranges::copy(plants_in_numbers(), std::back_inserter(all));
  return all;
}

class DiagnoseTest : public testing::TestWithParam<Plant> {};

TEST_P(DiagnoseTest, NamesThePlantedMistake) {
  Random random(std::hash<std::string>{}(GetParam().label));
  const int problems = enumeration(500, kSample);
  int named = 0, names = 0;
  std::string missed;
  for (int i = 0; i < problems; ++i) {
    Scene scene = planted_scene(GetParam(), random);
    const Diagnosis diagnosis = diagnose_scene(scene);
    EXPECT_FALSE(diagnosis.right);
    const bool found = std::ranges::any_of(diagnosis.mistakes, [&](const Mistake& mistake) {
      return mistake.name == GetParam().name;
    });
    names += static_cast<int>(diagnosis.mistakes.size());
    named += found ? 1 : 0;
    if (!found) missed += "\n" + scene.problem.key() + ": " + describe(diagnosis, false);
  }
  RecordProperty("named", named);
  RecordProperty("names", names);
  EXPECT_GE(named, problems * 95 / 100) << missed;
  // Mistakes are told apart: on average hardly more than one other explains the result as well
  // (exchanged channels of a filter are also a filter order).
  EXPECT_LT(names, problems * 5 / 2);
}

INSTANTIATE_TEST_SUITE_P(Planted, DiagnoseTest, testing::ValuesIn(every_plant()),
                         [](const auto& test) { return std::string(test.param.label); });

TEST(Diagnose, PlantsEveryMistakeThatItClaimsToKnow) {
  std::set<std::string> planted;
  for (const Plant& plant : every_plant()) planted.insert(plant.name);
  const std::vector<std::string> known = known_mistakes();
  EXPECT_EQ(planted, std::set<std::string>(known.begin(), known.end()));
}

TEST(Diagnose, SaysNothingOnRightResults) {
  Random random(1);
  for (int i = 0; i < 100; ++i) {
    const Problem problem(random_problem(random));
    Scene scene{problem, data_for(problem, random)};
    run_as(scene, scene.desc(), scene.data);
    const Diagnosis diagnosis = diagnose_scene(scene);
    EXPECT_TRUE(diagnosis.right);
    EXPECT_TRUE(diagnosis.mistakes.empty()) << problem.key() << describe(diagnosis, false);
  }
}

TEST(Diagnose, SaysNoMoreThanWhatIsSeenOfGarbageZerosAndUnwrittenMemory) {
  Random random(2);
  std::uniform_real_distribution<double> value(-1, 1);
  for (int i = 0; i < 300; ++i) {
    ProblemDesc d = random_problem(random);
    d.activation = Activation::identity;
    const Problem problem(d);
    if (problem.output_extents().count() < 8 || problem.useful_macs() == 0) continue;
    Scene scene{problem, data_for(problem, random)};
    if (i % 3 != 0) {
      for_each(problem.output_extents(), [&](const Coordinate& at) {
        scene.store_output(at, i % 3 == 1 ? 0 : value(random));
      });
    }
    const Diagnosis diagnosis = diagnose_scene(scene);
    if (diagnosis.right) continue;
    const char* seen[] = {"all_nan", "all_zero"};
    if (i % 3 == 2) {
      EXPECT_TRUE(diagnosis.mistakes.empty()) << problem.key() << describe(diagnosis, false);
    } else {
      ASSERT_EQ(diagnosis.mistakes.size(), 1U) << problem.key() << describe(diagnosis, false);
      EXPECT_EQ(diagnosis.mistakes[0].name, seen[i % 3]);
    }
  }
}

TEST(Diagnose, SaysNothingOfOneWrongElementAmongMany) {
  Random random(3);
  for (int i = 0; i < 100; ++i) {
    const Problem problem(random_problem(random));
    const Extents e = problem.output_extents();
    if (e.count() < 8) continue;
    Scene scene{problem, data_for(problem, random)};
    run_as(scene, scene.desc(), scene.data);
    const Coordinate at = {below(random, e.n), below(random, e.h), below(random, e.w),
                           below(random, e.c)};
    scene.store_output(at, 1.25 * scene.output(scene.data, at) + 3);
    const Diagnosis diagnosis = diagnose_scene(scene);
    EXPECT_FALSE(diagnosis.right) << problem.key();
    EXPECT_TRUE(diagnosis.mistakes.empty()) << problem.key() << describe(diagnosis, false);
  }
}

TEST(Diagnose, SaysWhereMemoryWasLeftAndWhichFactorItIs) {
  ProblemDesc d;
  d.in_c = 3, d.out_c = 2;
  d.h = d.w = {.in = 8, .kernel = 3, .stride = 2, .pad_begin = 1, .out = 16};
  const auto sentence = [&](auto&& element) {
    const Problem problem(d);
    Scene scene{problem, uniform(problem, 1)};
    run_as(scene, d, scene.data);
    for_each(problem.output_extents(), [&](const Coordinate& at) {
      scene.store_output(at, element(at, scene.output(scene.data, at)));
    });
    return describe(diagnose_scene(scene), false);
  };
  const auto says = [](const std::string& text, const char* words) {
    EXPECT_NE(text.find(words), std::string::npos) << text;
  };
  says(sentence([](const Coordinate& at, double y) { return at.p < 12 ? y : 0; }),
       "unwritten: rows 12 to 15 of 16 were never written: they hold zeros");
  says(sentence([](const Coordinate& at, double y) { return at.p < 15 && at.q < 15 ? y : 0; }),
       "output_padding_zeros: what output_padding 1 adds at the end");
  says(sentence([](const Coordinate&, double y) { return y / 4; }),
       "scaled: every element is multiplied by 1 / (stride_h * stride_w)");
  says(sentence([](const Coordinate&, double) { return NAN; }),
       "all_nan: all 512 elements are NaN");
}

TEST(Diagnose, NamesPyTorchsPaddingInTheUsersWords) {
  ProblemDesc d;
  d.in_c = 3, d.out_c = 2;
  d.h = d.w = {.in = 8, .kernel = 3, .stride = 2, .pad_begin = 0, .out = 16};
  const Problem problem(d);
  Scene scene{problem, uniform(problem, 1)};
  d.h.pad_begin = d.w.pad_begin = 1;
  run_as(scene, d, scene.data);
  const Diagnosis diagnosis = diagnose_scene(scene);
  ASSERT_EQ(diagnosis.mistakes.size(), 1U);
  EXPECT_EQ(diagnosis.mistakes[0].name, "padding_side");
  EXPECT_EQ(diagnosis.mistakes[0].sentence,
            "padding is on the other side: this is pad_begin 1,1 (PyTorch's padding=1, "
            "output_padding=1; ONNX's SAME_LOWER, the larger half first), the problem says 0,0 "
            "(TensorFlow's SAME, the smaller half first)");
  EXPECT_EQ(describe(diagnosis, true),
            R"({"right":false,"mistakes":[{"name":"padding_side","sentence":")" +
                diagnosis.mistakes[0].sentence + R"("}]})");
  EXPECT_NE(describe(diagnosis, false).find("padding_side: padding is on the other side"),
            std::string::npos);
}

TEST(Diagnose, FindsAMistakeInAResultThatIsTooLargeToCheckWhole) {
  ProblemDesc d;
  d.in_c = kManyChannels, d.out_c = 128;
  d.h = d.w = {.in = 64, .kernel = 3, .stride = 2, .pad_begin = 0, .out = 128};
  const Problem problem(d);
  Scene scene{problem, uniform(problem, 1)};
  // Only the elements that a sample may look at are computed; the others are never read.
  ProblemDesc wrong = d;
  wrong.h.pad_begin = 1;
  const Problem wrong_problem(wrong);
  const Tensors tensors = scene.data.tensors();
  const VerifyOptions options{.scope = VerifyScope::sample, .threads = 2};
  reference_conv2d_transpose(wrong_problem, tensors, 2);
  const Diagnosis diagnosis = diagnose(problem, tensors, options);
  ASSERT_EQ(diagnosis.mistakes.size(), 1U);
  EXPECT_EQ(diagnosis.mistakes[0].name, "padding_side");
}

}  // namespace
}  // namespace tconv::test
