// SPDX-License-Identifier: Apache-2.0
// verify.h: any result against the reference, whole or as a stratified sample, within a derived
// bound.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "src/host/plan/options.h"
#include "src/host/plan/tensors.h"
#include "src/host/problem/problem.h"
#include "src/host/verify/error_bound.h"

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
  int64_t overflowed = 0;    ///< right, because their sums may overflow in some order
  int64_t zero_padded = 0;   ///< mismatches that zeros beyond the border explain: see verify.cpp
  int64_t n = 0, p = 0, q = 0, k = 0;  ///< the first mismatch in memory order, else the worst
  double expected = 0, got = 0, bound = 0;
  bool right() const { return mismatches == 0; }
};

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
