// SPDX-License-Identifier: Apache-2.0
// device_side.cpp: the small functions that emulated CUDA functions call.
#include "tests/emulator/device_side.h"

#include <cmath>

#include "src/host/dtype.h"
#include "tests/emulator/findings.h"
#include "tests/emulator/memory.h"
#include "tests/emulator/requests.h"

namespace tconv::emulator {

unsigned char* dynamic_shared() { return reinterpret_cast<unsigned char*>(hot.shared.base); }

uint32_t shared_address(const void* shared) {
  return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(shared) - hot.shared.base) +
         kSharedWindow;
}

const unsigned char* read_shared(uint32_t address, uint32_t bytes, const Where& where) {
  const uint32_t offset = address - kSharedWindow;
  const PlaceOfFindings place(where);
  if (offset > kMostSharedBytes - bytes) {
    report_at("read out of bounds", where, "the shared address " + std::to_string(address));
    return nullptr;
  }
  if (offset % bytes != 0) misaligned(hot.shared.base + offset, bytes, 0);
  access_at(hot.shared, offset, bytes, false, where);
  return reinterpret_cast<const unsigned char*>(hot.shared.base) + offset;
}

void count_ldmatrix(const uint32_t* addresses, int matrices, const Where& where) {
  if (!hot.counting) return;
  uint32_t offsets[32];
  for (int i = 0; i < 8 * matrices; ++i) offsets[i] = addresses[i] - kSharedWindow;
  count_matrices(offsets, matrices, where);
}

float widen_half(uint16_t bits) { return host::widen(host::Half{bits}); }
uint16_t round_to_half(float x) { return host::round_to<host::Half>(x).bits; }
uint16_t round_to_bfloat16(float x) { return host::round_to<host::BFloat16>(x).bits; }

float multiply_add(float a, float b, float sum) {
  ++hot.multiply_adds;
  return std::fma(a, b, sum);
}
double multiply_add(double a, double b, double sum) {
  ++hot.multiply_adds;
  return std::fma(a, b, sum);
}

void count_multiply_adds(uint64_t count) { hot.multiply_adds += count; }

void report(const char* kind, const char* detail, const Where& where) {
  report_at(kind, where, detail);
}

}  // namespace tconv::emulator
