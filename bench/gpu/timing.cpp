// SPDX-License-Identifier: Apache-2.0
// timing.cpp: see timing.h.
#include "bench/gpu/timing.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace tconv::bench {

Rounds run_rounds(std::span<const Contender> contenders, std::span<const Contender> anchors,
                  const RoundSettings& settings) {
  std::vector<const Contender*> all;
  for (const Contender& contender : contenders) all.push_back(&contender);
  for (const Contender& anchor : anchors) all.push_back(&anchor);
  std::vector<std::vector<double>> us(all.size());
  std::vector<std::size_t> order(all.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937_64 random(settings.seed);
  for (const Contender* each : all) (void)each->sample_us();

  Rounds result;
  std::vector<std::size_t> kept;
  const auto enough = [&] { return static_cast<int>(kept.size()) >= settings.rounds; };
  while (!enough() && result.run < settings.most) {
    std::ranges::shuffle(order, random);
    for (const std::size_t i : order) us[i].push_back(all[i]->sample_us());
    ++result.run;
    // The medians move with every round: which rounds count is decided anew each time.
    if (result.run < settings.rounds) continue;
    const auto first_anchor = us.begin() + static_cast<std::ptrdiff_t>(contenders.size());
    kept.resize(static_cast<std::size_t>(result.run));
    std::iota(kept.begin(), kept.end(), std::size_t{0});
    if (!anchors.empty()) kept = steady_rounds({first_anchor, us.end()}, settings.drift);
  }
  result.steady = enough();
  if (!result.steady) {
    kept.resize(static_cast<std::size_t>(result.run));
    std::iota(kept.begin(), kept.end(), std::size_t{0});
  }
  result.dropped = result.run - static_cast<int>(kept.size());
  for (std::size_t i = 0; i < contenders.size(); ++i) result.us.push_back(select(us[i], kept));
  return result;
}

int64_t launches_per_sample(double us, double least_us, int64_t multiple, int64_t most) {
  const double wanted = std::clamp(std::ceil(least_us / std::max(us, 1e-3)), 1.0,
                                   static_cast<double>(std::max<int64_t>(most, 1)));
  const auto times = static_cast<int64_t>(std::ceil(wanted / static_cast<double>(multiple)));
  return std::max<int64_t>(1, std::min(times, std::max<int64_t>(1, most / multiple))) * multiple;
}

int64_t rotating_sets(int64_t bytes, int64_t l2_bytes, int64_t most) {
  return std::clamp<int64_t>(3 * l2_bytes / std::max<int64_t>(bytes, 1) + 1, 1, most);
}

}  // namespace tconv::bench
