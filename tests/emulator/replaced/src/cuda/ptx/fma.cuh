// SPDX-License-Identifier: Apache-2.0
// fma.cuh, emulated: counted.
#pragma once

#include <cmath>

#include "tests/emulator/device_side.h"

namespace tconv::cuda::ptx {

inline float fma_rn(float a, float b, float sum) {
  emulator::count_multiply_adds(1);
  return std::fma(a, b, sum);
}
inline double fma_rn(double a, double b, double sum) {
  emulator::count_multiply_adds(1);
  return std::fma(a, b, sum);
}

}  // namespace tconv::cuda::ptx
