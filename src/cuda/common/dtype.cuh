// SPDX-License-Identifier: Apache-2.0
// dtype.cuh: the element types on a GPU. Storage is the host's (Half and BFloat16 are their bits);
// widening is exact, rounding is to nearest even, each in one hardware instruction.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "src/host/problem/dtype.h"

namespace tconv::cuda {

using host::BFloat16;
using host::DType;
using host::Half;

/// What values of type T are summed in.
template <typename T>
using SumOf = std::conditional_t<std::is_same_v<T, double>, double, float>;

__device__ inline float value_of(float x) { return x; }
__device__ inline double value_of(double x) { return x; }
__device__ inline float value_of(Half x) { return __half2float(__ushort_as_half(x.bits)); }
__device__ inline float value_of(BFloat16 x) { return __uint_as_float(uint32_t{x.bits} << 16); }

/// Element `i` of an array of `type`, f64 only where Sum is. The branch is the same for all
/// threads.
template <typename Sum>
__device__ inline Sum load_value(DType type, const void* data, int64_t i) {
  if constexpr (std::is_same_v<Sum, double>) {
    if (type == DType::f64) return static_cast<const double*>(data)[i];
  }
  switch (type) {
    case DType::f16: return value_of(static_cast<const Half*>(data)[i]);
    case DType::bf16: return value_of(static_cast<const BFloat16*>(data)[i]);
    default: return static_cast<const float*>(data)[i];
  }
}

/// Rounds `x` once into element `i` of an array of `type`. An f64 is stored as f64 alone.
__device__ inline void store_rounded(DType, void* data, int64_t i, double x) {
  static_cast<double*>(data)[i] = x;
}
__device__ inline void store_rounded(DType type, void* data, int64_t i, float x) {
  switch (type) {
    case DType::f16:
      static_cast<Half*>(data)[i].bits = __half_as_ushort(__float2half_rn(x));
      return;
    case DType::bf16:
      static_cast<BFloat16*>(data)[i].bits = __bfloat16_as_ushort(__float2bfloat16_rn(x));
      return;
    default: static_cast<float*>(data)[i] = x;
  }
}

}  // namespace tconv::cuda
