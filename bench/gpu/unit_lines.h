// SPDX-License-Identifier: Apache-2.0
// unit_lines.h: the results of one unit as lines: what was timed, with its ratio to gather and its
// share of the roofline, what was not and why, and what cuDNN proposed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/gpu/check.h"
#include "bench/gpu/measure.h"
#include "bench/gpu/result_lines.h"
#include "bench/gpu/timed_plan.h"
#include "bench/gpu/timing.h"

namespace tconv::bench {

/// A row's plan on the way to its results.
struct Entry {
  /// Runs that are longer than this are timed apart, a few times: they would stretch every round.
  static constexpr double kSlowUs = 50e3;

  std::string row;
  host::Proposal proposal;  ///< of gather: empty but for the tile
  std::optional<TimedPlan> timed;
  Verdict verdict;
  bool no_bound = false;
  bool slow() const { return timed->first_us() > kSlowUs; }
};

class UnitLines {
 public:
  UnitLines(const Machine& machine, const Unit& unit, ResultLines& results);

  /// Whether the entry has all its lines already.
  bool has(const Entry& entry) const;
  void not_timed(const Entry& entry, const char* status, const std::string& reason);
  /// The entry's samples are those of contender `i`; of gather's in the same rounds there may be
  /// none.
  void append_timed(const Entry& entry, const RotatingBuffers& buffers, bool cold,
                    const Rounds& rounds, std::size_t i, const std::vector<double>& gather_us);
  /// What the heuristics propose, with what is not timed and why.
  void append_proposals(const std::vector<host::Proposal>& all);

 private:
  std::string id_of(const Entry& entry) const;
  Json line(const Entry& entry, const char* status) const;

  const Machine& machine_;
  const Unit& unit_;
  const Layer& layer_;
  const host::Problem& problem_;
  ResultLines& results_;
};

}  // namespace tconv::bench
