// SPDX-License-Identifier: Apache-2.0
// test_ranks.cpp: calls with one spatial axis, without a batch, and with PyTorch's output_size mean
// what the same call with two axes, a batch of 1 and output_padding means, and are refused in their
// own words.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "tests/host/conventions/calls.h"
#include "tests/host/conventions/refusals.h"

namespace tconv::host {
namespace {

template <typename Args>
std::string key(const Args& args) {
  return make_key(translated(args));
}

TensorFlowArgs tensorflow_1d(int64_t in, int64_t k, int64_t s, int64_t d, const char* padding) {
  TensorFlowArgs args;
  args.input_shape = {2, in, 6};
  args.filter_shape = {k, 4, 6};
  args.strides = {s};
  args.dilations = Numbers{d};
  args.padding = padding;
  return args;
}

/// The same call, of images of one row.
TensorFlowArgs one_row(const TensorFlowArgs& args) {
  TensorFlowArgs wide = args;
  const int64_t n = args.input_shape[0], in = args.input_shape[1], c = args.input_shape[2];
  wide.input_shape = {n, 1, in, c};
  wide.filter_shape = {1, args.filter_shape[0], 4, 6};
  wide.strides = {1, args.strides[0]};
  wide.dilations = Numbers{1, args.dilations->at(0)};
  if (args.padding == "EXPLICIT")
    wide.explicit_paddings.insert(wide.explicit_paddings.begin(), 2, 0);
  return wide;
}

TEST(OneAxis, IsTensorFlowsCallOfOneRow) {
  int calls = 0;
  for_geometries([&](int64_t in, int64_t k, int64_t s, int64_t d) {
    for (const char* padding : {"SAME", "VALID", "EXPLICIT"}) {
      TensorFlowArgs args = tensorflow_1d(in, k, s, d, padding);
      if (args.padding == "EXPLICIT") args.explicit_paddings = {1, 0};
      if (!accepts(one_row(args))) {
        EXPECT_FALSE(accepts(args));
        continue;
      }
      ASSERT_EQ(key(args), key(one_row(args)));
      const OutputSizes sizes = output_sizes(args);
      EXPECT_EQ(sizes.low, output_sizes(one_row(args)).low);
      EXPECT_EQ(sizes.high, output_sizes(one_row(args)).high);
      EXPECT_EQ(output_shape(args), (Numbers{2, translated(args).w.out, 4}));
      args.output_shape = Numbers{2, sizes.high[1], 4};
      TensorFlowArgs wide = one_row(args);
      wide.output_shape = Numbers{1, sizes.high[1]};
      ASSERT_EQ(key(args), key(wide));
      args.output_shape = Numbers{sizes.high[1]};
      ASSERT_EQ(key(args), key(wide));
      ++calls;
    }
  });
  EXPECT_GT(calls, 600);
}

TEST(OneAxis, OfTensorFlowHasItsOwnFormats) {
  TensorFlowArgs args = tensorflow_1d(5, 3, 2, 1, "SAME");
  EXPECT_EQ(translated(args).layout, Layout::nhwc);
  args.data_format = "NWC";
  args.strides = {1, 2, 1};
  args.dilations = Numbers{1, 1, 1};
  EXPECT_EQ(translated(args).layout, Layout::nhwc);
  args.data_format = "NCW";
  args.strides = {1, 1, 2};
  args.input_shape = {2, 6, 5};
  const ProblemDesc desc = translated(args);
  EXPECT_EQ(desc.layout, Layout::nchw);
  EXPECT_EQ(desc.w.in, 5);
  EXPECT_EQ(desc.w.stride, 2);
  EXPECT_EQ(output_shape(args), (Numbers{2, 4, 10}));
}

PyTorchArgs pytorch_1d(int64_t in, int64_t k, int64_t s, int64_t d, int64_t p, int64_t op) {
  PyTorchArgs args;
  args.input_shape = {2, 6, in};
  args.weight_shape = {6, 4, k};
  args.stride = Numbers{s};
  args.padding = Numbers{p};
  args.output_padding = Numbers{op};
  args.dilation = Numbers{d};
  return args;
}

/// The same call, of images of one row.
PyTorchArgs one_row(const PyTorchArgs& args) {
  PyTorchArgs wide = args;
  wide.input_shape.insert(wide.input_shape.end() - 1, 1);
  wide.weight_shape.insert(wide.weight_shape.end() - 1, 1);
  wide.stride->insert(wide.stride->begin(), 1);
  wide.padding->insert(wide.padding->begin(), 0);
  wide.output_padding->insert(wide.output_padding->begin(), 0);
  wide.dilation->insert(wide.dilation->begin(), 1);
  return wide;
}

/// Without the batch, which is 1.
PyTorchArgs unbatched(PyTorchArgs args) {
  args.input_shape.erase(args.input_shape.begin());
  return args;
}

TEST(OneAxis, IsPyTorchsCallOfOneRow) {
  int calls = 0;
  for_geometries([&](int64_t in, int64_t k, int64_t s, int64_t d) {
    for (int64_t op = 0; op <= std::max(s, d); ++op) {
      PyTorchArgs args = pytorch_1d(in, k, s, d, 1, op);
      args.memory_format = op % 2 == 0 ? "contiguous" : "channels_last";
      if (!accepts(one_row(args))) {
        EXPECT_FALSE(accepts(args));
        continue;
      }
      ASSERT_EQ(key(args), key(one_row(args)));
      EXPECT_EQ(output_shape(args), (Numbers{2, 4, translated(args).w.out}));
      EXPECT_EQ(output_sizes(args).high, output_sizes(one_row(args)).high);
      args.input_shape[0] = 1;
      ASSERT_EQ(key(unbatched(args)), key(args));
      EXPECT_EQ(output_shape(unbatched(args)), (Numbers{4, translated(args).w.out}));
      ++calls;
    }
  });
  EXPECT_GT(calls, 900);
}

TEST(OneAxis, IsOnnxsCallOfOneRow) {
  int calls = 0;
  for_geometries([&](int64_t in, int64_t k, int64_t s, int64_t d) {
    for (const char* auto_pad : {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}) {
      OnnxArgs args, wide;
      args.x_shape = {2, 6, in}, wide.x_shape = {2, 6, 1, in};
      args.w_shape = {6, 4, k}, wide.w_shape = {6, 4, 1, k};
      args.strides = Numbers{s}, wide.strides = Numbers{1, s};
      args.dilations = Numbers{d}, wide.dilations = Numbers{1, d};
      args.output_padding = Numbers{s - 1}, wide.output_padding = Numbers{0, s - 1};
      args.auto_pad = wide.auto_pad = auto_pad;
      if (args.auto_pad == "NOTSET") args.pads = Numbers{1, 2}, wide.pads = Numbers{0, 1, 0, 2};
      ASSERT_EQ(accepts(args), accepts(wide));
      if (!accepts(args)) continue;
      ASSERT_EQ(key(args), key(wide));
      EXPECT_EQ(output_shape(args), (Numbers{2, 4, translated(args).w.out}));
      args.output_shape = Numbers{in + 1}, wide.output_shape = Numbers{1, in + 1};
      ASSERT_EQ(accepts(args), accepts(wide));
      if (accepts(wide)) {
        ASSERT_EQ(key(args), key(wide));
        args.output_shape = Numbers{2, 4, in + 1};
        ASSERT_EQ(key(args), key(wide));
      }
      ++calls;
    }
  });
  EXPECT_GT(calls, 900);
}

TEST(Unbatched, IsABatchOfOne) {
  PyTorchArgs args = pytorch(5, 3, 2, 1, 1, 1);
  args.input_shape[0] = 1;
  EXPECT_EQ(key(unbatched(args)), key(args));
  EXPECT_EQ(output_shape(args), (Numbers{1, 4, 10, 12}));
  EXPECT_EQ(output_shape(unbatched(args)), (Numbers{4, 10, 12}));
  args.memory_format = "channels_last";
  EXPECT_EQ(key(unbatched(args)), key(args));
}

// An input of three numbers is either; the weight decides.
TEST(Unbatched, IsToldFromOneAxisByTheWeight) {
  PyTorchArgs args;
  args.input_shape = {4, 4, 7};
  args.weight_shape = {4, 3, 2, 2};
  EXPECT_EQ(translated(args).batch, 1);
  EXPECT_EQ(translated(args).h.in, 4);
  args.weight_shape = {4, 3, 2};
  EXPECT_EQ(translated(args).batch, 4);
  EXPECT_EQ(translated(args).h.in, 1);
  EXPECT_EQ(translated(args).w.in, 7);
}

// ---- Refusals ----------------------------------------------------------------------------------

TEST(OneAxisErrors, OfTensorFlow) {
  using Tf = TensorFlowArgs;
  expect_refused<Tf>(
      tensorflow_1d(8, 3, 2, 1, "SAME"),
      {{[](Tf& a) {
          a.input_shape = {1, 8, 9, 6};
        },
        "input_shape = [1, 8, 9, 6], but it must be 3 numbers [batch, width, in_channels], because "
        "filter_shape has 3"},
       {[](Tf& a) { a.data_format = "NHWC"; },
        "data_format = 'NHWC', but it must be 'NWC' or 'NCW', because filter_shape has 3 numbers"},
       {[](Tf& a) {
          a.strides = {2, 2};
        },
        "strides = [2, 2], but it must be 1 or 3 numbers"},
       {[](Tf& a) {
          a.strides = {2, 2, 1};
        },
        "strides[0] = 2, but it must be 1 for batch and channels"},
       {[](Tf& a) { a.filter_shape[0] = 0; }, "filter_shape[0] = 0, but it must be in [1, 2^61]"},
       {[](Tf& a) { a.filter_shape[2] = 3; },
        "filter_shape[2] = 3, but it must be 6, the input's channels (input_shape[2])"},
       {[](Tf& a) {
          a.output_shape = Numbers{2, 17, 4};
        },
        "output_shape[1] = 17, but for input width 8, kernel 3, stride 2 and SAME padding it must "
        "be in [15, 16]"},
       {[](Tf& a) {
          a.output_shape = Numbers{2, 1, 16, 4};
        },
        "output_shape = [2, 1, 16, 4], but it must be 1 or 3 numbers (width, or all dimensions in "
        "the order of data_format)"},
       {[](Tf& a) {
          a.output_shape = Numbers{2, 16, 5};
        },
        "output_shape[2] = 5, but it must be 4, the filters' output channels"},
       {[](Tf& a) {
          a.padding = "EXPLICIT", a.explicit_paddings = {0, 1, 0, 1};
        },
        "explicit_paddings = [0, 1, 0, 1], but it must be 2 or 6 numbers (left, right, or begin "
        "and end of each dimension)"},
       {[](Tf& a) { a.padding = "EXPLICIT", a.explicit_paddings = {0, 0, 9, 9, 0, 0}; },
        "explicit_paddings[2] + explicit_paddings[3] = 18, but for input width 8, kernel 3 and "
        "stride 2 it must be at most 17"}});
}

TEST(OneAxisErrors, OfPyTorch) {
  using Torch = PyTorchArgs;
  expect_refused<Torch>(
      pytorch_1d(8, 3, 2, 1, 1, 1),
      {{[](Torch& a) {
          a.input_shape = {1, 6, 8, 9};
        },
        "input_shape = [1, 6, 8, 9], but it must be 3 numbers [batch, in_channels, length], or 2 "
        "without the batch, because weight_shape has 3"},
       {[](Torch& a) {
          a.input_shape = {5, 8};
        },
        "weight_shape[0] = 6, but it must be 5, the input's channels (input_shape[0])"},
       {[](Torch& a) {
          a.stride = Numbers{2, 2};
        },
        "stride = [2, 2], but it must be 1 number"},
       {[](Torch& a) { a.padding = Numbers{10}; },
        "padding[0] = 10, but for input length 8, kernel 3 and stride 2 it must be at most 9"},
       {[](Torch& a) { a.output_padding = Numbers{2}; },
        "output_padding[0] = 2, but it must be in [0, 1], less than the larger of stride 2 and "
        "dilation 1"}});
}

TEST(OneAxisErrors, OfOnnx) {
  OnnxArgs right;
  right.x_shape = {1, 6, 8};
  right.w_shape = {6, 4, 3};
  right.strides = Numbers{2};
  expect_refused<OnnxArgs>(
      right,
      {{[](OnnxArgs& a) {
          a.x_shape = {6, 8};
        },
        "x_shape = [6, 8], but it must be 3 numbers [N, C, L], because w_shape has 3"},
       {[](OnnxArgs& a) {
          a.w_shape = {6, 4};
        },
        "w_shape = [6, 4], but it must be 4 numbers [C, M / group, kH, kW], or 3 with one axis"},
       {[](OnnxArgs& a) {
          a.strides = Numbers{2, 2};
        },
        "strides = [2, 2], but it must be 1 number"},
       {[](OnnxArgs& a) {
          a.pads = Numbers{0, 0, 1, 1};
        },
        "pads = [0, 0, 1, 1], but it must be 2 numbers (begin, end)"},
       {[](OnnxArgs& a) {
          a.pads = Numbers{9, 9};
        },
        "pads[0] + pads[1] = 18, but for input length 8, kernel 3 and stride 2 it must be at most "
        "17"},
       {[](OnnxArgs& a) {
          a.output_shape = Numbers{1, 4, 19};
        },
        "output_shape[2] = 19, but for input length 8, kernel 3 and stride 2 it must be in [0, "
        "18]"}});
}

// ---- PyTorch's output_size
// -----------------------------------------------------------------------

TEST(OutputSize, IsTheOutputPaddingThatGivesIt) {
  int legal = 0, refused = 0;
  for_geometries([&](int64_t in, int64_t k, int64_t s, int64_t d) {
    for (int64_t p = 0; p <= 2; ++p) {
      const int64_t least = (in - 1) * s - 2 * p + d * (k - 1) + 1;
      const int64_t width = (kWidthIn - 1) * kWidthStride + kWidthKernel;
      for (int64_t out = least - 1; out <= least + std::max(s, d); ++out) {
        PyTorchArgs args = pytorch(in, k, s, d, p, 0);
        args.output_size = Numbers{out, width + 2};
        const bool takes = least <= out && out < least + s && out >= 0;
        ASSERT_EQ(accepts(args), takes) << in << " " << k << " " << s << " " << d << " " << out;
        ++(takes ? legal : refused);
        if (!takes) continue;
        PyTorchArgs same = pytorch(in, k, s, d, p, out - least);
        same.output_padding = Numbers{out - least, 2};
        EXPECT_EQ(key(args), key(same));
        args.output_size = Numbers{99, 99, out, width + 2};  // neither batch nor channels are read
        EXPECT_EQ(key(args), key(same));
        args.output_padding = Numbers{77, 77};  // nor is this
        EXPECT_EQ(key(args), key(same));
      }
    }
  });
  EXPECT_GT(legal, 2000);
  EXPECT_GT(refused, 1000);
}

TEST(OutputSize, IsRefusedWithTheOutputPaddingThatGivesIt) {
  using Torch = PyTorchArgs;
  expect_refused<Torch>(
      pytorch(8, 3, 2, 4, 1, 0),  // least 21
      {{[](Torch& a) {
          a.output_size = Numbers{23, 12};
        },
        "output_size[0] = 23, but for input height 8, kernel 3, stride 2, dilation 4 and padding 1 "
        "it must be in [21, 22]; output_padding[0] = 2 gives it"},
       {[](Torch& a) {
          a.output_size = Numbers{25, 12};
        },
        "output_size[0] = 25, but for input height 8, kernel 3, stride 2, dilation 4 and padding 1 "
        "it must be in [21, 22]"},
       {[](Torch& a) {
          a.output_size = Numbers{std::numeric_limits<int64_t>::min(), 12};
        },
        "output_size[0] = -9223372036854775808, but for input height 8, kernel 3, stride 2, "
        "dilation "
        "4 and padding 1 it must be in [21, 22]"},
       {[](Torch& a) {
          a.output_size = Numbers{2, 4, 22, 11};
        },
        "output_size[3] = 11, but for input width 3, kernel 2, stride 5 and padding 0 it must be "
        "in [12, 16]"},
       {[](Torch& a) { a.output_size = Numbers{22}; },
        "output_size = [22], but it must be 2 or 4 numbers (height, width, or all dimensions of "
        "the output)"}});
  PyTorchArgs one_axis = unbatched(pytorch_1d(8, 3, 2, 1, 1, 0));
  one_axis.output_size = Numbers{4, 16};
  EXPECT_EQ(translated(one_axis).w.out, 16);
  one_axis.output_size = Numbers{17};
  EXPECT_EQ(refusal(one_axis),
            "output_size[0] = 17, but for input length 8, kernel 3, stride 2 and padding 1 it must "
            "be in [15, 16]");
  OnnxArgs args = onnx(8, 3, 2, 4, 0);
  args.output_shape = Numbers{26, 12};
  EXPECT_EQ(refusal(args),
            "output_shape[0] = 26, but for input height 8, kernel 3, stride 2 and dilation 4 it "
            "must be in [0, 24]; output_padding[0] = 3 gives it where output_shape is left out");
}

}  // namespace
}  // namespace tconv::host
