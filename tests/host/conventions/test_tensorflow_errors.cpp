// SPDX-License-Identifier: Apache-2.0
// test_tensorflow_errors.cpp: every bad argument of TensorFlow's convention is refused.
#include <string>

#include "tests/host/conventions/refusals.h"

namespace tconv::host {
namespace {

using Tf = TensorFlowArgs;

Tf right_tensorflow() {
  Tf args;
  args.input_shape = {1, 8, 9, 6};
  args.filter_shape = {3, 3, 4, 6};
  args.output_shape = Numbers{1, 16, 18, 4};
  args.strides = {1, 2, 2, 1};
  return args;
}

TEST(TensorFlowErrors, Shapes) {
  expect_refused<Tf>(
      right_tensorflow(),
      {{[](Tf& a) {
          a.input_shape = {8, 9, 6};
        },
        "input_shape = [8, 9, 6], but it must be 4 numbers [batch, height, width, in_channels]"},
       {[](Tf& a) { a.input_shape = {}; },
        "input_shape = [], but it must be 4 numbers [batch, height, width, in_channels]"},
       {[](Tf& a) {
          a.data_format = "NCHW", a.input_shape = {1, 2, 3, 4, 5};
        },
        "input_shape = [1, 2, 3, 4, 5], but it must be 4 numbers [batch, in_channels, height, "
        "width]"},
       {[](Tf& a) { a.input_shape = Numbers(100, 7); },
        "input_shape = [7, 7, 7, 7, 7, 7, 7, 7, ...], but it must be 4 numbers [batch, height, "
        "width, in_channels]"},
       {[](Tf& a) {
          a.filter_shape = {3, 4};
        },
        "filter_shape = [3, 4], but it must be 4 numbers [kernel_height, kernel_width, "
        "out_channels, in_channels], or 3 with one axis"},
       {[](Tf& a) { a.input_shape[1] = -8; }, "input_shape[1] = -8, but it must be in [0, 2^61]"},
       {[](Tf& a) { a.input_shape[2] = k62; },
        "input_shape[2] = 4611686018427387904, but it must be in [0, 2^61]"},
       {[](Tf& a) { a.filter_shape[0] = 0; }, "filter_shape[0] = 0, but it must be in [1, 2^61]"},
       {[](Tf& a) { a.filter_shape[1] = 0; }, "filter_shape[1] = 0, but it must be in [1, 2^61]"},
       {[](Tf& a) { a.filter_shape[2] = -1; }, "filter_shape[2] = -1, but it must be in [0, 2^61]"},
       {[](Tf& a) { a.filter_shape[3] = 3; },
        "filter_shape[3] = 3, but it must be 6, the input's channels (input_shape[3])"},
       {[](Tf& a) { a.groups = 4; },
        "groups = 4, but it must be a divisor of 6, the input's channels (input_shape[3])"},
       {[](Tf& a) { a.groups = -1; }, "groups = -1, but it must be in [0, 2^61]"},
       {[](Tf& a) { a.groups = 2, a.filter_shape[2] = k61; },
        "groups * filter_shape[2] = 4611686018427387904, but it must be in [0, 2^61]"},
       {[](Tf& a) { a.groups = 6, a.filter_shape[2] = k61; },
        "groups * filter_shape[2] does not fit 64 bits, but it must be at most 2^63 - 1"}});
}

TEST(TensorFlowErrors, OutputSizesThatDoNotLeadBackToTheInput) {
  expect_refused<Tf>(
      right_tensorflow(),
      {{[](Tf& a) {
          a.output_shape = Numbers{1, 17, 18, 4};
        },
        "output_shape[1] = 17, but for input height 8, kernel 3, stride 2 and SAME padding it must "
        "be in [15, 16]"},
       {[](Tf& a) {
          a.output_shape = Numbers{1, 16, 16, 4};
        },
        "output_shape[2] = 16, but for input width 9, kernel 3, stride 2 and SAME padding it must "
        "be in [17, 18]"},
       {[](Tf& a) {
          a.output_shape = Numbers{14, 18};
        },
        "output_shape[0] = 14, but for input height 8, kernel 3, stride 2 and SAME padding it must "
        "be in [15, 16]"},
       {[](Tf& a) {
          a.output_shape = Numbers{2, -2}, a.input_shape = {1, 1, 1, 6};
        },
        "output_shape[1] = -2, but for input width 1, kernel 3, stride 2 and SAME padding it must "
        "be in [1, 2]"},
       {[](Tf& a) {
          a.output_shape = Numbers{114078056, 179835296}, a.strides = {10};
        },
        "output_shape[0] = 114078056, but for input height 8, kernel 3, stride 10 and SAME padding "
        "it must be in [71, 80]"},
       {[](Tf& a) {
          a.output_shape = Numbers{kMost, kMost};
        },
        "output_shape[0] = 9223372036854775807, but for input height 8, kernel 3, stride 2 and "
        "SAME padding it must be in [15, 16]"},
       {[](Tf& a) { a.padding = "VALID"; },
        "output_shape[1] = 16, but for input height 8, kernel 3, stride 2 and VALID padding it "
        "must be in [17, 18]"},
       {[](Tf& a) { a.strides = {1}, a.dilations = Numbers{2}, a.padding = "VALID"; },
        "output_shape[1] = 16, but for input height 8, kernel 3, stride 1, dilation 2 and VALID "
        "padding it must be 12"},
       {[](Tf& a) {
          a.padding = "EXPLICIT", a.explicit_paddings = {1, 2, 0, 1};
        },
        "output_shape[1] = 16, but for input height 8, kernel 3, stride 2 and padding (1, 2) it "
        "must be in [14, 15]"}});
}

TEST(TensorFlowErrors, OutputShapesOfAnotherForm) {
  expect_refused<Tf>(
      right_tensorflow(),
      {{[](Tf& a) {
          a.output_shape = Numbers{2, 16, 18, 4};
        },
        "output_shape[0] = 2, but it must be 1, the input's batch"},
       {[](Tf& a) {
          a.output_shape = Numbers{1, 16, 18, 6};
        },
        "output_shape[3] = 6, but it must be 4, the filters' output channels"},
       {[](Tf& a) { a.groups = 2; },
        "output_shape[3] = 4, but it must be 8, the filters' output channels"},
       {[](Tf& a) { a.output_shape = Numbers{}; },
        "output_shape = [], but it must be 2 or 4 numbers (height, width, or all dimensions in the "
        "order of data_format)"},
       {[](Tf& a) { a.output_shape = Numbers{16}; },
        "output_shape = [16], but it must be 2 or 4 numbers (height, width, or all dimensions in "
        "the order of data_format)"},
       {[](Tf& a) {
          a.output_shape = Numbers{16, 18, 4};
        },
        "output_shape = [16, 18, 4], but it must be 2 or 4 numbers (height, width, or all "
        "dimensions in the order of data_format)"},
       {[](Tf& a) {
          a.output_shape = Numbers{1, 1, 16, 18, 4};
        },
        "output_shape = [1, 1, 16, 18, 4], but it must be 2 or 4 numbers (height, width, or all "
        "dimensions in the order of data_format)"}});
}

TEST(TensorFlowErrors, NamesTheAxisOfTheDataFormat) {
  Tf args = right_tensorflow();
  args.data_format = "NCHW";
  args.input_shape = {1, 6, 8, 9};
  args.strides = {1, 1, 2, 2};
  args.output_shape = Numbers{1, 4, 17, 18};
  EXPECT_EQ(refusal(args),
            "output_shape[2] = 17, but for input height 8, kernel 3, stride 2 and SAME padding it "
            "must be in [15, 16]");
  args.strides = {1, 2, 2, 1};
  EXPECT_EQ(refusal(args), "strides[1] = 2, but it must be 1 for batch and channels");
}

TEST(TensorFlowErrors, Steps) {
  expect_refused<Tf>(
      right_tensorflow(),
      {{[](Tf& a) { a.strides = {}; }, "strides = [], but it must be 1, 2 or 4 numbers"},
       {[](Tf& a) {
          a.strides = {2, 2, 2};
        },
        "strides = [2, 2, 2], but it must be 1, 2 or 4 numbers"},
       {[](Tf& a) { a.strides = {0}; }, "strides[0] = 0, but it must be in [1, 2^61]"},
       {[](Tf& a) {
          a.strides = {2, -1};
        },
        "strides[1] = -1, but it must be in [1, 2^61]"},
       {[](Tf& a) {
          a.strides = {1, 2, 0, 1};
        },
        "strides[2] = 0, but it must be in [1, 2^61]"},
       {[](Tf& a) {
          a.strides = {1, 2, 2, 2};
        },
        "strides[3] = 2, but it must be 1 for batch and channels"},
       {[](Tf& a) {
          a.dilations = Numbers{0, 1};
        },
        "dilations[0] = 0, but it must be in [1, 2^61]"},
       {[](Tf& a) {
          a.dilations = Numbers{2, 1, 1, 1};
        },
        "dilations[0] = 2, but it must be 1 for batch and channels"},
       {[](Tf& a) { a.dilations = Numbers{}; }, "dilations = [], but it must be 1, 2 or 4 numbers"},
       {[](Tf& a) { a.strides = {k61}; },
        "output for input height 8, kernel 3 and stride 2305843009213693952 does not fit 64 bits, "
        "but it must be at most 2^63 - 1"},
       {[](Tf& a) { a.strides = {k61 / 4}; },
        "output height without padding = 4035225266123964419, but it must be at most 2^61 for "
        "input height 8, kernel 3 and stride 576460752303423488"},
       {[](Tf& a) { a.filter_shape[0] = k61, a.dilations = Numbers{k61}; },
        "kernel extent for input height 8, kernel 2305843009213693952, stride 2 and dilation "
        "2305843009213693952 does not fit 64 bits, but it must be at most 2^63 - 1"}});
}

TEST(TensorFlowErrors, Padding) {
  const auto explicitly = [](Numbers pads) {
    Tf args = right_tensorflow();
    args.output_shape.reset();
    args.padding = "EXPLICIT";
    args.explicit_paddings = std::move(pads);
    return refusal(args);
  };
  const std::string counts =
      "4 or 8 numbers (top, bottom, left, right, or begin and end of each dimension)";
  EXPECT_EQ(explicitly({}), "explicit_paddings = [], but it must be " + counts);
  EXPECT_EQ(explicitly({1, 1}), "explicit_paddings = [1, 1], but it must be " + counts);
  EXPECT_EQ(explicitly({0, 0, 0, -1}), "explicit_paddings[3] = -1, but it must be in [0, 2^61]");
  EXPECT_EQ(explicitly({0, 0, 1, 1, 1, 1, 0, 1}),
            "explicit_paddings[7] = 1, but it must be 0 for batch and channels");
  EXPECT_EQ(explicitly({9, 9, 0, 0}),
            "explicit_paddings[0] + explicit_paddings[1] = 18, but for input height 8, kernel 3 "
            "and stride 2 it must be at most 17");
  EXPECT_EQ(explicitly({0, 0, 0, 0, 20, 1, 0, 0}),
            "explicit_paddings[4] + explicit_paddings[5] = 21, but for input width 9, kernel 3 and "
            "stride 2 it must be at most 20");
  EXPECT_EQ(explicitly({k61, k61, 0, 0}),
            "explicit_paddings[0] + explicit_paddings[1] = 4611686018427387904, but for input "
            "height 8, kernel 3 and stride 2 it must be at most 18");
  expect_refused<Tf>(
      right_tensorflow(),
      {{[](Tf& a) { a.padding = "same"; },
        "padding = 'same', but it must be 'SAME', 'VALID' or 'EXPLICIT'"},
       {[](Tf& a) { a.padding = ""; },
        "padding = '', but it must be 'SAME', 'VALID' or 'EXPLICIT'"},
       {[](Tf& a) {
          a.explicit_paddings = {0, 0, 0, 0};
        },
        "explicit_paddings = [0, 0, 0, 0], but it must be empty where padding is 'SAME'"},
       {[](Tf& a) { a.data_format = "nhwc"; },
        "data_format = 'nhwc', but it must be 'NHWC' or 'NCHW'"}});
}

TEST(TensorFlowErrors, EmptyTensorsAreNone) {
  Tf args = right_tensorflow();
  args.input_shape = {0, 8, 9, 6};
  args.output_shape = Numbers{0, 16, 18, 4};
  EXPECT_EQ(refusal(args), "accepted");
  args.input_shape = {1, 0, 9, 0};
  args.filter_shape = {3, 3, 4, 0};
  args.output_shape = Numbers{1, 0, 18, 4};
  EXPECT_EQ(refusal(args), "accepted");
  args.output_shape = Numbers{1, 1, 18, 4};
  EXPECT_EQ(refusal(args),
            "output_shape[1] = 1, but for input height 0, kernel 3, stride 2 and SAME padding it "
            "must be 0");
  args.padding = "VALID";
  args.output_shape = Numbers{1, 2, 19, 4};
  EXPECT_EQ(refusal(args), "accepted");
}

}  // namespace
}  // namespace tconv::host
