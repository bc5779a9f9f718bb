// SPDX-License-Identifier: Apache-2.0
// test_fitting.cpp: a filter that only fits another convention, and what the refusal says of it.
#include "tests/host/conventions/refusals.h"

namespace tconv::host {
namespace {

std::string tensorflow(const Numbers& input, const Numbers& filter) {
  TensorFlowArgs args;
  args.input_shape = input, args.filter_shape = filter, args.strides = {2};
  return refusal(args);
}
std::string pytorch(const Numbers& input, const Numbers& filter) {
  PyTorchArgs args;
  args.input_shape = input, args.weight_shape = filter;
  return refusal(args);
}
std::string onnx(const Numbers& input, const Numbers& filter) {
  OnnxArgs args;
  args.x_shape = input, args.w_shape = filter;
  return refusal(args);
}
void expect_end(const std::string& message, const std::string& end) {
  EXPECT_TRUE(message.ends_with(end)) << message;
}

TEST(Fitting, NamesTheConventionWhoseOrderFits) {
  const std::string torch =
      "; in the order of PyTorch and ONNX, [in_channels, out_channels / groups, kernel_height, "
      "kernel_width], the filter would fit";
  const std::string tensorflows =
      "; in the order of TensorFlow, [kernel_height, kernel_width, out_channels, in_channels], the "
      "filter would fit";
  expect_end(tensorflow({1, 8, 8, 64}, {64, 32, 3, 3}), torch);
  expect_end(pytorch({1, 64, 8, 8}, {3, 3, 32, 64}), tensorflows);
  expect_end(onnx({1, 64, 8, 8}, {5, 4, 32, 64}), tensorflows);
  expect_end(tensorflow({1, 8, 8, 64}, {3, 3, 64, 32}),
             "; in the order of a forward convolution of TensorFlow, [kernel_height, kernel_width, "
             "in_channels, out_channels], the filter would fit");
  expect_end(pytorch({1, 64, 8, 8}, {32, 64, 3, 3}),
             "; in the order of a forward convolution of PyTorch, [out_channels, in_channels, "
             "kernel_height, kernel_width], the filter would fit");
}

TEST(Fitting, NamesTheLayoutInWhichTheInputFits) {
  expect_end(tensorflow({1, 64, 8, 8}, {3, 3, 32, 64}),
             "; if the input is [batch, channels, height, width], the filter fits");
  expect_end(onnx({1, 8, 8, 64}, {64, 32, 3, 3}),
             "; if the input is [batch, height, width, channels], the filter fits");
  expect_end(
      tensorflow({1, 64, 8, 8}, {64, 32, 3, 3}),
      "; if the input is [batch, channels, height, width], the filter would fit in the order "
      "of PyTorch and ONNX, [in_channels, out_channels / groups, kernel_height, "
      "kernel_width]");
}

TEST(Fitting, SaysNothingWhereNothingFits) {
  expect_end(tensorflow({1, 8, 8, 64}, {3, 3, 7, 9}), "the input's channels (input_shape[3])");
  expect_end(pytorch({1, 64, 8, 8}, {3, 3, 7, 9}), "the input's channels (input_shape[1])");
}

}  // namespace
}  // namespace tconv::host
