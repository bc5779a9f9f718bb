// SPDX-License-Identifier: Apache-2.0
// cuda_fp16.h: the part of CUDA's header that kernels use. Same bits but for NaN.
#pragma once

#include <bit>

#include "src/host/dtype.h"
#include "tests/emulator/device_side.h"

using __half = tconv::host::Half;

inline __half __ushort_as_half(unsigned short bits) { return {bits}; }
inline unsigned short __half_as_ushort(__half x) { return x.bits; }
inline float __half2float(__half x) {
#ifdef __F16C__  // an instruction, else a call
  return std::bit_cast<_Float16>(x.bits);
#else
  return tconv::emulator::widen_half(x.bits);
#endif
}
inline __half __float2half_rn(float x) { return {tconv::emulator::round_to_half(x)}; }
