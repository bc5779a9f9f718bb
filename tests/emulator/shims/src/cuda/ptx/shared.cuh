// SPDX-License-Identifier: Apache-2.0
// shared.cuh, emulated.
#pragma once

#include "tests/emulator/device_side.h"

namespace tconv::cuda::ptx {

inline unsigned char* dynamic_shared() { return emulator::dynamic_shared(); }
inline uint32_t shared_address(const void* shared) { return emulator::shared_address(shared); }

}  // namespace tconv::cuda::ptx
