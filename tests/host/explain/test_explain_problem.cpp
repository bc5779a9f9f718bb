// SPDX-License-Identifier: Apache-2.0
// test_explain_problem.cpp: what `tconv shape` prints, as JSON and as text.
#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "src/host/conventions/conventions.h"
#include "src/host/explain/explain.h"
#include "src/host/problem/decomposition.h"
#include "tests/support/support.h"

namespace tconv::host {
namespace {

using Json = nlohmann::json;

/// TensorFlow's SAME, k 3, stride 2: PyTorch has no such call.
Problem upsampling() {
  TensorFlowArgs args;
  args.input_shape = {1, 8, 8, 64};
  args.filter_shape = {3, 3, 32, 64};
  args.strides = {2};
  ProblemDesc desc;
  translate(args, desc);
  return Problem(desc);
}

std::optional<Numbers> numbers(const Json& call, const char* field) {
  if (!call.contains(field)) return std::nullopt;
  return call.at(field).get<Numbers>();
}

TensorFlowArgs tensorflow_call(const Json& call) {
  TensorFlowArgs args;
  args.input_shape = call.at("input_shape").get<Numbers>();
  args.filter_shape = call.at("filter_shape").get<Numbers>();
  args.output_shape = numbers(call, "output_shape");
  args.strides = call.at("strides").get<Numbers>();
  args.dilations = numbers(call, "dilations");
  args.padding = call.at("padding").get<std::string>();
  args.explicit_paddings = numbers(call, "explicit_paddings").value_or(Numbers{});
  args.data_format = call.at("data_format").get<std::string>();
  args.groups = call.value("groups", 0);
  return args;
}

PyTorchArgs pytorch_call(const Json& call) {
  PyTorchArgs args;
  args.input_shape = call.at("input_shape").get<Numbers>();
  args.weight_shape = call.at("weight_shape").get<Numbers>();
  args.stride = numbers(call, "stride");
  args.padding = numbers(call, "padding");
  args.output_padding = numbers(call, "output_padding");
  args.dilation = numbers(call, "dilation");
  args.groups = call.at("groups").get<int64_t>();
  args.memory_format = call.at("memory_format").get<std::string>();
  return args;
}

OnnxArgs onnx_call(const Json& call) {
  OnnxArgs args;
  args.x_shape = call.at("x_shape").get<Numbers>();
  args.w_shape = call.at("w_shape").get<Numbers>();
  args.strides = numbers(call, "strides");
  args.pads = numbers(call, "pads");
  args.output_padding = numbers(call, "output_padding");
  args.dilations = numbers(call, "dilations");
  args.auto_pad = call.at("auto_pad").get<std::string>();
  args.group = call.at("group").get<int64_t>();
  return args;
}

/// True if the convention says the problem, and then by a call that means it.
template <typename Args>
bool check_call(const Problem& problem, const Json& part, Args (*read)(const Json&)) {
  if (part.contains("reason")) {
    EXPECT_FALSE(part["reason"].get<std::string>().empty());
    EXPECT_FALSE(part.contains("call"));
    return false;
  }
  const Args args = read(part.at("call"));
  ProblemDesc back;
  translate(args, back);
  EXPECT_EQ(back.h, problem.desc().h);
  EXPECT_EQ(back.w, problem.desc().w);
  EXPECT_EQ(back.out_c, problem.desc().out_c);
  const OutputSizes sizes = output_sizes(args);
  EXPECT_EQ(part["legal_output"]["height"], (Json{sizes.low[0], sizes.high[0]}));
  EXPECT_EQ(part["legal_output"]["width"], (Json{sizes.low[1], sizes.high[1]}));
  return true;
}

void check_axis(const Axis& axis, const Json& json, const Json& classes) {
  EXPECT_EQ(json, (Json{{"in", axis.in},
                        {"kernel", axis.kernel},
                        {"stride", axis.stride},
                        {"dilation", axis.dilation},
                        {"pad_begin", axis.pad_begin},
                        {"pad_end", axis.pad_end()},
                        {"out", axis.out}}));
  const AxisDecomposition parts = decompose(axis);
  EXPECT_EQ(classes["class_count"], parts.class_count());
  EXPECT_EQ(classes["tapless_phases"], parts.tapless_phases);
  ASSERT_EQ(classes["classes"].size(), parts.classes.size());
  for (std::size_t i = 0; i < parts.classes.size(); ++i) {
    const WindowClass& c = parts.classes[i];
    EXPECT_EQ(classes["classes"][i]["first_phase"], c.first_phase);
    EXPECT_EQ(classes["classes"][i]["phase_count"], c.phase_count);
    EXPECT_EQ(classes["classes"][i]["first_tap"], c.first_tap);
    EXPECT_EQ(classes["classes"][i]["tap_count"], c.tap_count);
    EXPECT_EQ(classes["classes"][i]["shift"], c.shift);
  }
}

TEST(Describe, GivesCallsThatMeanTheProblem) {
  std::mt19937_64 random(17);
  std::array<int, 3> said{};
  constexpr int kProblems = 500;
  for (int i = 0; i < kProblems; ++i) {
    const Problem problem(test::random_desc(random));
    const Json json = Json::parse(describe(problem, true));
    EXPECT_EQ(json["key"], problem.key());
    said[0] += check_call(problem, json["conventions"]["tensorflow"], tensorflow_call) ? 1 : 0;
    said[1] += check_call(problem, json["conventions"]["pytorch"], pytorch_call) ? 1 : 0;
    said[2] += check_call(problem, json["conventions"]["onnx"], onnx_call) ? 1 : 0;
    check_axis(problem.desc().h, json["axes"]["height"], json["window_classes"]["height"]);
    check_axis(problem.desc().w, json["axes"]["width"], json["window_classes"]["width"]);
    ASSERT_FALSE(HasFailure()) << problem.key();
    EXPECT_NE(describe(problem, false).find(problem.key()), std::string::npos);
  }
  for (const int count : said) {
    EXPECT_GT(count, kProblems / 50);
    EXPECT_LT(count, kProblems);
  }
}

TEST(Describe, ReadsWell) {
  EXPECT_EQ(describe(upsampling(), false), R"(problem f32:nhwc:n1:c64:k32:h8k3s2o16:w8k3s2o16

axis    in  kernel  stride  dilation  pad_begin  pad_end  out
height   8       3       2         1          0        1   16
width    8       3       2         1          0        1   16

tensorflow  tf.nn.conv2d_transpose(output_shape=[1, 16, 16, 32], strides=[2, 2], padding='SAME', data_format='NHWC', dilations=[1, 1])
            input_shape [1, 8, 8, 64], filter_shape [3, 3, 32, 64]
            legal output sizes: height 15 to 16, width 15 to 16
pytorch     cannot say it: height: cuts 0 at the begin and 1 at the end, but padding cuts both alike: take the first 16 of padding=0
onnx        ConvTranspose(auto_pad='NOTSET', dilations=[1, 1], group=1, output_padding=[0, 0], pads=[0, 0, 1, 1], strides=[2, 2])
            x_shape [1, 64, 8, 8], w_shape [64, 32, 3, 3]
            legal output sizes: height 16 to 17, width 16 to 17

window classes
height: 2 classes of output q*2 + phase
  phase 0; tap 0 + 2*t, t < 2; input q - t
  phase 1; tap 1; input q
width: 2 classes of output q*2 + phase
  phase 0; tap 0 + 2*t, t < 2; input q - t
  phase 1; tap 1; input q
)");
}

TEST(Describe, NestsExplicitPaddingsInTheOrderOfTheDataFormat) {
  ProblemDesc desc;
  desc.layout = Layout::nchw;
  desc.groups = 2;
  desc.in_c = desc.out_c = 4;
  desc.h = {5, 3, 2, 1, 2, 9};
  desc.w = {5, 4, 3, 2, 1, 12};
  const std::string text = describe(Problem(desc), false);
  EXPECT_NE(text.find("padding=[[0, 0], [0, 0], [2, 0], [1, 6]], data_format='NCHW'"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("filter_shape [3, 4, 2, 4], groups 2"), std::string::npos) << text;
}

// No list per phase or per tap, however large: this would not come back otherwise.
TEST(Describe, StaysShortForHugeProblems) {
  ProblemDesc desc;
  desc.in_c = 0;
  desc.h = {2, int64_t{1} << 29, (int64_t{1} << 29) + 1, int64_t{1} << 29, 0, 3};
  desc.w = {2, 1000, 1001, 997, 0, 3};
  const Problem problem(desc);
  EXPECT_NE(describe(problem, false).find("up to 536"), std::string::npos);
  EXPECT_LT(describe(problem, false).size(), 8000u);
  const Json json = Json::parse(describe(problem, true));
  EXPECT_EQ(json["window_classes"]["width"]["classes"].size(), 32u);
  EXPECT_GT(json["window_classes"]["width"]["class_count"], 900);
}

}  // namespace
}  // namespace tconv::host
