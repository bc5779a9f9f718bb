// SPDX-License-Identifier: Apache-2.0
// statistics.cpp: see statistics.h.
#include "bench/gpu/statistics.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace tconv::bench {
namespace {

constexpr std::size_t kResamples = 2000;

/// The 2.5th and 97.5th percentile of `statistic` over resamples of `size` indices.
template <typename Statistic>
Interval bootstrap(std::size_t size, uint64_t seed, Statistic&& statistic) {
  std::mt19937_64 random(seed);
  std::vector<std::size_t> indices(size);
  std::vector<double> results(kResamples);
  for (double& result : results) {
    for (std::size_t& index : indices) index = static_cast<std::size_t>(random() % size);
    result = statistic(indices);
  }
  std::ranges::sort(results);
  constexpr std::size_t kTail = kResamples / 40;
  return {results[kTail], results[kResamples - 1 - kTail]};
}

}  // namespace

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

std::vector<double> select(const std::vector<double>& values,
                           const std::vector<std::size_t>& chosen) {
  std::vector<double> selected;
  selected.reserve(chosen.size());
  for (const std::size_t i : chosen) selected.push_back(values[i]);
  return selected;
}

Interval bootstrap_median(const std::vector<double>& values, uint64_t seed) {
  return bootstrap(values.size(), seed,
                   [&](const auto& indices) { return median(select(values, indices)); });
}

Interval bootstrap_ratio(const std::vector<double>& numerator,
                         const std::vector<double>& denominator, uint64_t seed) {
  return bootstrap(numerator.size(), seed, [&](const auto& indices) {
    return median(select(numerator, indices)) / median(select(denominator, indices));
  });
}

std::vector<std::size_t> steady_rounds(const std::vector<std::vector<double>>& anchors,
                                       double tolerance) {
  std::vector<std::size_t> steady;
  if (anchors.empty() || anchors[0].empty()) return steady;
  std::vector<double> medians;
  medians.reserve(anchors.size());
  for (const auto& anchor : anchors) medians.push_back(median(anchor));
  for (std::size_t round = 0; round < anchors[0].size(); ++round) {
    bool drifted = false;
    for (std::size_t a = 0; a < anchors.size(); ++a) {
      drifted = drifted || std::fabs(anchors[a][round] - medians[a]) > tolerance * medians[a];
    }
    if (!drifted) steady.push_back(round);
  }
  return steady;
}

double geometric_mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += std::log(value);
  return values.empty() ? 0 : std::exp(sum / static_cast<double>(values.size()));
}

}  // namespace tconv::bench
