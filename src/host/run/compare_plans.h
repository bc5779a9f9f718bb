// SPDX-License-Identifier: Apache-2.0
// compare_plans.h: do two plans of one problem give the same? Every element is compared, where the
// device keeps it, so that a large result is neither copied nor sampled.
#pragma once

#include <string>

#include "src/host/plan/plan.h"
#include "src/host/plan/tensors.h"
#include "src/host/verify/verify.h"

namespace tconv::host {

struct PlanComparison {
  int64_t total = 0, differ = 0;  ///< elements
  int64_t wrong = 0;              ///< farther apart than two right results can be
  int64_t one_nan = 0;            ///< of the wrong: only one of the two is NaN
  int64_t unbounded = 0;          ///< of those that differ: their sums may overflow on the way
  double worst = 0;               ///< the distance that is the largest in units of what is allowed
  double allowed = 0;             ///< what it may be, there
  Coordinate first{};             ///< in memory order: the first wrong one, else that differs
  double got = 0, other = 0;      ///< there
  std::string reason;             ///< why one may be NaN, as far as the families say it
  bool right() const { return wrong == 0; }
};

/// Two right results are nowhere farther apart, whatever the order of their sums and with the
/// looser of both plans' math: docs/verification.md, "Row against row". `largest_slope` of prelu.
Tolerance tolerance_of(const Problem& problem, double largest_slope, Math math = Math::strict,
                       Math other = Math::strict);

/// Runs both plans, of one problem on one device, on tensors in host memory (tensors.output is
/// neither read nor written) and compares what they wrote; a third run, with the operands'
/// magnitudes, says what is allowed where. Two plans of the same deterministic
/// family and tile (or one plan twice) must give the same values: then nothing is allowed.
PlanComparison compare_host(const Plan& plan, const Plan& other, const Tensors& tensors,
                            const StatedBytes& stated);

/// One sentence: how many differ, are wrong, by how much, where, and what is allowed.
std::string describe(const Problem& problem, const PlanComparison& comparison);

}  // namespace tconv::host
