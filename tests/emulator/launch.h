// SPDX-License-Identifier: Apache-2.0
// launch.h: a launch, run here.
#pragma once

#include "tests/emulator/emulator.h"

namespace tconv::emulator {

/// Runs it whole and appends its report. Throws std::invalid_argument for a kernel that no
/// launch.cuh of the emulator has met. The block is legal: the seam has looked.
const Report& run(const host::Launch& launch, double useful_multiply_adds);

}  // namespace tconv::emulator
