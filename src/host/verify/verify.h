// SPDX-License-Identifier: Apache-2.0
// verify.h: any result against the reference, whole or as a stratified sample, within a derived
// bound.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "src/host/cpu/reference.h"
#include "src/host/plan/options.h"
#include "src/host/plan/tensors.h"
#include "src/host/problem/problem.h"

namespace tconv::host {

enum class VerifyScope : int32_t { automatic, whole, sample };

struct VerifyOptions {
  VerifyScope scope = VerifyScope::automatic;
  int threads = 0;  ///< 0: one per core
  CallersThreads callers_threads = {};
  uint64_t seed = 0;
  Math math = Math::strict;  ///< what the multiply-adds of f32 may have been made of
  std::function<void(double done)> progress = {};  ///< share done; from the calling thread
};

struct VerifyReport {
  bool whole = false;
  int64_t checked = 0, total = 0, mismatches = 0;
  double largest_bound = 0;  ///< of any element checked
  double worst_ratio = 0;    ///< largest |got - expected| in units of what is allowed there
  int64_t n = 0, p = 0, q = 0, k = 0;  ///< the first mismatch in memory order, else the worst
  double expected = 0, got = 0, bound = 0;
  bool right() const { return mismatches == 0; }
};

/// Bound on |computed - exact| before the rounding to the output's type, for any order of summation
/// and for units that truncate while they add. `math` is of f32 problems. Derivation:
/// docs/verification.md.
double error_bound(const ProblemDesc& desc, const ExactElement& element, Math math = Math::strict);
inline double error_bound(const Problem& problem, const ExactElement& element,
                          Math math = Math::strict) {
  return error_bound(problem.desc(), element, math);
}

/// True if `got` (already in the output's type) can be a rounding of exact.value +- bound.
bool acceptable(DType output, double got, const ExactElement& exact, double bound);

/// Output coordinates worth checking: every phase (or every window class where the phases are
/// many), every border and corner, block edges, random interior. Sorted, unique, at most `limit`.
struct Coordinate {
  int64_t n, p, q, k;
};
std::vector<Coordinate> stratified_sample(const Problem& problem, uint64_t seed, int64_t limit);

/// Compares tensors.output (host memory) with the reference.
VerifyReport verify(const Problem& problem, const Tensors& tensors, const VerifyOptions& options);

/// One paragraph: coordinates, expected, got, bound, how many differ.
std::string describe_mismatch(const Problem& problem, const VerifyReport& report);

}  // namespace tconv::host
