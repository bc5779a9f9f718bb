// SPDX-License-Identifier: Apache-2.0
// warp_requests.cpp: sectors, lines, banks.
#include "tests/emulator/warp_requests.h"

#include <algorithm>
#include <bit>

namespace tconv::emulator {
namespace {

constexpr uint32_t kLanes = 32, kBanks = 32, kBankBytes = 4;

/// Sorts and drops repetitions; returns how many are left. Mostly they are in order already.
uint64_t distinct(uint32_t* values, uint64_t count) {
  if (!std::is_sorted(values, values + count)) std::sort(values, values + count);
  return static_cast<uint64_t>(std::unique(values, values + count) - values);
}

uint64_t active(const uint32_t* offsets, uint32_t mask, uint32_t divisor, uint32_t* values) {
  uint64_t count = 0;
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    if ((mask >> lane & 1) != 0) values[count++] = offsets[lane] / divisor;
  }
  return count;
}

/// Cycles of lanes that are served together: the most different words of any bank.
uint64_t bank_cycles(const uint32_t* offsets, uint32_t mask, uint32_t first, uint32_t end,
                     uint32_t words) {
  uint32_t accessed[kLanes * 4];
  uint64_t count = 0;
  for (uint32_t lane = first; lane < end; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    for (uint32_t word = 0; word < words; ++word) {
      accessed[count++] = offsets[lane] / kBankBytes + word;
    }
  }
  count = distinct(accessed, count);
  uint64_t of_bank[kBanks] = {};
  for (uint64_t i = 0; i < count; ++i) ++of_bank[accessed[i] % kBanks];
  return *std::max_element(of_bank, of_bank + kBanks);
}

}  // namespace

Requests global_request(const uint32_t* offsets, uint32_t mask, uint32_t bytes) {
  Requests result{.requests = 1, .lanes = static_cast<uint64_t>(std::popcount(mask))};
  uint32_t values[kLanes];
  const auto count_of = [&](uint32_t divisor) {
    return distinct(values, active(offsets, mask, divisor, values));
  };
  result.useful_bytes = count_of(1) * bytes;
  result.sectors = count_of(32);
  result.lines = count_of(128);
  return result;
}

/// The hardware serves 8-byte accesses by half warps and 16-byte accesses by quarters.
Requests shared_request(const uint32_t* offsets, uint32_t mask, uint32_t bytes) {
  Requests result{.requests = 1, .lanes = static_cast<uint64_t>(std::popcount(mask))};
  uint32_t values[kLanes];
  result.useful_bytes = distinct(values, active(offsets, mask, 1, values)) * bytes;
  const uint32_t words = std::max(1U, bytes / kBankBytes), lanes = kLanes / words;
  for (uint32_t first = 0; first < kLanes; first += lanes) {
    const uint64_t cycles = bank_cycles(offsets, mask, first, first + lanes, words);
    result.wavefronts += cycles;
    result.ideal += cycles > 0 ? 1 : 0;
  }
  return result;
}

}  // namespace tconv::emulator
