// SPDX-License-Identifier: Apache-2.0
// instances.cuh, in the place of src/cuda/igemm_sm80/instances.cuh: few instances, which compile
// in seconds, for mutations. A tile with one slot and one with four; TF32 and three products of it,
// which have paths of their own.
#pragma once

#include <type_traits>

#include "src/cuda/igemm_sm80/multiply.cuh"
#include "src/cuda/igemm_sm80/plan.h"

namespace tconv::cuda::igemm {

template <typename T, host::FilterOrder kOrder>
constexpr bool has_instance(int tile, bool wide) {
  static_assert(host::kIgemmTiles[1].slots == 1 && host::kIgemmTiles[4].slots == 4);
  if (kOrder == host::FilterOrder::ihwo) return tile == 1 && wide;
  if (std::is_same_v<T, Half>) return tile == 1 || (tile == 4 && !wide);
  return tile == 1 && !wide;
}

}  // namespace tconv::cuda::igemm
