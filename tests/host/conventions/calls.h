// SPDX-License-Identifier: Apache-2.0
// calls.h: calls of each convention with one geometry along the height, and what they mean.
#pragma once

#include "src/host/conventions/conventions.h"
#include "src/host/problem/errors.h"

namespace tconv::host {

// A width of its own, so that swapped axes cannot pass.
inline constexpr int64_t kWidthIn = 3, kWidthKernel = 2, kWidthStride = 5;

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

inline TensorFlowArgs tensorflow(int64_t in, int64_t k, int64_t s, int64_t d, const char* padding) {
  TensorFlowArgs args;
  args.input_shape = {2, in, kWidthIn, 6};
  args.filter_shape = {k, kWidthKernel, 4, 6};
  args.strides = {s, kWidthStride};
  args.dilations = Numbers{d, 1};
  args.padding = padding;
  return args;
}

inline PyTorchArgs pytorch(int64_t in, int64_t k, int64_t s, int64_t d, int64_t p, int64_t op) {
  PyTorchArgs args;
  args.input_shape = {2, 6, in, kWidthIn};
  args.weight_shape = {6, 4, k, kWidthKernel};
  args.stride = Numbers{s, kWidthStride};
  args.padding = Numbers{p, 0};
  args.output_padding = Numbers{op, 0};
  args.dilation = Numbers{d, 1};
  return args;
}

inline OnnxArgs onnx(int64_t in, int64_t k, int64_t s, int64_t d, int64_t op) {
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

}  // namespace tconv::host
