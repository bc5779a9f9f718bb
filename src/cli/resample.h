// SPDX-License-Identifier: Apache-2.0
// resample.h: enlarging by a whole factor as a transposed convolution.
//
// Pixel p of the enlargement lies at x = (p + 0.5)/scale - 0.5 on the grid of the original (pixel
// centres correspond), and is the sum over pixels i of in[i] * f(x - i). With p = i*scale -
// pad_begin + r that is a transposed convolution of stride `scale` whose tap r is
//     f((r - pad_begin + 0.5 - 0.5*scale) / scale).
#pragma once

#include <vector>

namespace tconv::cli {

enum class KernelShape { cubic, bilinear };

/// The taps of one axis.
struct Resampler {
  std::vector<double> taps;  ///< the smallest filter that covers all weights that are not zero
  int pad_begin = 0;
  int radius = 0;  ///< pixels of the original that f reaches on each side
};

/// cubic: Keys' interpolation with a = -0.5; bilinear: the triangle. The taps of each phase are
/// scaled to sum to 1, so that a flat picture stays as it is.
Resampler make_resampler(KernelShape shape, int scale);

}  // namespace tconv::cli
