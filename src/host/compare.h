// SPDX-License-Identifier: Apache-2.0
// compare.h: two buffers in device memory against each other, there: what one row wrote against
// what another did, without copying either. Defined in src/cuda/compare.cu.
#pragma once

#include <cstdint>

#include "dtype.h"
#include "gpu.h"

namespace tconv::host {

struct CompareResult {
  int64_t differ = 0;  ///< elements of different value; NaN is NaN's equal, -0 is 0's
  double worst = 0;    ///< the largest distance of two values; infinite where one alone is NaN
  int64_t first = -1;  ///< index of the first that differs; -1: none
};

/// Compares `count` elements of `type`. Allocates its own workspace and waits for the result.
CompareResult compare_buffers(const void* a, const void* b, DType type, int64_t count,
                              Stream stream);

}  // namespace tconv::host
