// SPDX-License-Identifier: Apache-2.0
// warp_requests.cpp: sectors, lines, banks.
#include "tests/emulator/warp_requests.h"

#include <algorithm>
#include <bit>

namespace tconv::emulator {
namespace {

constexpr uint32_t kLanes = 32, kBanks = 32, kBankBytes = 4;

/// Mostly they are in order already.
void sort(uint32_t* values, uint64_t count) {
  if (!std::is_sorted(values, values + count)) std::sort(values, values + count);
}

/// Sorts and drops repetitions; returns how many are left.
uint64_t distinct(uint32_t* values, uint64_t count) {
  sort(values, count);
  return static_cast<uint64_t>(std::unique(values, values + count) - values);
}

uint64_t active(const uint32_t* offsets, uint32_t mask, uint32_t* values) {
  uint64_t count = 0;
  for (; mask != 0; mask &= mask - 1) values[count++] = offsets[std::countr_zero(mask)];
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
  uint32_t values[kLanes];
  const uint64_t count = active(offsets, mask, values);
  if (count == 0) return {.requests = 1};
  sort(values, count);
  Requests result{.requests = 1, .lanes = count, .useful_bytes = bytes, .sectors = 1, .lines = 1};
  for (uint64_t i = 1; i < count; ++i) {
    const uint32_t before = values[i - 1], value = values[i];
    result.useful_bytes += value != before ? bytes : 0;
    result.sectors += value / 32 != before / 32;
    result.lines += value / 128 != before / 128;
  }
  return result;
}

/// The hardware serves 8-byte accesses by half warps and 16-byte accesses by quarters.
Requests shared_request(const uint32_t* offsets, uint32_t mask, uint32_t bytes) {
  Requests result{.requests = 1, .lanes = static_cast<uint64_t>(std::popcount(mask))};
  uint32_t values[kLanes];
  result.useful_bytes = distinct(values, active(offsets, mask, values)) * bytes;
  const uint32_t words = std::max(1U, bytes / kBankBytes), lanes = kLanes / words;
  for (uint32_t first = 0; first < kLanes; first += lanes) {
    const uint64_t cycles = bank_cycles(offsets, mask, first, first + lanes, words);
    result.wavefronts += cycles;
    result.ideal += cycles > 0 ? 1 : 0;
  }
  return result;
}

}  // namespace tconv::emulator
