// SPDX-License-Identifier: Apache-2.0
// test_shape_diagnosis.cpp: plants every mistake that a shape can show in random calls of each
// convention, by making the call wrongly, and wants it named.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <ostream>
#include <random>

#include "src/cli/failure.h"
#include "src/cli/shape_diagnosis.h"
#include "src/cli/text.h"

namespace tconv::cli {
namespace {

using Random = std::mt19937_64;
using Shape = std::vector<int64_t>;

int64_t between(Random& random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}
std::string number(Random& random, int64_t low, int64_t high) {
  return std::to_string(between(random, low, high));
}

/// A call whose numbers are such that the mistakes below can show.
ProblemArgs random_call(Random& random, const std::string& convention) {
  ProblemArgs args;
  args.convention = convention;
  const int64_t c = between(random, 2, 9), k = between(random, 10, 19), n = between(random, 1, 3);
  const int64_t h = between(random, 5, 40), w = h + between(random, 1, 7);
  const int64_t stride = between(random, 2, 4), kernel = stride + between(random, 1, 3);
  args.strides = std::to_string(stride);
  if (convention == "tensorflow") {
    args.input_shape = join({n, h, w, c});
    args.filter_shape = join({kernel, kernel, k, c});
    args.padding = random() % 2 == 0 ? "SAME" : "VALID";
  } else {
    args.input_shape = join({n, c, h, w});
    args.filter_shape = join({c, k, kernel, kernel});
    args.output_padding = number(random, 1, stride - 1);
    const std::string padding = number(random, 1, kernel / 2);
    if (convention == "pytorch") args.padding = padding;
    if (convention == "onnx") {
      args.pads = padding + "," + padding + "," + padding + "," + padding;
    }
  }
  return args;
}

Shape shape_of(const ProblemArgs& args) { return make_request(args).output_grid().shape; }

struct Plant {
  const char* label;
  const char* convention;
  const char* name;  ///< what must be said
  std::function<Shape(Random&, ProblemArgs)> wrong;
};
std::ostream& operator<<(std::ostream& stream, const Plant& plant) { return stream << plant.label; }

template <typename Change>
std::function<Shape(Random&, ProblemArgs)> called(Change change) {
  return [change](Random& random, ProblemArgs args) {
    change(random, args);
    return shape_of(args);
  };
}
template <typename Change>
std::function<Shape(Random&, ProblemArgs)> reshaped(Change change) {
  return [change](Random&, const ProblemArgs& args) { return change(shape_of(args)); };
}

std::vector<Plant> plants() {
  const auto no_output_padding = called([](Random&, ProblemArgs& a) { a.output_padding.reset(); });
  const auto stride_1 = called([](Random&, ProblemArgs& a) {
    a.strides = "1";
    a.output_padding.reset();
  });
  const auto other_layout = reshaped([](const Shape& s) { return Shape{s[0], s[2], s[3], s[1]}; });
  return {
      {"OutputPaddingOfPyTorch", "pytorch", "output_padding", no_output_padding},
      {"OutputPaddingOfOnnx", "onnx", "output_padding", no_output_padding},
      {"ValidForSame", "tensorflow", "padding", called([](Random&, ProblemArgs& a) {
         a.padding = *a.padding == "SAME" ? "VALID" : "SAME";
       })},
      {"PaddingOfPyTorchLeftOut", "pytorch", "padding",
       called([](Random&, ProblemArgs& a) { a.padding.reset(); })},
      {"AnotherPaddingOfPyTorch", "pytorch", "padding", called([](Random& random, ProblemArgs& a) {
         a.padding = std::to_string(std::stoll(*a.padding) + between(random, 0, 1) * 2 - 1);
       })},
      {"StrideOfTensorFlowLeftOut", "tensorflow", "stride",
       called([](Random&, ProblemArgs& a) { a.strides.reset(); })},
      {"StrideOfPyTorchLeftOut", "pytorch", "stride", stride_1},
      {"StrideOfOnnxLeftOut", "onnx", "stride", stride_1},
      {"NhwcForNchw", "pytorch", "layout", other_layout},
      {"NchwForNhwc", "tensorflow", "layout", reshaped([](const Shape& s) {
         return Shape{s[0], s[3], s[1], s[2]};
       })},
      {"HeightAndWidthExchanged", "pytorch", "hw_swapped", reshaped([](const Shape& s) {
         return Shape{s[0], s[1], s[3], s[2]};
       })},
      {"OneImage", "onnx", "batch", reshaped([](Shape s) {
         s[0] = 1;
         return s;
       })},
      {"DilationLeftOut", "pytorch", "dilation",
       [](Random&, ProblemArgs args) {
         args.dilations.reset();
         args.output_padding.reset();
         return shape_of(args);
       }},
      {"ForwardConvolution", "tensorflow", "not_transposed",
       [](Random&, const ProblemArgs& args) {
         const Request request = make_request(args);
         const int64_t s = request.desc.h.stride;
         return Shape{request.desc.batch, (request.desc.h.in + s - 1) / s,
                      (request.desc.w.in + s - 1) / s, request.desc.out_c};
       }},
      {"TheInputItself", "pytorch", "not_computed",
       [](Random&, const ProblemArgs& args) { return make_request(args).input_grid().shape; }},
  };
}

class ShapeDiagnosisTest : public testing::TestWithParam<Plant> {};

TEST_P(ShapeDiagnosisTest, NamesThePlantedMistake) {
  Random random(1);
  int named = 0, planted = 0;
  std::string missed;
  while (planted < 100) {
    ProblemArgs args = random_call(random, GetParam().convention);
    if (std::string(GetParam().name) == "dilation") {
      args.dilations = number(random, 2, 4);
      args.output_padding.reset();
    }
    const Request request = make_request(args);
    const Shape got = GetParam().wrong(random, args);
    if (got == request.output_grid().shape) continue;
    ++planted;
    const std::vector<ShapeMistake> mistakes = shape_mistakes(request, GetParam().convention, got);
    const bool found = std::ranges::any_of(mistakes, [&](const ShapeMistake& mistake) {
      return mistake.name.find(GetParam().name) != std::string::npos;
    });
    named += found ? 1 : 0;
    if (!found)
      missed += std::string("\n") + request.key() + " got " + join(got) + ": " +
                describe(mistakes, false);
  }
  EXPECT_GE(named, 95) << missed;
}

INSTANTIATE_TEST_SUITE_P(Planted, ShapeDiagnosisTest, testing::ValuesIn(plants()),
                         [](const auto& test) { return std::string(test.param.label); });

TEST(ShapeDiagnosis, NamesWhatIsMissingOfOne) {
  ProblemArgs args;
  args.input_shape = "1,8,8,4", args.filter_shape = "3,3,1,4", args.strides = "2";
  const Request request = make_request(args);
  const auto names = [&](const Shape& got) {
    std::string all;
    for (const ShapeMistake& mistake : shape_mistakes(request, "tensorflow", got)) {
      all += mistake.name + " ";
    }
    return all;
  };
  EXPECT_EQ(names({16, 16, 1}), "batch ");
  EXPECT_EQ(names({1, 16, 16}), "channels ");
  EXPECT_EQ(names({16, 16}), "squeezed ");
  EXPECT_EQ(names({1, 256}), "flattened ");
  EXPECT_EQ(names({1, 1, 15, 15}), "output_padding+layout ");
}

TEST(ShapeDiagnosis, SaysNothingOfShapesThatNoMistakeGives) {
  ProblemArgs args;
  args.input_shape = "2,9,11,4", args.filter_shape = "3,3,7,4", args.strides = "2";
  const Request request = make_request(args);
  EXPECT_TRUE(shape_mistakes(request, "tensorflow", {3, 5, 1000, 13}).empty());
  EXPECT_TRUE(shape_mistakes(request, "tensorflow", {}).empty());
  EXPECT_TRUE(shape_mistakes(request, "tensorflow", request.output_grid().shape).empty());
  EXPECT_EQ(describe({}, false), "None of the usual mistakes gives this shape.");
  EXPECT_EQ(describe({}, true), R"({"right":false,"mistakes":[]})");
}

TEST(ShapeDiagnosis, SpeaksTheCallersLanguage) {
  ProblemArgs args;
  args.convention = "pytorch";
  args.input_shape = "1,64,8,8", args.filter_shape = "64,32,3,3", args.strides = "2";
  args.padding = "1", args.output_padding = "1";
  const std::vector<ShapeMistake> mistakes =
      shape_mistakes(make_request(args), "pytorch", {1, 32, 15, 15});
  ASSERT_EQ(mistakes.size(), 1U);
  EXPECT_EQ(describe(mistakes, false),
            "This mistake gives this shape:\n  output_padding: without output_padding it is 15 "
            "x 15: output_padding=1 makes it 16 x 16");
}

}  // namespace
}  // namespace tconv::cli
