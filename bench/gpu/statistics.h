// SPDX-License-Identifier: Apache-2.0
// statistics.h: what becomes of the samples of rounds: medians, intervals, which rounds drifted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tconv::bench {

/// Of at least one value; of an even number the mean of the middle two.
double median(std::vector<double> values);

struct Interval {
  double low = 0, high = 0;
  bool excludes(double value) const { return value < low || value > high; }
};

/// 95 % bootstrap interval of median(values): the percentiles of medians of resamples. The same
/// values and seed give the same interval.
Interval bootstrap_median(const std::vector<double>& values, uint64_t seed);
/// 95 % bootstrap interval of median(numerator) / median(denominator), whose i-th values are of one
/// round: rounds are resampled whole, so that what slowed both cancels.
Interval bootstrap_ratio(const std::vector<double>& numerator,
                         const std::vector<double>& denominator, uint64_t seed);

/// The rounds in which no anchor is off its own median by more than `tolerance` (0.03: 3 %), in
/// order. anchors[a][round].
std::vector<std::size_t> steady_rounds(const std::vector<std::vector<double>>& anchors,
                                       double tolerance);

/// values[i] for each i of `chosen`.
std::vector<double> select(const std::vector<double>& values,
                           const std::vector<std::size_t>& chosen);

/// exp of the mean of the logarithms; 0 of nothing.
double geometric_mean(const std::vector<double>& values);

}  // namespace tconv::bench
