// SPDX-License-Identifier: Apache-2.0
// test_simd.cpp: every tile of the family `simd` (method and instruction set) against the
// reference, bit for bit on small integers.
#include <gtest/gtest.h>

#include "tests/host/cpu/simd/simd_runs.h"

namespace tconv::test {
namespace {

void check_random(uint64_t seed, const RandomLimits& limits, int problems) {
  std::mt19937_64 random(seed);
  for (int i = 0; i < problems && !::testing::Test::HasFailure(); ++i) {
    check_exact(Problem(random_desc(random, limits)), static_cast<uint64_t>(i));
  }
}

TEST(Simd, EqualsTheReferenceOnSmallIntegers) {
  check_random(20261201, {}, enumeration(20000, 500));
}

// Channels past the blocks of every instruction set, in every type.
TEST(Simd, EqualsTheReferenceOnManyChannels) {
  RandomLimits limits;
  limits.max_channels = 150, limits.max_in = 5, limits.max_kernel = 3;
  check_random(7, limits, enumeration(400, 15));
}

// Rows longer than a strip, a tile and a piece of any loop.
TEST(Simd, EqualsTheReferenceOnLongRows) {
  RandomLimits limits;
  limits.max_in = 70, limits.max_channels = 3, limits.max_batch = 1;
  check_random(9, limits, enumeration(300, 15));
}

// Extents, strides, kernels and dilations far from those of any network.
TEST(Simd, EqualsTheReferenceOnExtremeAxes) {
  std::mt19937_64 random(11);
  RandomLimits limits;
  limits.max_in = 40, limits.max_kernel = 33, limits.max_stride = 37, limits.max_dilation = 19;
  limits.max_channels = 3, limits.max_batch = 1;
  const int problems = enumeration(600, 30);
  for (int i = 0; i < problems && !HasFailure(); ++i) {
    ProblemDesc d = random_desc(random, limits);
    // One axis at a time: the reference visits every tap of every output.
    d.h = random_axis(random, RandomLimits{});
    if (random() % 2 == 0) std::swap(d.h, d.w);
    d.input_strides = d.output_strides = d.residual_strides = {};
    check_exact(Problem(d), static_cast<uint64_t>(i));
  }
}

TEST(Simd, EqualsTheReferenceOnHugeAxes) {
  const Axis small{.in = 2, .kernel = 2, .stride = 1, .dilation = 1, .pad_begin = 1, .out = 2};
  for (const Axis& axis : {
           Axis{.in = 3, .kernel = 3, .stride = 46889, .dilation = 1, .pad_begin = 1, .out = 93781},
           Axis{.in = 3, .kernel = 3, .stride = 1, .dilation = 46889, .pad_begin = 1, .out = 93780},
           Axis{
               .in = 2, .kernel = 5000, .stride = 7, .dilation = 1, .pad_begin = 2500, .out = 2600},
           Axis{.in = 9000, .kernel = 3, .stride = 1, .dilation = 1, .pad_begin = 8990, .out = 40},
           Axis{.in = 40000, .kernel = 4, .stride = 2, .dilation = 3, .pad_begin = 4, .out = 80002},
           Axis{.in = 3, .kernel = 300, .stride = 300, .dilation = 7, .pad_begin = 0, .out = 2694},
           Axis{.in = 5, .kernel = 2, .stride = 600, .dilation = 300, .pad_begin = -9, .out = 2800},
           // As many phases as `columns` keeps, with two taps each; and one more.
           Axis{.in = 9, .kernel = 1024, .stride = 512, .dilation = 1, .pad_begin = 3, .out = 5100},
           Axis{.in = 9, .kernel = 700, .stride = 513, .dilation = 1, .pad_begin = 0, .out = 4804},
       }) {
    for (const int64_t channels : {1, 17}) {
      for (const bool is_width : {false, true}) {
        const ProblemDesc d = is_width ? dense_desc(1, channels, 2, small, axis)
                                       : dense_desc(1, channels, 2, axis, small);
        check_exact(Problem(d), 1);
      }
    }
  }
}

// Many images and many channels of few pixels, one channel to a group: tiles over images, wide
// rows.
TEST(Simd, EqualsTheReferenceOnTheShapesOfNetworks) {
  const Axis one{.in = 1, .kernel = 4, .stride = 1, .dilation = 1, .pad_begin = 0, .out = 4};
  const Axis twice{.in = 9, .kernel = 2, .stride = 2, .dilation = 1, .pad_begin = 0, .out = 18};
  const Axis line{.in = 130, .kernel = 16, .stride = 8, .dilation = 1, .pad_begin = 4, .out = 1040};
  const Axis flat{.in = 1, .kernel = 1, .stride = 1, .dilation = 1, .pad_begin = 0, .out = 1};
  std::vector<ProblemDesc> descs = {
      dense_desc(17, 40, 24, one, one),  dense_desc(2, 33, 70, twice, twice),
      dense_desc(1, 24, 9, flat, line),  dense_desc(3, 12, 3, kUp2, kUp2),
      dense_desc(1, 66, 66, kUp2, kUp2), dense_desc(2, 3, 3, line, flat)};
  descs[4].groups = 66;
  for (ProblemDesc d : descs) {
    for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
      for (const DType type : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
        d.layout = layout;
        d.dtype = d.output_dtype = d.bias_dtype = type;
        d.alignment = 8;
        check_exact(Problem(d), 5);
      }
    }
  }
}

// Windows that do not overlap: their columns become channels, and so do bias, slopes and residual.
TEST(Simd, EqualsTheReferenceWhereWindowsAreFolded) {
  const Axis thrice{.in = 5, .kernel = 3, .stride = 3, .dilation = 1, .pad_begin = 0, .out = 15};
  for (const int64_t channels : {1, 5, 40}) {
    for (const bool has_residual : {false, true}) {
      for (const DType type : {DType::f32, DType::bf16, DType::f64}) {
        ProblemDesc d = dense_desc(2, 6, channels, kUp2, thrice);
        d.dtype = d.output_dtype = d.bias_dtype = type;
        d.alignment = 8;
        d.has_bias = true, d.has_residual = has_residual;
        d.activation = Activation::prelu;
        check_exact(Problem(d), 6);
      }
    }
  }
}

Axis side_by_side(int64_t in, int64_t kernel) {
  return {.in = in,
          .kernel = kernel,
          .stride = kernel,
          .dilation = 1,
          .pad_begin = 0,
          .out = in * kernel};
}

// Rows of the window that end within a vector, at its end, and vectors of several rows.
TEST(Simd, EqualsTheReferenceWhereWindowsDoNotOverlap) {
  uint64_t seed = 0;
  for (const int64_t width : {1, 7, 16, 37, 70}) {
    for (const int64_t kernel : {1, 2, 3, 4, 5}) {
      for (const Layout layout : {Layout::nchw, Layout::nhwc}) {
        for (const DType type : {DType::f32, DType::f16, DType::f64}) {
          ProblemDesc d = dense_desc(2, 3 + kernel, seed % 3 == 0 ? 9 : 1,
                                     side_by_side(5, 1 + static_cast<int64_t>(seed % 2)),
                                     side_by_side(width, kernel));
          d.layout = layout, d.dtype = d.output_dtype = d.bias_dtype = type;
          d.alignment = 8;
          d.has_bias = true, d.has_residual = seed % 5 == 0;
          d.activation = seed % 4 == 0 ? Activation::relu : Activation::identity;
          check_exact(Problem(d), ++seed);
        }
      }
    }
  }
}

// Boxes that are narrower than the image: pixels of a strip lie in rows that do not touch.
TEST(Simd, EqualsTheReferenceOnWideImagesOfFewChannels) {
  Axis wide = kUp2;
  wide.in = 300, wide.out = 600;
  for (const DType type : {DType::f32, DType::f16, DType::f64}) {
    for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
      ProblemDesc d = dense_desc(1, 2, 3, kUp2, wide);
      d.layout = layout, d.dtype = d.output_dtype = type, d.alignment = 8;
      check_exact(Problem(d), 3);
    }
  }
}

// Outputs that are written past the caches: with windows side by side, and overlapping.
TEST(Simd, EqualsTheReferenceOnLargeOutputs) {
  ProblemDesc d = dense_desc(1, 3, 2, side_by_side(512, 2), side_by_side(768, 2));
  d.layout = Layout::nchw;
  check_exact(Problem(d), 1);
  const auto up2 = [](int64_t in) {
    Axis axis = kUp2;
    axis.in = in, axis.out = 2 * in;
    return axis;
  };
  d = dense_desc(1, 1, 1, up2(1024), up2(768));
  check_exact(Problem(d), 2);
}

}  // namespace
}  // namespace tconv::test
