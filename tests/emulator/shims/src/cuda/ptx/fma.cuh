// SPDX-License-Identifier: Apache-2.0
// fma.cuh, emulated: counted.
#pragma once

#include "tests/emulator/device_side.h"

namespace tconv::cuda::ptx {

inline float fma_rn(float a, float b, float sum) { return emulator::multiply_add(a, b, sum); }
inline double fma_rn(double a, double b, double sum) { return emulator::multiply_add(a, b, sum); }

}  // namespace tconv::cuda::ptx
