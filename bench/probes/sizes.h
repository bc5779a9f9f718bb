// SPDX-License-Identifier: Apache-2.0
// sizes.h: how much the probes move and how often; tests/probes_on_host has smaller ones.
#pragma once

#include <cstdint>

namespace tconv::probes {

constexpr int kSamples = 9;                        // of which the median counts
constexpr uint32_t kStreamedBytes = 16u << 20;     // by one SM in one launch
constexpr uint32_t kPhaseSize = 128;               // H and W of phase_order's X
constexpr uint32_t kPhaseInputBytes = 128u << 20;  // of X: more than twice any L2
constexpr unsigned kFillBlocks = 1024;

}  // namespace tconv::probes
