// SPDX-License-Identifier: Apache-2.0
// cuda_fp16.h: the part of CUDA's header that kernels use, in software. Same bits but for NaN.
#pragma once

#include "src/host/problem/dtype.h"

using __half = tconv::host::Half;

inline __half __ushort_as_half(unsigned short bits) { return {bits}; }
inline unsigned short __half_as_ushort(__half x) { return x.bits; }
inline float __half2float(__half x) { return tconv::host::widen(x); }
inline __half __float2half_rn(float x) { return tconv::host::round_to<__half>(x); }
