// SPDX-License-Identifier: Apache-2.0
// kernel_table.h: the table of all families that this build has.
#pragma once

#include <span>

#include "src/host/plan/kernel.h"

namespace tconv::host {

/// Preferred first where estimates tie. The last family of each device takes everything.
std::span<const Kernel* const> kernel_table();

}  // namespace tconv::host
