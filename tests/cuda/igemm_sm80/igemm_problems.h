// SPDX-License-Identifier: Apache-2.0
// igemm_problems.h: problems for the row `igemm_sm80`, small and chosen for their edges.
#pragma once

#include <vector>

#include "src/host/problem/problem.h"

namespace tconv::test {

using namespace tconv::host;  // NOLINT(google-build-using-namespace): of our own library

/// in, kernel, stride, padding, dilation, output padding of one axis.
inline Axis axis(int64_t in, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation = 1,
                 int64_t output_padding = 0) {
  Axis a = {.in = in, .kernel = kernel, .stride = stride, .dilation = dilation, .pad_begin = pad};
  a.out = a.full() - 2 * pad + output_padding;
  return a;
}

inline ProblemDesc problem_of(int64_t batch, int64_t in_c, int64_t out_c, const Axis& h,
                              const Axis& w, DType type = DType::f16) {
  ProblemDesc d;
  d.batch = batch, d.in_c = in_c, d.out_c = out_c;
  d.h = h, d.w = w;
  d.dtype = d.output_dtype = d.bias_dtype = type;
  return d;
}

/// NHWC, for chosen_problems.
inline std::vector<ProblemDesc> chosen_rows_of_channels() {
  const Axis half = axis(9, 4, 2, 1);
  return {
      problem_of(1, 40, 72, half, axis(17, 4, 2, 1)),
      problem_of(1, 130, 24, axis(7, 3, 2, 1, 1, 1), axis(10, 3, 2, 1, 1, 1), DType::bf16),
      problem_of(2, 72, 24, axis(6, 2, 2, 0), axis(9, 2, 2, 0)),
      problem_of(1, 48, 136, axis(7, 3, 1, 1), axis(19, 3, 1, 1), DType::bf16),
      problem_of(2, 36, 40, axis(5, 5, 2, 2, 1, 1), axis(6, 5, 2, 2, 1, 1)),
      problem_of(33, 32, 16, axis(2, 4, 2, 1), axis(2, 4, 2, 1)),
      problem_of(130, 40, 5, axis(1, 4, 1, 0), axis(1, 4, 1, 0)),
      problem_of(1, 33, 8, axis(3, 1, 1, 0), axis(20, 16, 8, 4)),
      problem_of(2, 32, 16, axis(5, 2, 3, 0), axis(6, 2, 3, 0)),
      problem_of(3, 21, 9, axis(6, 7, 3, 2), axis(5, 7, 3, 1), DType::bf16),
      problem_of(1, 48, 40, axis(9, 3, 2, 1, 2), axis(9, 3, 2, 1, 2)),
      problem_of(1, 24, 20, axis(5, 2, 4, 0, 2), axis(6, 2, 4, 0, 2)),
      problem_of(1, 24, 16, axis(5, 3, 2, 2, 3), axis(7, 3, 2, 2, 3)),
      problem_of(1, 3, 24, axis(11, 3, 1, 2, 2), axis(13, 3, 1, 3, 3)),
      problem_of(2, 1, 3, half, half, DType::bf16),
      problem_of(1, 64, 64, axis(1, 1, 1, 0), axis(1, 1, 1, 0)),
      problem_of(1, 72, 40, half, axis(9, 3, 2, 1), DType::f32),
      problem_of(2, 37, 19, axis(7, 3, 1, 1), axis(5, 4, 3, 1), DType::f32),
      // Split where there is a workspace.
      problem_of(1, 328, 24, axis(3, 3, 1, 1), axis(5, 4, 2, 1)),
      problem_of(2, 200, 9, axis(2, 4, 2, 1), axis(3, 4, 2, 1), DType::f32),
      problem_of(1, 325, 16, axis(1, 1, 1, 0), axis(4, 1, 2, 0), DType::bf16),
  };
}

/// NCHW, likewise.
inline std::vector<ProblemDesc> chosen_planes() {
  std::vector<ProblemDesc> all = {
      problem_of(1, 64, 24, axis(13, 4, 2, 1), axis(11, 4, 2, 1)),
      problem_of(3, 21, 33, axis(6, 3, 1, 1), axis(7, 5, 3, 1), DType::bf16),
      problem_of(2, 40, 19, axis(5, 3, 2, 1, 2), axis(9, 4, 2, 1), DType::f32),
      problem_of(1, 40, 24, axis(9, 4, 2, 1), axis(20, 4, 2, 1)),
      problem_of(1, 330, 9, axis(3, 4, 2, 1), axis(4, 4, 2, 1)),
      problem_of(1, 32, 40, axis(7, 3, 1, 1), axis(24, 3, 1, 1)),
      problem_of(2, 24, 20, axis(1, 1, 1, 0), axis(40, 16, 8, 4), DType::bf16),
      problem_of(1, 24, 136, axis(6, 4, 4, 0), axis(10, 4, 4, 0)),
      problem_of(2, 16, 200, axis(5, 2, 2, 0), axis(12, 2, 2, 0), DType::f32),
      problem_of(1, 20, 5, axis(4, 5, 5, 0), axis(9, 5, 5, 0)),
      problem_of(1, 21, 6, axis(4, 5, 5, 0), axis(10, 5, 5, 0)),  // pairs of part of a chunk
      // Planes of one pixel: their channels are neighbours.
      problem_of(70, 72, 24, axis(1, 4, 1, 0), axis(1, 4, 1, 0)),
      problem_of(5, 130, 9, axis(1, 3, 2, 0), axis(1, 4, 2, 1), DType::f32)};
  for (ProblemDesc& d : all) d.layout = Layout::nchw, d.alignment = 16;
  return all;
}

/// Channels 1, 3, 21, 33: odd rows. 130 channels: several chunks. Boxes that stick out, images of
/// one pixel, batches within a box.
inline std::vector<ProblemDesc> chosen_problems() {
  std::vector<ProblemDesc> all = chosen_rows_of_channels();
  for (const ProblemDesc& d : chosen_planes()) all.push_back(d);
  ProblemDesc grouped = problem_of(2, 99, 63, axis(8, 4, 2, 1), axis(7, 4, 2, 1));
  grouped.groups = 3;
  all.push_back(grouped);
  // Rows of columns, copied whole: several chunks of channels, groups.
  ProblemDesc columns = problem_of(1, 176, 48, axis(9, 4, 2, 1), axis(11, 4, 2, 1));
  columns.filter_order = FilterOrder::ihwo, columns.alignment = 16;
  all.push_back(columns);
  columns.groups = 2;
  all.push_back(columns);
  for (std::size_t i = 0; i < all.size(); ++i) {
    ProblemDesc& d = all[i];
    d.has_bias = i % 2 == 0;
    d.has_residual = i % 3 == 0;
    d.activation = static_cast<Activation>(i % 5);
    if (d.activation == Activation::leaky_relu) d.activation_a = 0.5;
    if (d.activation == Activation::clamp) d.activation_a = -6, d.activation_b = 6;
    if (i % 4 == 1) d.output_dtype = DType::f32;
    if (i % 5 == 4 && d.dtype != DType::f32) d.filter_order = FilterOrder::ihwo;
  }
  return all;
}

inline ProblemDesc in_order(ProblemDesc d, FilterOrder order, Layout layout, int64_t groups = 1) {
  d.filter_order = order, d.layout = layout, d.groups = groups;
  return d;
}

/// Filters that are repacked: PyTorch's and ONNX's default order, and IHWO of 32 bits; groups,
/// output padding, both layouts, depths that are split.
inline std::vector<ProblemDesc> repacked_problems() {
  const Axis half = axis(9, 4, 2, 1), padded = axis(7, 3, 2, 1, 1, 1);
  const auto iohw = FilterOrder::iohw, ihwo = FilterOrder::ihwo;
  std::vector<ProblemDesc> all = {
      in_order(problem_of(1, 40, 72, half, axis(11, 4, 2, 1)), iohw, Layout::nchw),
      in_order(problem_of(2, 36, 40, padded, padded, DType::bf16), iohw, Layout::nchw),
      in_order(problem_of(2, 96, 48, axis(8, 4, 2, 1), padded), iohw, Layout::nchw, 3),
      in_order(problem_of(1, 99, 63, padded, axis(7, 4, 2, 1)), iohw, Layout::nhwc, 3),
      in_order(problem_of(1, 328, 24, axis(3, 3, 1, 1), axis(5, 4, 2, 1)), iohw, Layout::nchw),
      in_order(problem_of(1, 72, 40, half, padded, DType::f32), iohw, Layout::nchw),
      in_order(problem_of(1, 72, 40, half, padded, DType::f32), ihwo, Layout::nhwc, 2),
      in_order(problem_of(2, 200, 9, axis(2, 4, 2, 1), axis(3, 4, 2, 1), DType::f32), iohw,
               Layout::nhwc),
      // Stride above the kernel: outputs without a tap, in a launch behind.
      in_order(problem_of(2, 32, 16, axis(5, 2, 3, 0), axis(6, 2, 3, 0)), iohw, Layout::nchw)};
  all[0].has_bias = all[3].has_bias = true;
  all[2].has_residual = true;
  return all;
}

}  // namespace tconv::test
