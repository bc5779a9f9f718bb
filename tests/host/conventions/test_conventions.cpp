// SPDX-License-Identifier: Apache-2.0
// test_conventions.cpp: which output sizes each convention takes and which pads it means, against
// the frameworks' own formulas; and back from a problem to a call.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "src/host/conventions/conventions.h"
#include "src/host/problem/errors.h"
#include "tests/support/support.h"

namespace tconv::host {
namespace {

// A width of its own, so that swapped axes cannot pass.
constexpr int64_t kWidthIn = 3, kWidthKernel = 2, kWidthStride = 5;

template <typename Args>
bool accepts(const Args& args) {
  ProblemDesc desc;
  try {
    translate(args, desc);
  } catch (const InvalidProblem&) {
    return false;
  }
  return true;
}

template <typename Args>
ProblemDesc translated(const Args& args) {
  ProblemDesc desc;
  translate(args, desc);
  return desc;
}

TensorFlowArgs tensorflow(int64_t in, int64_t k, int64_t s, int64_t d, const char* padding) {
  TensorFlowArgs args;
  args.input_shape = {2, in, kWidthIn, 6};
  args.filter_shape = {k, kWidthKernel, 4, 6};
  args.strides = {s, kWidthStride};
  args.dilations = Numbers{d, 1};
  args.padding = padding;
  return args;
}

PyTorchArgs pytorch(int64_t in, int64_t k, int64_t s, int64_t d, int64_t p, int64_t op) {
  PyTorchArgs args;
  args.input_shape = {2, 6, in, kWidthIn};
  args.weight_shape = {6, 4, k, kWidthKernel};
  args.stride = Numbers{s, kWidthStride};
  args.padding = Numbers{p, 0};
  args.output_padding = Numbers{op, 0};
  args.dilation = Numbers{d, 1};
  return args;
}

OnnxArgs onnx(int64_t in, int64_t k, int64_t s, int64_t d, int64_t op) {
  OnnxArgs args;
  args.x_shape = {2, 6, in, kWidthIn};
  args.w_shape = {6, 4, k, kWidthKernel};
  args.strides = Numbers{s, kWidthStride};
  args.output_padding = Numbers{op, 0};
  args.dilations = Numbers{d, 1};
  return args;
}

/// Calls body(in, k, s, d) for small geometries.
template <typename Body>
void for_geometries(Body&& body) {
  for (const int64_t in : {0, 1, 2, 5}) {
    for (int64_t k = 1; k <= 6; ++k) {
      for (int64_t s = 1; s <= 5; ++s) {
        for (int64_t d = 1; d <= 3; ++d) body(in, k, s, d);
      }
    }
  }
}

/// The size of TensorFlow's forward convolution over `out` pixels: what the output_shape of the
/// transposed one must lead back to.
int64_t convolved(int64_t out, int64_t keff, int64_t s, const TensorFlowArgs& args) {
  if (args.padding == "SAME") return ceil_div(out, s);
  const int64_t pads =
      args.padding == "VALID" ? 0 : args.explicit_paddings[0] + args.explicit_paddings[1];
  return floor_div(out + pads - keff + s, s);
}

TEST(TensorFlow, TakesTheSizesThatConvolveBackToTheInput) {
  int accepted = 0, refused = 0;
  for_geometries([&](int64_t in, int64_t k, int64_t s, int64_t d) {
    for (const char* padding : {"SAME", "VALID", "EXPLICIT"}) {
      TensorFlowArgs args = tensorflow(in, k, s, d, padding);
      if (args.padding == "EXPLICIT") args.explicit_paddings = {1, 2, 0, 0};
      const int64_t keff = (k - 1) * d + 1, width = kWidthIn * kWidthStride;
      for (int64_t out = 0; out <= in * s + keff + s; ++out) {
        args.output_shape = Numbers{out, width};
        const bool legal = convolved(out, keff, s, args) == in;
        ASSERT_EQ(accepts(args), legal)
            << padding << " " << in << " " << k << " " << s << " " << out;
        ++(legal ? accepted : refused);
      }
    }
  });
  EXPECT_GT(accepted, 2500);
  EXPECT_GT(refused, 3000);
}

TEST(TensorFlow, SaysWhichSizesItTakes) {
  int intervals = 0;
  for_geometries([&](int64_t in, int64_t k, int64_t s, int64_t d) {
    for (const char* padding : {"SAME", "VALID", "EXPLICIT"}) {
      TensorFlowArgs args = tensorflow(in, k, s, d, padding);
      if (args.padding == "EXPLICIT") args.explicit_paddings = {0, 1, 0, 0};
      OutputSizes sizes;
      try {
        sizes = output_sizes(args);
      } catch (const InvalidProblem&) {
        continue;  // nothing is left of an empty input
      }
      const auto takes = [&](int64_t h, int64_t w) {
        args.output_shape = Numbers{h, w};
        return accepts(args);
      };
      ++intervals;
      const auto [low_h, low_w] = sizes.low;
      const auto [high_h, high_w] = sizes.high;
      ASSERT_TRUE(takes(low_h, low_w) && takes(high_h, high_w) && takes(low_h, high_w));
      ASSERT_FALSE(takes(low_h - 1, low_w) || takes(high_h + 1, low_w));
      ASSERT_FALSE(takes(low_h, low_w - 1) || takes(low_h, high_w + 1));
    }
  });
  EXPECT_GT(intervals, 900);
}

// pad_before of TensorFlow's GetWindowedOutputSizeVerbose for the forward convolution.
TEST(TensorFlow, CutsTheSmallerHalfFirst) {
  for_geometries([](int64_t in, int64_t k, int64_t s, int64_t d) {
    TensorFlowArgs args = tensorflow(in, k, s, d, "SAME");
    for (int64_t out = std::max<int64_t>((in - 1) * s + 1, 0); out <= in * s; ++out) {
      args.output_shape = Numbers{2, out, kWidthIn * kWidthStride, 4};
      const ProblemDesc desc = translated(args);
      const int64_t needed = std::max<int64_t>((in - 1) * s + (k - 1) * d + 1 - out, 0);
      ASSERT_EQ(desc.h.pad_begin, needed / 2);
      ASSERT_EQ(desc.h.out, out);
    }
  });
}

TEST(TensorFlow, ComputesTheSizeThatIsNotGiven) {
  for_geometries([](int64_t in, int64_t k, int64_t s, int64_t d) {
    const int64_t keff = (k - 1) * d + 1;
    EXPECT_EQ(translated(tensorflow(in, k, s, d, "SAME")).h.out, in * s);
    EXPECT_EQ(translated(tensorflow(in, k, s, d, "VALID")).h.out,
              in * s + std::max<int64_t>(keff - s, 0));
    TensorFlowArgs args = tensorflow(in, k, s, d, "EXPLICIT");
    args.explicit_paddings = {1, 2, 0, 1};
    const int64_t out = (in - 1) * s + keff - 3;
    ASSERT_EQ(accepts(args), out >= 0);
    if (out < 0) return;
    EXPECT_EQ(translated(args).h.out, out);
    EXPECT_EQ(translated(args).h.pad_begin, 1);
    EXPECT_EQ(translated(args).w.pad_begin, 0);
    EXPECT_EQ(translated(args).w.pad_end(), 1);
  });
}

TEST(TensorFlow, FollowsTheDataFormat) {
  TensorFlowArgs args;
  args.data_format = "NCHW";
  args.input_shape = {2, 6, 8, 9};
  args.filter_shape = {3, 5, 4, 6};
  args.strides = {1, 1, 2, 3};
  args.dilations = Numbers{1, 1, 3, 2};
  args.output_shape = Numbers{2, 4, 15, 27};
  const ProblemDesc desc = translated(args);
  EXPECT_EQ(desc.layout, Layout::nchw);
  EXPECT_EQ(desc.filter_order, FilterOrder::hwoi);
  EXPECT_EQ(desc.batch, 2);
  EXPECT_EQ(desc.in_c, 6);
  EXPECT_EQ(desc.out_c, 4);
  EXPECT_EQ(desc.groups, 1);
  EXPECT_EQ(desc.h, (Axis{8, 3, 2, 3, 3, 15}));  // full 21, cut 6
  EXPECT_EQ(desc.w, (Axis{9, 5, 3, 2, 3, 27}));  // full 33, cut 6

  args.padding = "EXPLICIT";
  args.output_shape.reset();
  args.explicit_paddings = {0, 0, 0, 0, 1, 2, 3, 4};
  EXPECT_EQ(translated(args).h, (Axis{8, 3, 2, 3, 1, 18}));
  EXPECT_EQ(translated(args).w, (Axis{9, 5, 3, 2, 3, 26}));
  args.explicit_paddings = {1, 2, 3, 4};
  EXPECT_EQ(translated(args).w, (Axis{9, 5, 3, 2, 3, 26}));
}

TEST(TensorFlow, CountsFiltersPerGroup) {
  TensorFlowArgs args = tensorflow(4, 3, 2, 1, "SAME");
  args.groups = 3;
  args.output_shape = Numbers{2, 8, 15, 12};
  const ProblemDesc desc = translated(args);
  EXPECT_EQ(desc.in_c, 6);
  EXPECT_EQ(desc.out_c, 12);
  EXPECT_EQ(desc.groups, 3);
}

TEST(PyTorch, ComputesTheSize) {
  int accepted = 0, refused = 0;
  for_geometries([&](int64_t in, int64_t k, int64_t s, int64_t d) {
    for (int64_t p = 0; p <= 3; ++p) {
      for (int64_t op = 0; op <= std::max(s, d) + 1; ++op) {
        const int64_t out = (in - 1) * s - 2 * p + d * (k - 1) + op + 1;
        const PyTorchArgs args = pytorch(in, k, s, d, p, op);
        const bool legal = out >= 0 && (op < s || op < d);
        ASSERT_EQ(accepts(args), legal)
            << in << " " << k << " " << s << " " << d << " " << p << " " << op;
        ++(legal ? accepted : refused);
        if (!legal) continue;
        const ProblemDesc desc = translated(args);
        ASSERT_EQ(desc.h.out, out);
        ASSERT_EQ(desc.h.pad_begin, p);
        ASSERT_EQ(desc.h.pad_end(), p - op);
        const OutputSizes sizes = output_sizes(args);
        ASSERT_TRUE(sizes.low[0] <= out && out <= sizes.high[0]);
        ASSERT_EQ(sizes.low[0], std::max<int64_t>(out - op, 0));
        ASSERT_EQ(sizes.high[0], out - op + std::max(s, d) - 1);
      }
    }
  });
  EXPECT_GT(accepted, 3000);
  EXPECT_GT(refused, 1000);
}

TEST(PyTorch, SetsLayoutAndFilterOrder) {
  PyTorchArgs args = pytorch(4, 3, 2, 1, 1, 1);
  args.groups = 2;
  ProblemDesc desc = translated(args);
  EXPECT_EQ(desc.layout, Layout::nchw);
  EXPECT_EQ(desc.filter_order, FilterOrder::iohw);
  EXPECT_EQ(desc.out_c, 8);
  args.memory_format = "channels_last";
  desc = translated(args);
  EXPECT_EQ(desc.layout, Layout::nhwc);
  EXPECT_EQ(desc.filter_order, FilterOrder::ihwo);
}

TEST(PyTorch, TakesOneNumberForBothAxes) {
  PyTorchArgs args;
  args.input_shape = {1, 2, 4, 5};
  args.weight_shape = {2, 1, 3, 3};
  EXPECT_EQ(translated(args).w, (Axis{5, 3, 1, 1, 0, 7}));
  args.stride = Numbers{3};
  args.padding = Numbers{1};
  args.output_padding = Numbers{2};
  args.dilation = Numbers{2};
  EXPECT_EQ(translated(args).h, (Axis{4, 3, 3, 2, 1, 14}));
  EXPECT_EQ(translated(args).w, (Axis{5, 3, 3, 2, 1, 17}));
}

// Same shape, different pixels: the trap that Keras fell into.
TEST(Conventions, DifferWhereTheShapesAgree) {
  const Axis same = translated(tensorflow(8, 3, 2, 1, "SAME")).h;
  const Axis torch = translated(pytorch(8, 3, 2, 1, 1, 1)).h;
  OnnxArgs args = onnx(8, 3, 2, 1, 0);
  args.auto_pad = "SAME_UPPER";
  const Axis upper = translated(args).h;
  args.auto_pad = "SAME_LOWER";
  const Axis lower = translated(args).h;
  for (const Axis& axis : {same, torch, upper, lower}) EXPECT_EQ(axis.out, 16);
  EXPECT_EQ(same.pad_begin, 0);
  EXPECT_EQ(torch.pad_begin, 1);
  EXPECT_EQ(upper.pad_begin, 0);
  EXPECT_EQ(lower.pad_begin, 1);
}

struct OnnxCase {
  const char* auto_pad;
  int64_t in, k, s, output_padding, output_shape;  // output_shape 0: not given
  int64_t out, begin;
};

// As ONNX Runtime 1.32 answers, read off the place of an impulse; SAME_* with a kernel below the
// stride as the specification says it (ONNX Runtime stops at the last tap there).
constexpr OnnxCase kOnnxCases[] = {
    {"NOTSET", 4, 3, 2, 0, 0, 9, 0},      {"NOTSET", 4, 3, 2, 1, 0, 10, 0},
    {"NOTSET", 4, 2, 4, 3, 0, 17, 0},     {"NOTSET", 4, 3, 2, 0, 1, 1, 4},
    {"NOTSET", 4, 3, 2, 0, 2, 2, 4},      {"NOTSET", 4, 3, 2, 0, 6, 6, 2},
    {"NOTSET", 4, 3, 2, 0, 8, 8, 1},      {"NOTSET", 4, 3, 2, 0, 10, 10, 0},
    {"NOTSET", 4, 3, 2, 1, 9, 9, 1},      {"NOTSET", 4, 3, 2, 1, 10, 10, 0},
    {"NOTSET", 2, 7, 2, 0, 1, 1, 4},      {"NOTSET", 4, 1, 3, 2, 12, 12, 0},
    {"VALID", 4, 3, 2, 0, 0, 9, 0},       {"VALID", 4, 3, 2, 0, 8, 8, 1},
    {"VALID", 4, 3, 2, 1, 9, 9, 1},       {"SAME_UPPER", 4, 3, 2, 0, 0, 8, 0},
    {"SAME_UPPER", 4, 3, 2, 1, 0, 8, 1},  {"SAME_UPPER", 4, 3, 2, 0, 2, 2, 3},
    {"SAME_UPPER", 4, 3, 2, 0, 7, 7, 1},  {"SAME_UPPER", 4, 3, 2, 1, 9, 9, 0},
    {"SAME_UPPER", 4, 2, 4, 3, 0, 16, 0}, {"SAME_UPPER", 4, 2, 3, 0, 0, 12, 0},
    {"SAME_LOWER", 4, 3, 2, 0, 0, 8, 1},  {"SAME_LOWER", 4, 3, 2, 1, 0, 8, 1},
    {"SAME_LOWER", 4, 3, 2, 0, 6, 6, 2},  {"SAME_LOWER", 4, 2, 4, 3, 0, 16, 1},
};

TEST(Onnx, MeansTheseSizesAndPads) {
  for (const OnnxCase& c : kOnnxCases) {
    OnnxArgs args = onnx(c.in, c.k, c.s, 1, c.output_padding);
    args.auto_pad = c.auto_pad;
    if (c.output_shape != 0) args.output_shape = Numbers{c.output_shape, kWidthIn * kWidthStride};
    const ProblemDesc desc = translated(args);
    EXPECT_EQ(desc.h.out, c.out) << c.auto_pad << " " << c.k << " " << c.output_shape;
    EXPECT_EQ(desc.h.pad_begin, c.begin) << c.auto_pad << " " << c.k << " " << c.output_shape;
    EXPECT_EQ(desc.layout, Layout::nchw);
    EXPECT_EQ(desc.filter_order, FilterOrder::iohw);
  }
}

TEST(Onnx, PadsEachSideAsGiven) {
  int accepted = 0;
  for_geometries([&](int64_t in, int64_t k, int64_t s, int64_t d) {
    for (int64_t op = 0; op < std::max(s, d); ++op) {
      OnnxArgs args = onnx(in, k, s, d, op);
      args.pads = Numbers{2, 0, 1, 1};
      const int64_t out = s * (in - 1) + op + (k - 1) * d + 1 - 3;
      ASSERT_EQ(accepts(args), out >= 0);
      if (out < 0) continue;
      const ProblemDesc desc = translated(args);
      ASSERT_EQ(desc.h.out, out);
      ASSERT_EQ(desc.h.pad_begin, 2);
      ASSERT_EQ(desc.h.pad_end(), 1 - op);
      ASSERT_EQ(desc.w.pad_end(), 1);
      ASSERT_EQ(output_sizes(args).low[0], std::max<int64_t>(out - op, 0));
      ASSERT_EQ(output_sizes(args).high[0], out - op + std::max(s, d) - 1);
      ++accepted;
    }
    OnnxArgs args = onnx(in, k, s, d, std::max(s, d));
    EXPECT_FALSE(accepts(args));
  });
  EXPECT_GT(accepted, 800);
}

TEST(Onnx, TakesAnyOutputShapeUpToTheNextTap) {
  for_geometries([](int64_t in, int64_t k, int64_t s, int64_t d) {
    OnnxArgs args = onnx(in, k, s, d, 0);
    const int64_t full = (in - 1) * s + (k - 1) * d + 1;
    for (int64_t out = -1; out <= full + s + 1; ++out) {
      args.output_shape = Numbers{2, 4, out, kWidthIn * kWidthStride};
      ASSERT_EQ(accepts(args), out >= 0 && out < full + s);
    }
  });
  OnnxArgs args = onnx(4, 3, 2, 1, 0);
  args.auto_pad = "SAME_LOWER";
  EXPECT_EQ(output_sizes(args).low, (std::array<int64_t, 2>{8, 15}));
  EXPECT_EQ(output_sizes(args).high, (std::array<int64_t, 2>{8, 15}));
}

TEST(Conventions, LeaveOtherFieldsAlone) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 200; ++i) {
    ProblemDesc before = test::random_desc(random);
    before.name = "layer 1";
    ProblemDesc after = before;
    translate(pytorch(4, 3, 2, 1, 1, 1), after);
    EXPECT_NE(after.h, before.h);
    after.batch = before.batch, after.in_c = before.in_c, after.out_c = before.out_c;
    after.groups = before.groups, after.h = before.h, after.w = before.w;
    after.layout = before.layout, after.filter_order = before.filter_order;
    EXPECT_EQ(make_key(after), make_key(before));
    EXPECT_EQ(after.name, before.name);
  }
}

// ---- And back --------------------------------------------------------------------------------

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
