// SPDX-License-Identifier: Apache-2.0
// test_round_trips.cpp: from a problem back to a call of each convention: it means the problem, and
// where there is none, no call does.
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <random>
#include <string>
#include <type_traits>

#include "tests/host/conventions/calls.h"
#include "tests/support/support.h"

namespace tconv::host {
namespace {

/// True if `args`, where there are any, mean the problem; counts both outcomes.
template <typename Args>
void expect_round_trip(const Problem& problem,
                       std::optional<Args> (*as_call)(const Problem&, std::string*),
                       std::array<int, 2>& said) {
  std::string why;
  const std::optional<Args> args = as_call(problem, &why);
  ++said[args ? 1 : 0];
  EXPECT_EQ(args.has_value(), why.empty()) << why;
  if (!args) return;
  const ProblemDesc& d = problem.desc();
  const ProblemDesc back = translated(*args);
  EXPECT_EQ(back.h, d.h) << problem.key();
  EXPECT_EQ(back.w, d.w) << problem.key();
  EXPECT_EQ(back.batch, d.batch);
  EXPECT_EQ(back.in_c, d.in_c);
  EXPECT_EQ(back.out_c, d.out_c);
  EXPECT_EQ(back.groups, d.groups);
  const bool nchw_only = std::is_same_v<Args, OnnxArgs>;
  EXPECT_EQ(back.layout, nchw_only ? Layout::nchw : d.layout);
  const OutputSizes sizes = output_sizes(*args);
  for (int i = 0; i < 2; ++i) {
    const int64_t out = i == 0 ? d.h.out : d.w.out;
    EXPECT_TRUE(sizes.low[i] <= out && out <= sizes.high[i]) << problem.key();
  }
}

TEST(Conventions, SayEveryProblemThatTheyCan) {
  std::mt19937_64 random(3);
  std::array<int, 2> tensorflow{}, torch{}, onnx{};
  for (int i = 0; i < 5000; ++i) {
    const Problem problem(test::random_desc(random));
    expect_round_trip(problem, as_tensorflow, tensorflow);
    expect_round_trip(problem, as_pytorch, torch);
    expect_round_trip(problem, as_onnx, onnx);
    if (HasFailure()) FAIL() << problem.key();
  }
  for (const std::array<int, 2>& said : {tensorflow, torch, onnx}) {
    EXPECT_GT(said[0], 100);
    EXPECT_GT(said[1], 100);
  }
}

/// Every call of one convention, on one axis, that means `axis`.
bool some_tensorflow_call(const Axis& axis) {
  TensorFlowArgs args = tensorflow(axis.in, axis.kernel, axis.stride, axis.dilation, "SAME");
  args.output_shape = Numbers{axis.out, kWidthIn * kWidthStride};
  const auto means = [&] { return accepts(args) && translated(args).h == axis; };
  if (means()) return true;
  args.padding = "EXPLICIT";
  for (int64_t begin = 0; begin <= 12; ++begin) {
    for (int64_t end = 0; end <= 12; ++end) {
      args.explicit_paddings = {begin, end, 0, 0};
      if (means()) return true;
    }
  }
  return false;
}

bool some_pytorch_call(const Axis& axis) {
  for (int64_t p = 0; p <= 12; ++p) {
    for (int64_t op = 0; op <= 6; ++op) {
      const PyTorchArgs args = pytorch(axis.in, axis.kernel, axis.stride, axis.dilation, p, op);
      if (accepts(args) && translated(args).h == axis) return true;
    }
  }
  return false;
}

bool some_onnx_call(const Axis& axis) {
  for (int64_t op = 0; op <= 6; ++op) {
    OnnxArgs args = onnx(axis.in, axis.kernel, axis.stride, axis.dilation, op);
    const auto means = [&] { return accepts(args) && translated(args).h == axis; };
    for (const char* auto_pad : {"SAME_UPPER", "SAME_LOWER"}) {
      args.auto_pad = auto_pad;
      for (const bool given : {false, true}) {
        args.output_shape.reset();
        if (given) args.output_shape = Numbers{axis.out, kWidthIn * kWidthStride};
        if (means()) return true;
      }
    }
    args.auto_pad = "NOTSET";
    args.output_shape.reset();
    for (int64_t begin = 0; begin <= 12; ++begin) {
      for (int64_t end = 0; end <= 12; ++end) {
        args.pads = Numbers{begin, 0, end, 0};
        if (means()) return true;
      }
    }
  }
  return false;
}

// "It cannot say it" is a claim about all of its calls.
TEST(Conventions, AreSilentOnlyWhereNoCallExists) {
  std::mt19937_64 random(4);
  test::RandomLimits limits;
  limits.strided_tensors = limits.zero_sizes = false;
  limits.max_in = limits.max_kernel = limits.max_stride = 3;
  int silent = 0;
  for (int i = 0; i < test::enumeration(400, 60); ++i) {
    ProblemDesc desc = test::random_desc(random, limits);
    desc.w = {kWidthIn, kWidthKernel, kWidthStride, 1, 0, kWidthIn * kWidthStride};
    const bool tensorflow = as_tensorflow(Problem(desc)).has_value();
    ASSERT_EQ(tensorflow, some_tensorflow_call(desc.h)) << make_key(desc);
    desc.w.out = desc.w.full();
    const bool torch = as_pytorch(Problem(desc)).has_value();
    ASSERT_EQ(torch, some_pytorch_call(desc.h)) << make_key(desc);
    const bool onnx = as_onnx(Problem(desc)).has_value();
    ASSERT_EQ(onnx, some_onnx_call(desc.h)) << make_key(desc);
    silent += (tensorflow ? 0 : 1) + (torch ? 0 : 1) + (onnx ? 0 : 1);
  }
  EXPECT_GT(silent, 30);
}

}  // namespace
}  // namespace tconv::host
