// SPDX-License-Identifier: Apache-2.0
// test_conventions.cpp: which output sizes each convention takes and which pads it means, against
// the frameworks' own formulas. (And back from a problem to a call: test_round_trips.cpp.)
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

#include "tests/host/conventions/calls.h"
#include "tests/support/support.h"

namespace tconv::host {
namespace {

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

}  // namespace
}  // namespace tconv::host
