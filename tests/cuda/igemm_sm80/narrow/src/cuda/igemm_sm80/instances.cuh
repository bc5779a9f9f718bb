// SPDX-License-Identifier: Apache-2.0
// instances.cuh, in the place of src/cuda/igemm_sm80/instances.cuh: few instances, which compile
// in seconds, for mutations. A tile with one sub-GEMM and one with four; TF32 and three products of
// it, which have paths of their own.
#pragma once

#include <type_traits>

#include "src/cuda/igemm_sm80/multiply.cuh"
#include "src/cuda/igemm_sm80/params.h"

namespace tconv::cuda::igemm {

template <typename T, host::FilterOrder kOrder>
constexpr bool has_instance(int tile, bool vec16) {
  static_assert(host::igemm::kTiles[1].sub_gemms == 1 && host::igemm::kTiles[4].sub_gemms == 4);
  if (kOrder == host::FilterOrder::ihwo) return tile == 1 && vec16;
  if (std::is_same_v<T, Half>) return tile == 1 || (tile == 4 && !vec16);
  return tile == 1 && !vec16;
}

}  // namespace tconv::cuda::igemm
