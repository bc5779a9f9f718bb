// SPDX-License-Identifier: Apache-2.0
// shim.h: CUDA C++ for the host compiler. Force-included in front of an unchanged .cu file; what is
// not here, no kernel may use.
#pragma once

#include <math.h>  // NOLINT(modernize-deprecated-headers): the overloads for float, without std::

#include <algorithm>
#include <bit>
#include <cstdint>
#include <source_location>

#include "tests/emulator/device_side.h"
#include "tests/emulator/uint3.h"

// Every device function is inlined into its kernel: what crosses a real call by value, a struct
// even of two bytes, is not seen by the compiler's pass (tests/emulator/kernel_calls is the gate).
// The entry that patchable_function_entry leaves tells that gate which functions are kernels.
#define __global__ __attribute__((flatten, patchable_function_entry(1, 0)))
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__

// const: the compiler's pass then leaves their reads alone. Each switch of threads writes them.
extern const uint3 threadIdx, blockIdx, blockDim, gridDim;

using std::max;
using std::min;

/// Where a call of a synchronisation function stands.
using Where = std::source_location;

inline void __syncthreads(Where where = Where::current()) {
  tconv::emulator::resume(tconv::emulator::sync_block(where));
}
inline void __syncwarp(unsigned mask = ~0U, Where where = Where::current()) {
  tconv::emulator::resume(tconv::emulator::sync_warp(mask, where));
}

inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
/// Byte i of the result is byte `selector >> 4*i & 7` of y:x.
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const uint64_t bytes = uint64_t{y} << 32 | x;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i) {
    result |= static_cast<unsigned>(bytes >> 8 * (selector >> 4 * i & 7) & 0xff) << 8 * i;
  }
  return result;
}
