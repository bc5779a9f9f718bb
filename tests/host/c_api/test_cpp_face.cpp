// SPDX-License-Identifier: Apache-2.0
// test_cpp_face.cpp: what the C++ face says and does besides the straight way (test_api.cpp): JSON
// forms, estimates, timing, options of verify, plans that are saved and loaded.
#include <gtest/gtest.h>
#include <tconv/tconv.h>

#include <nlohmann/json.hpp>
#include <type_traits>

namespace tconv {
namespace {

using Json = nlohmann::json;

constexpr const char* kSimple = "f32:nhwc:n1:c1:k1:h4k3s1p1o4:w4k3s1p1o4";

/// TFLite's "Simple": arange 4x4 by arange 3x3; the sum of its outputs is 3860.
struct Memory {
  alignas(64) float input[16], filters[9], output[16] = {};
  Tensors tensors;
  Memory() {
    for (int i = 0; i < 16; ++i) input[i] = static_cast<float>(i + 1);
    for (int i = 0; i < 9; ++i) filters[i] = static_cast<float>(i + 1);
    tensors.input = input, tensors.filters = filters, tensors.output = output;
  }
  float sum() const {
    float total = 0;
    for (const float y : output) total += y;
    return total;
  }
};

Options reference() {
  Options options;
  options.kernels = "reference";
  return options;
}

TEST(CppFace, AKeyIsAProblem) {
  const Problem literal("f32:nhwc:n1:c1:k1:h4k3s1p1o4:w4k3s1p1o4");
  EXPECT_EQ(literal.key(), kSimple);
  Problem made;
  EXPECT_TRUE(Problem::create(kSimple, made).ok());
  EXPECT_EQ(made.key(), kSimple);
  EXPECT_THROW(Problem("f32:nhwc"), Error);
  static_assert(std::is_constructible_v<Problem, const char*>);
  static_assert(std::is_constructible_v<Problem, TensorFlowArgs>);
  static_assert(!std::is_constructible_v<Problem, int>);
}

TEST(CppFace, SaysEverythingAsTextAndAsJson) {
  const Problem problem(kSimple);
  const Plan plan(problem, reference());
  EXPECT_GT(plan.estimate_us(), 0);
  EXPECT_EQ(Json::parse(plan.explain(Format::json))["estimate_us"], plan.estimate_us());
  EXPECT_EQ(Json::parse(plan.counters(Format::json))["kernel"], "reference");
  EXPECT_FALSE(problem.describe().empty());
  EXPECT_TRUE(Json::parse(problem.describe(Format::json)).is_object());
  EXPECT_NE(kernels().find("reference"), std::string::npos);
  EXPECT_TRUE(Json::parse(kernels(Format::json)).is_array());
  EXPECT_NE(devices().find("cpu"), std::string::npos);
  EXPECT_TRUE(Json::parse(devices(Format::json)).contains("devices"));
  EXPECT_EQ(version(), std::to_string(TCONV_VERSION_MAJOR) + "." +
                           std::to_string(TCONV_VERSION_MINOR) + "." +
                           std::to_string(TCONV_VERSION_PATCH));
  EXPECT_EQ(Plan().explain(), "");
  EXPECT_EQ(Plan().problem().key(), "");
}

TEST(CppFace, ExplainsOneElementWithAndWithoutValues) {
  const Memory m;
  const Plan plan(Problem(kSimple), reference());
  EXPECT_NE(plan.explain_at(0, 0, 0, 0).find("4 taps"), std::string::npos);
  const Json json = Json::parse(plan.explain_at(0, 0, 0, 0, Format::json, m.input, m.filters));
  EXPECT_EQ(json["sum"], 1 * 5 + 2 * 4 + 5 * 2 + 6 * 1);
  EXPECT_THROW(plan.explain_at(0, 4, 0, 0), Error);
  std::string text;
  EXPECT_EQ(plan.explain_at(0, 4, 0, 0, text).code(), Code::invalid);
}

TEST(CppFace, TimesRunsOnTheCallersMemory) {
  Memory m;
  const Plan plan(Problem(kSimple), reference());
  double us[3] = {};
  plan.time(m.tensors, 3, 2, us);
  EXPECT_EQ(m.sum(), 3860);
  for (const double time : us) EXPECT_GT(time, 0);
  std::fill(us, us + 3, 0.0);
  plan.time_host(m.tensors, 3, 2, us);
  for (const double time : us) EXPECT_GT(time, 0);
  EXPECT_THROW(plan.time(m.tensors, 0, 1, us), Error);
  EXPECT_THROW(plan.time(m.tensors, 1, 0, us), Error);
  EXPECT_THROW(plan.time(m.tensors, 1, 1, nullptr), Error);
  m.tensors.output = nullptr;
  EXPECT_THROW(plan.time(m.tensors, 1, 1, us), Error);
}

TEST(CppFace, HandsOnTheOptionsOfVerify) {
  Memory m;
  const Problem problem(kSimple);
  Plan(problem, reference()).run(m.tensors);
  int calls = 0;
  VerifyOptions options;
  options.scope = Scope::sample;
  options.threads = 1;
  options.seed = 5;
  options.progress = [](double, void* user) { ++*static_cast<int*>(user); };
  options.progress_user = &calls;
  VerifyReport report;
  EXPECT_TRUE(verify(problem, m.tensors, report, options).ok());
  EXPECT_GT(calls, 0);
  const double strict = report.largest_bound;
  options.math = Math::tf32;
  EXPECT_TRUE(verify(problem, m.tensors, report, options).ok());
  EXPECT_GT(report.largest_bound, 10 * strict);
  EXPECT_EQ(Json::parse(diagnose(problem, m.tensors, Format::json))["right"], true);
}

TEST(CppFace, KnowsTheLegalOutputSizes) {
  PyTorchArgs args;
  args.input_shape = {1, 1, 4, 4}, args.weight_shape = {1, 1, 3, 3};
  args.stride = Numbers{2};
  const OutputSizes sizes = output_sizes(args);
  EXPECT_EQ(sizes.low[0], 9);
  EXPECT_EQ(sizes.high[1], 10);
  args.stride = Numbers{0};
  EXPECT_THROW(output_sizes(args), Error);
}

TEST(CppFace, AResizedPlanKnowsItsProblem) {
  const Plan plan(Problem(kSimple), reference());
  EXPECT_EQ(plan.problem().key(), kSimple);
  Problem resized;
  {
    const Plan other = plan.resized(2, 5, 6);
    resized = other.problem();
  }
  EXPECT_EQ(resized.output_shape(), (Numbers{2, 5, 6, 1})) << "valid without the plan";
}

TEST(CppFace, APlanIsSavedAndLoaded) {
  Memory m;
  std::vector<std::string> lines;
  Options callbacks;
  callbacks.log = [](const char* line, void* user) {
    static_cast<std::vector<std::string>*>(user)->emplace_back(line);
  };
  callbacks.log_user = &lines;
  const Plan plan = Plan::load(Plan(Problem(kSimple), reference()).save(), callbacks);
  EXPECT_EQ(plan.kernel(), "reference");
  EXPECT_EQ(plan.problem().key(), kSimple);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("reference/element"), std::string::npos);
  plan.run(m.tensors);
  EXPECT_EQ(m.sum(), 3860);

  Plan none;
  EXPECT_EQ(Plan::load("no plan", none).code(), Code::invalid);
  callbacks.math = Math::tf32;
  const Status status = Plan::load(plan.save(), none, callbacks);
  EXPECT_EQ(status.code(), Code::invalid);
  EXPECT_NE(status.message().find("callbacks.math"), std::string::npos);
  EXPECT_EQ(none.c_handle(), nullptr);
}

}  // namespace
}  // namespace tconv
