// SPDX-License-Identifier: Apache-2.0
// sizes.h: sizes of the probes that the model runs in a second or two.
#pragma once

#include <cstdint>

namespace tconv::probes {

constexpr int kSamples = 1;
constexpr uint32_t kStreamedBytes = 192u << 10;
constexpr uint32_t kPhaseSize = 8;
constexpr uint32_t kPhaseInputBytes = 8u << 10;
constexpr unsigned kFillBlocks = 1;

}  // namespace tconv::probes
