// SPDX-License-Identifier: Apache-2.0
// gpu.cpp: in a library whose kernels are emulated, the emulator is the GPU that the build has.
#include "src/host/device/gpu.h"

#include "tests/emulator/emulator.h"

namespace tconv::host {

Gpu& built_in_gpu() { return emulator::emulated_gpu(); }

}  // namespace tconv::host
