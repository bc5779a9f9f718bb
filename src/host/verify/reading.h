// SPDX-License-Identifier: Apache-2.0
// reading.h: what a caller who reads the tensors in some way expects at one place.
#pragma once

#include <vector>

#include "src/host/verify/mistakes.h"

namespace tconv::host {

struct Expected {
  ExactElement exact;
  double bound = 0;
};

class Reader {
 public:
  Reader(const Problem& problem, const Tensors& tensors) : problem_(problem), tensors_(tensors) {}

  Expected read(const Reading& reading, const Coordinate& place) const;
  /// Bias and residual there.
  double addends(const Coordinate& at) const;
  /// What the caller's result holds.
  double got(const Coordinate& at) const;
  const Problem& problem() const { return problem_; }

 private:
  double bias_at(const Coordinate& at) const;
  double residual_at(const Coordinate& at) const;

  const Problem& problem_;
  const Tensors& tensors_;
};

/// Half a unit of the last place of `x` in `type`, at most.
double half_unit(DType type, double x);

/// One element of the result, looked at.
struct Probe {
  Coordinate at;
  double got = 0;
  bool wrong = false;
};

/// True if the element may be what is there, an overflow on the way included.
bool fits(const ProblemDesc& d, double got, const Expected& expected);

/// True if the reading gives what is there.
bool matches(const Reading& reading, const Reader& reader, const Probe& probe);

}  // namespace tconv::host
