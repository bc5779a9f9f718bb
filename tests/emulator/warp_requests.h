// SPDX-License-Identifier: Apache-2.0
// warp_requests.h: what one request of a warp costs the memory system. Pure functions.
#pragma once

#include <cstdint>

#include "tests/emulator/emulator.h"

namespace tconv::emulator {

/// `bytes` (1, 2, 4, 8, 16) at the offset of each lane in `mask`, aligned to them.
Requests global_request(const uint32_t* offsets, uint32_t mask, uint32_t bytes);
Requests shared_request(const uint32_t* offsets, uint32_t mask, uint32_t bytes);

}  // namespace tconv::emulator
