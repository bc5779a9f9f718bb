// SPDX-License-Identifier: Apache-2.0
// cuda_on_host.h: what a kernel without barriers and shared memory needs of CUDA, for the host
// compiler. A launch is a loop that sets blockIdx and threadIdx and calls the kernel as a function.
#pragma once

#include <math.h>  // NOLINT(modernize-deprecated-headers): the overloads for float, without std::

#include <bit>
#include <cstdint>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct ThreadCoordinates {
  unsigned x = 0, y = 0, z = 0;
};
inline thread_local ThreadCoordinates blockIdx, threadIdx;

inline float __fmaf_rn(float a, float b, float sum) { return fmaf(a, b, sum); }
inline double __fma_rn(double a, double b, double sum) { return fma(a, b, sum); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
