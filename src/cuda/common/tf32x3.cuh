// SPDX-License-Identifier: Apache-2.0
// tf32x3.cuh: f32 products from three of TF32's. An operand x becomes
//
//   big = TF32(x),  small = TF32(x - big)      x - big is exact; what is left is below 2^-22 of x
//
// and a product  small*big + big*small + big*big,  smallest first: small*small is left out.
#pragma once

#include <cstdint>

namespace tconv::cuda {

/// The type of an f32 that is multiplied so.
struct Tf32x3 {
  float value;
};

/// An f32's bits -> big, in place, and small, both rounded to nearest, ties away from zero, as
/// cvt.rna.tf32 does: that, twice, would look for infinities twice. Infinities, NaNs and what TF32
/// cannot hold go into `small` alone, and `big` is a number of their sign: inf - inf, inf * 0 and a
/// product of two smalls, which is left out, would else make NaN of infinities.
__device__ inline void split(uint32_t& x, uint32_t& small) {
  constexpr uint32_t kTf32Bits = 0xffffe000, kHalfUnit = 0x1000, kSignAndOne = 0xbf800000;
  constexpr float kTooLarge = 0x1.ffep127F;  // would be rounded to infinity
  const float value = __uint_as_float(x);
  const bool fits = fabsf(value) < kTooLarge;
  x = fits ? (x + kHalfUnit) & kTf32Bits : x & kSignAndOne;
  const uint32_t rest = __float_as_uint(value - __uint_as_float(x));
  small = (fits ? rest + kHalfUnit : rest) & kTf32Bits;
}

}  // namespace tconv::cuda
