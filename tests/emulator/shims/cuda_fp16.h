// SPDX-License-Identifier: Apache-2.0
// cuda_fp16.h: the part of CUDA's header that kernels use. Same bits but for NaN.
#pragma once

#include "src/host/problem/dtype.h"
#include "tests/emulator/device_side.h"

using __half = tconv::host::Half;

inline __half __ushort_as_half(unsigned short bits) { return {bits}; }
inline unsigned short __half_as_ushort(__half x) { return x.bits; }
inline float __half2float(__half x) {
#ifdef __F16C__  // What immintrin.h, a large file, would call _cvtsh_ss(); else a call.
  using Halves = short __attribute__((vector_size(16)));
  return __builtin_ia32_vcvtph2ps(Halves{static_cast<short>(x.bits)})[0];
#else
  return tconv::emulator::widen_half(x.bits);
#endif
}
inline __half __float2half_rn(float x) { return {tconv::emulator::round_to_half(x)}; }
