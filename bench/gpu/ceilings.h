// SPDX-License-Identifier: Apache-2.0
// ceilings.h: what the machine can do at best, measured: a copy of 1 GiB, large matrix products;
// and the fixed work that tells whether it drifts.
#pragma once

#include <memory>
#include <vector>

#include "bench/gpu/cublas.h"
#include "bench/gpu/launcher.h"
#include "bench/gpu/measure.h"
#include "bench/gpu/result_lines.h"
#include "bench/gpu/timing.h"

namespace tconv::bench {

/// A fixed matrix product (by the row `gather` where cuBLAS is missing) and a fixed copy.
class Anchors {
 public:
  Anchors(Launcher& launcher, const Cublas& cublas);
  ~Anchors();
  std::vector<Contender> contenders() const;

 private:
  struct Work;
  std::unique_ptr<Work> work_;
};

/// Appends what is missing: a line of kind `ceiling` for each, of kind `mismatch` for a wrong
/// product.
void measure_ceilings(Launcher& launcher, const Cublas& cublas, const Compare& compare,
                      ResultLines& results);

/// From the lines that are there.
Ceilings read_ceilings(const ResultLines& results);

}  // namespace tconv::bench
