// SPDX-License-Identifier: Apache-2.0
// igemm_instances.cuh: which instances of the kernel of igemm_sm80.cu are compiled: all that a plan
// can ask for. (Tests that compile the kernel again and again have a file of their own in its
// place.)
#pragma once

#include <type_traits>

#include "src/cuda/igemm_multiply.cuh"
#include "src/host/igemm_plan.h"

namespace tconv::cuda::igemm {

template <typename T, int kTileIndex>
constexpr bool has_instance() {
  return !std::is_same_v<T, Tf32x3> || has_room_for_3xtf32(host::kIgemmTiles[kTileIndex]);
}

}  // namespace tconv::cuda::igemm
