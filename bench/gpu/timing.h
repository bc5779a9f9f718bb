// SPDX-License-Identifier: Apache-2.0
// timing.h: the core of every timed comparison: rounds of (each contender, each anchor) in random
// order; a round in which an anchor is off its median does not count; more rounds are run until
// enough do.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "bench/gpu/statistics.h"

namespace tconv::bench {

/// Something that is timed.
struct Contender {
  std::string name;
  /// One sample: the microseconds of one launch, as the mean over many, at least 200 us in all.
  std::function<double()> sample_us;
};

struct RoundSettings {
  int rounds = 9;       ///< that must count
  int most = 27;        ///< that are run at most
  double drift = 0.03;  ///< of an anchor from its median
  uint64_t seed = 1;    ///< of the order within the rounds
};

/// What the rounds came to.
struct Rounds {
  std::vector<std::vector<double>> us;  ///< [contender][round that counts]
  int run = 0, dropped = 0;
  /// False if fewer rounds counted than were wanted: then all rounds are kept, and the result must
  /// be called unsteady.
  bool steady = true;
};

/// Without anchors every round counts. Contenders and anchors are warmed up by one sample each.
Rounds run_rounds(std::span<const Contender> contenders, std::span<const Contender> anchors,
                  const RoundSettings& settings);

/// How many launches make a sample of at least `least_us`, if one takes `us`: a multiple of
/// `multiple`, from 1 to `most` (rounded to the multiple, at least one of it).
int64_t launches_per_sample(double us, double least_us, int64_t multiple, int64_t most);

/// How many sets of buffers of `bytes` each have a footprint of more than three times `l2_bytes`,
/// from 1 to `most`.
int64_t rotating_sets(int64_t bytes, int64_t l2_bytes, int64_t most);

}  // namespace tconv::bench
