// SPDX-License-Identifier: Apache-2.0
// device_side.cpp: the small functions that emulated CUDA functions call.
#include "tests/emulator/device_side.h"

#include <cmath>

#include "src/host/problem/dtype.h"
#include "tests/emulator/findings.h"
#include "tests/emulator/memory.h"
#include "tests/emulator/requests.h"

namespace tconv::emulator {

unsigned char* dynamic_shared() { return reinterpret_cast<unsigned char*>(hot.shared.base); }

uint32_t shared_address(const void* shared) {
  return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(shared) - hot.shared.base) +
         kSharedWindow;
}

float widen_half(uint16_t bits) { return host::widen(host::Half{bits}); }
uint16_t round_to_half(float x) { return host::round_to<host::Half>(x).bits; }
uint16_t round_to_bfloat16(float x) { return host::round_to<host::BFloat16>(x).bits; }

#ifdef __x86_64__  // One instruction where there is one, else libm's function.
#define TCONV_WITH_FMA [[gnu::target_clones("fma", "default")]]
#else
#define TCONV_WITH_FMA
#endif

TCONV_WITH_FMA float multiply_add(float a, float b, float sum) {
  ++hot.multiply_adds;
  return std::fma(a, b, sum);
}
TCONV_WITH_FMA double multiply_add(double a, double b, double sum) {
  ++hot.multiply_adds;
  return std::fma(a, b, sum);
}

}  // namespace tconv::emulator
