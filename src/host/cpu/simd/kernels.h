// SPDX-License-Identifier: Apache-2.0
// kernels.h: what kernels.cpp gives, once for each instruction set.
#pragma once

#include <cstddef>
#include <span>

#include "src/host/cpu/simd/plan.h"
#include "src/host/plan/tensors.h"

namespace tconv::host::simd {

/// One run: what all tasks share.
struct Job {
  const State& state;
  const Tensors& tensors;
  const void* packed;
  const void* bias;    ///< in the type of the sums and the order of packed channels; never null
  const void* slopes;  ///< by channel, in the type of the sums
};

struct Target {
  const char* name;
  int64_t f32_lanes, f64_lanes;
  int64_t registers;    ///< of vectors
  int64_t column_rows;  ///< columns of a tile of the method `columns`
  /// Computes one task. `room` is the calling thread's own, state.room_bytes.
  void (*run)(const Job& job, int64_t task, std::byte* room);
};

/// Best first; those that this processor has not are null, the last one never is.
std::span<const Target* const> targets();
inline const Target* best_target() {
  for (const Target* target : targets()) {
    if (target != nullptr) return target;
  }
  return nullptr;
}

}  // namespace tconv::host::simd
