// SPDX-License-Identifier: Apache-2.0
// error_bound.h: how far a right result may be from the exact one, and what overflow makes of it.
#pragma once

#include "src/host/cpu/reference.h"
#include "src/host/plan/options.h"
#include "src/host/problem/problem.h"

namespace tconv::host {

/// Bound on |computed - exact| before the rounding to the output's type, for any order of summation
/// and for units that truncate while they add, where no sum overflows on the way. `math` is of f32
/// problems. Derivation: docs/verification.md.
double error_bound(const ProblemDesc& desc, const ExactElement& element, Math math = Math::strict);
inline double error_bound(const Problem& problem, const ExactElement& element,
                          Math math = Math::strict) {
  return error_bound(problem.desc(), element, math);
}

/// True if `got` (already in the output's type) can be a rounding of exact.value +- bound.
bool acceptable(DType output, double got, const ExactElement& exact, double bound);

/// Whether some order of the sum, of finite operands alone, reaches an end of the type that is
/// summed in.
struct Overflow {
  bool up = false, down = false;
};
Overflow overflow_of(const ProblemDesc& desc, const ExactElement& element,
                     Math math = Math::strict);

/// True if `got` is what a sum gives that overflowed on the way: an infinity, or NaN (inf - inf)
/// where both ends can be reached; through the activation.
bool explained_by_overflow(const ProblemDesc& desc, double got, const ExactElement& exact,
                           Math math = Math::strict);

}  // namespace tconv::host
