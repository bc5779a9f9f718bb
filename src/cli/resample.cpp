// SPDX-License-Identifier: Apache-2.0
// resample.cpp: see resample.h.
#include "src/cli/resample.h"

#include <cmath>

namespace tconv::cli {
namespace {

double keys_cubic(double x) {
  constexpr double a = -0.5;
  x = std::fabs(x);
  if (x >= 2) return 0;
  if (x >= 1) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return ((a + 2) * x - (a + 3)) * x * x + 1;
}

double triangle(double x) { return std::fmax(0, 1 - std::fabs(x)); }

/// The sum of the taps that are `scale` apart is 1 for a kernel that interpolates; rounding aside.
void normalise(std::vector<double>& taps, int scale) {
  const auto step = static_cast<std::size_t>(scale);
  for (std::size_t phase = 0; phase < step && phase < taps.size(); ++phase) {
    double sum = 0;
    for (std::size_t r = phase; r < taps.size(); r += step) sum += taps[r];
    for (std::size_t r = phase; r < taps.size(); r += step) taps[r] /= sum;
  }
}

}  // namespace

Resampler make_resampler(KernelShape shape, int scale) {
  Resampler result;
  result.radius = shape == KernelShape::cubic ? 2 : 1;
  const auto weight = [&](int offset) {  // offset = r - pad_begin
    const double x = (offset + 0.5 - 0.5 * scale) / scale;
    return shape == KernelShape::cubic ? keys_cubic(x) : triangle(x);
  };
  const auto zero = [&](int offset) { return std::fabs(weight(offset)) < 1e-12; };
  int first = -(result.radius + 1) * scale, last = (result.radius + 1) * scale;
  while (zero(first)) ++first;
  while (zero(last)) --last;
  for (int offset = first; offset <= last; ++offset) result.taps.push_back(weight(offset));
  result.pad_begin = -first;
  normalise(result.taps, scale);
  return result;
}

}  // namespace tconv::cli
