// SPDX-License-Identifier: Apache-2.0
// compare_plans.h: do two plans of one problem give the same? Every element is compared, where the
// device keeps it, so that a large result is neither copied nor sampled.
#pragma once

#include "src/host/plan/plan.h"
#include "src/host/verify/verify.h"

namespace tconv::host {

struct Agreement {
  int64_t total = 0, differ = 0;  ///< elements
  double worst = 0;               ///< the largest distance of two elements
  double allowed = 0;             ///< what it may be; infinite where nothing bounds it
  Coordinate first{};             ///< the first that differs, in memory order
  double got = 0, other = 0;      ///< there
  bool right() const { return worst <= allowed; }
};

/// The largest magnitude in each tensor; infinite where there is a NaN.
struct Magnitudes {
  double input = 0, filters = 0, bias = 0, slopes = 0, residual = 0;
};

/// Two right results for operands of these magnitudes are nowhere farther apart, whatever the order
/// of their sums and with the looser of both plans' math: docs/verification.md, "Row against row".
double allowed_distance(const Problem& problem, const Magnitudes& largest, Math math = Math::strict,
                        Math other = Math::strict);

/// Runs both plans, of one problem on one device, on tensors in host memory (tensors.output is
/// neither read nor written) and compares what they wrote. Two plans of the same deterministic row
/// and tile (or one plan twice) must give the same values: then nothing is allowed.
Agreement compare_host(const Plan& plan, const Plan& other, const Tensors& tensors,
                       const StatedBytes& stated);

/// One sentence: how many differ, by how much, where, and what is allowed.
std::string describe(const Problem& problem, const Agreement& agreement);

}  // namespace tconv::host
