// SPDX-License-Identifier: Apache-2.0
// tf32x3.cuh: f32 products from three of TF32's. An operand x becomes
//
//   big = TF32(x),  small = TF32(x - big)      x - big is exact; what is left is below 2^-22 of x
//
// and a product  small*big + big*small + big*big,  smallest first: small*small is left out.
#pragma once

#include "src/cuda/ptx/mma_sm80.cuh"

namespace tconv::cuda {

/// The type of an f32 that is multiplied so.
struct Tf32x3 {
  float value;
};

/// An f32's bits -> big, in place, and small. Infinities and NaN go into `small`, beside a `big` of
/// their sign: inf - inf, inf * 0 and a product of two smalls would else make NaN of infinities.
__device__ inline void split(uint32_t& x, uint32_t& small) {
  constexpr uint32_t kInfinity = 0x7f800000, kSignAndOne = 0xbf800000;
  const float value = __uint_as_float(x);
  const uint32_t big = ptx::cvt_rna_tf32(value);
  const uint32_t rest = ptx::cvt_rna_tf32(value - __uint_as_float(big));
  const bool finite = (big & kInfinity) != kInfinity;
  x = finite ? big : big & kSignAndOne;
  small = finite ? rest : big;
}

}  // namespace tconv::cuda
