// SPDX-License-Identifier: Apache-2.0
// igemm_sm80/instances.cuh: which instances of the kernel of row.cu are compiled: all that a plan
// can ask for. (Tests that compile the kernel again and again have a file of their own in its
// place.)
#pragma once

#include <type_traits>

#include "src/cuda/igemm_sm80/multiply.cuh"
#include "src/cuda/igemm_sm80/plan.h"

namespace tconv::cuda::igemm {

template <typename T, host::FilterOrder kOrder>
constexpr bool has_instance(int tile, bool wide) {
  if (std::is_same_v<T, Tf32x3>) return has_room_for_3xtf32(host::kIgemmTiles[tile]);
  return kOrder == host::FilterOrder::hwoi || wide || takes_unaligned_ihwo(host::kIgemmTiles[tile]);
}

}  // namespace tconv::cuda::igemm
