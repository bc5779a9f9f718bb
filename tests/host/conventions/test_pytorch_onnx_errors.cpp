// SPDX-License-Identifier: Apache-2.0
// test_pytorch_onnx_errors.cpp: every bad argument of PyTorch's and ONNX's conventions is refused.
#include <string>

#include "tests/host/conventions/refusals.h"

namespace tconv::host {
namespace {

using Torch = PyTorchArgs;

Torch right_pytorch() {
  Torch args;
  args.input_shape = {1, 6, 8, 9};
  args.weight_shape = {6, 4, 3, 3};
  args.stride = Numbers{2};
  args.padding = Numbers{1};
  args.output_padding = Numbers{1, 1};
  return args;
}

TEST(PyTorchErrors, NameFieldAndLegalValues) {
  expect_refused<Torch>(
      right_pytorch(),
      {{[](Torch& a) {
          a.input_shape = {8, 9};
        },
        "input_shape = [8, 9], but it must be 4 numbers [batch, in_channels, height, width], or 3 "
        "without the batch"},
       {[](Torch& a) {
          a.weight_shape = {6, 4, 3, 3, 3};
        },
        "weight_shape = [6, 4, 3, 3, 3], but it must be 4 numbers [in_channels, out_channels / "
        "groups, kernel_height, kernel_width], or 3 with one axis"},
       {[](Torch& a) { a.weight_shape[0] = 5; },
        "weight_shape[0] = 5, but it must be 6, the input's channels (input_shape[1])"},
       {[](Torch& a) { a.weight_shape[3] = 0; },
        "weight_shape[3] = 0, but it must be in [1, 2^61]"},
       {[](Torch& a) { a.groups = 4; },
        "groups = 4, but it must be a divisor of 6, the input's channels (input_shape[1])"},
       {[](Torch& a) {
          a.stride = Numbers{2, 0};
        },
        "stride[1] = 0, but it must be in [1, 2^61]"},
       {[](Torch& a) { a.stride = Numbers{}; }, "stride = [], but it must be 1 or 2 numbers"},
       {[](Torch& a) { a.dilation = Numbers{-1}; },
        "dilation[0] = -1, but it must be in [1, 2^61]"},
       {[](Torch& a) { a.padding = Numbers{-1}; }, "padding[0] = -1, but it must be in [0, 2^61]"},
       {[](Torch& a) {
          a.padding = Numbers{1, 2, 3};
        },
        "padding = [1, 2, 3], but it must be 1 or 2 numbers"},
       {[](Torch& a) {
          a.padding = Numbers{1, 11};
        },
        "padding[1] = 11, but for input width 9, kernel 3 and stride 2 it must be at most 10"},
       {[](Torch& a) { a.padding = Numbers{9}, a.input_shape[3] = 7; },
        "padding[0] = 9, but for input width 7, kernel 3 and stride 2 it must be at most 8"},
       {[](Torch& a) { a.padding = Numbers{k61}; },
        "padding[0] = 2305843009213693952, but for input height 8, kernel 3 and stride 2 it must "
        "be at most 9"},
       {[](Torch& a) {
          a.output_padding = Numbers{1, 2};
        },
        "output_padding[1] = 2, but it must be in [0, 1], less than the larger of stride 2 and "
        "dilation 1"},
       {[](Torch& a) { a.output_padding = Numbers{-1}; },
        "output_padding[0] = -1, but it must be in [0, 1], less than the larger of stride 2 and "
        "dilation 1"},
       {[](Torch& a) { a.stride = Numbers{1}; },
        "output_padding[0] = 1, but it must be 0, less than the larger of stride 1 and dilation 1"},
       {[](Torch& a) { a.memory_format = "nhwc"; },
        "memory_format = 'nhwc', but it must be 'contiguous' or 'channels_last'"},
       {[](Torch& a) {
          a.input_shape[2] = 0, a.weight_shape[2] = 1, a.stride = Numbers{4},
          a.padding = a.output_padding = Numbers{0};
        },
        "input_shape[2] = 0, but for input height 0, kernel 1 and stride 4 it must be at least "
        "1"}});
}

// ---- ONNX --------------------------------------------------------------------------------------

OnnxArgs right_onnx() {
  OnnxArgs args;
  args.x_shape = {1, 6, 8, 9};
  args.w_shape = {6, 2, 3, 3};
  args.strides = Numbers{2, 2};
  args.pads = Numbers{1, 1, 1, 1};
  args.group = 2;
  return args;
}

TEST(OnnxErrors, NameFieldAndLegalValues) {
  expect_refused<OnnxArgs>(
      right_onnx(),
      {{[](OnnxArgs& a) { a.x_shape = {1}; },
        "x_shape = [1], but it must be 4 numbers [N, C, H, W]"},
       {[](OnnxArgs& a) { a.w_shape[0] = 3; },
        "w_shape[0] = 3, but it must be 6, the input's channels (x_shape[1])"},
       {[](OnnxArgs& a) { a.w_shape[2] = -3; }, "w_shape[2] = -3, but it must be in [1, 2^61]"},
       {[](OnnxArgs& a) { a.group = 5; },
        "group = 5, but it must be a divisor of 6, the input's channels (x_shape[1])"},
       {[](OnnxArgs& a) { a.strides = Numbers{2}; },
        "strides = [2], but it must be 2 numbers (height, width)"},
       {[](OnnxArgs& a) {
          a.strides = Numbers{2, 0};
        },
        "strides[1] = 0, but it must be in [1, 2^61]"},
       {[](OnnxArgs& a) {
          a.dilations = Numbers{0, 1};
        },
        "dilations[0] = 0, but it must be in [1, 2^61]"},
       {[](OnnxArgs& a) {
          a.pads = Numbers{1, 1};
        },
        "pads = [1, 1], but it must be 4 numbers (height begin, width begin, height end, width "
        "end)"},
       {[](OnnxArgs& a) {
          a.pads = Numbers{0, 0, -1, 0};
        },
        "pads[2] = -1, but it must be in [0, 2^61]"},
       {[](OnnxArgs& a) {
          a.pads = Numbers{0, 10, 0, 10};
        },
        "pads[1] + pads[3] = 20, but for input width 9, kernel 3 and stride 2 it must be at most "
        "19"},
       {[](OnnxArgs& a) { a.auto_pad = "SAME_UPPER"; },
        "pads = [1, 1, 1, 1], but it must be left out where auto_pad is 'SAME_UPPER'"},
       {[](OnnxArgs& a) { a.auto_pad = "same_upper", a.pads.reset(); },
        "auto_pad = 'same_upper', but it must be 'NOTSET', 'SAME_UPPER', 'SAME_LOWER' or "
        "'VALID'"}});
}

TEST(OnnxErrors, SizesOfTheOutput) {
  expect_refused<OnnxArgs>(
      right_onnx(),
      {{[](OnnxArgs& a) {
          a.output_padding = Numbers{2, 0};
        },
        "output_padding[0] = 2, but it must be in [0, 1], less than the larger of stride 2 and "
        "dilation 1"},
       {[](OnnxArgs& a) {
          a.output_shape = Numbers{16, 18, 4};
        },
        "output_shape = [16, 18, 4], but it must be 2 or 4 numbers (H, W or N, M, H, W)"},
       {[](OnnxArgs& a) {
          a.output_shape = Numbers{19, 18};
        },
        "output_shape[0] = 19, but for input height 8, kernel 3 and stride 2 it must be in [0, "
        "18]"},
       {[](OnnxArgs& a) {
          a.output_shape = Numbers{1, 4, 18, -1};
        },
        "output_shape[3] = -1, but for input width 9, kernel 3 and stride 2 it must be in [0, "
        "20]"},
       {[](OnnxArgs& a) {
          a.output_shape = Numbers{2, 4, 18, 18};
        },
        "output_shape[0] = 2, but it must be 1, the batch of X"},
       {[](OnnxArgs& a) {
          a.output_shape = Numbers{1, 2, 18, 18};
        },
        "output_shape[1] = 2, but it must be 4, group * w_shape[1]"}});
}

}  // namespace
}  // namespace tconv::host
