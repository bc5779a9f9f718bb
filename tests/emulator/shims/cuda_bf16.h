// SPDX-License-Identifier: Apache-2.0
// cuda_bf16.h: the part of CUDA's header that kernels use. Same bits but for NaN.
#pragma once

#include "src/host/problem/dtype.h"
#include "tests/emulator/device_side.h"

using __nv_bfloat16 = tconv::host::BFloat16;

inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 x) { return x.bits; }
inline __nv_bfloat16 __float2bfloat16_rn(float x) {
  return {tconv::emulator::round_to_bfloat16(x)};
}
