// SPDX-License-Identifier: Apache-2.0
// warp.cuh, emulated: the lanes of the mask must come together; a lane that reads one outside the
// mask is a finding.
#pragma once

#include <bit>
#include <type_traits>

#include "tests/emulator/device_side.h"

namespace tconv::cuda::ptx {

using emulator::Where;

constexpr uint32_t kAllLanes = 0xffffffff;

template <typename T>
inline T exchanged(emulator::Shuffle mode, uint32_t mask, T value, uint32_t operand, int width,
                   const Where& where) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  const uint64_t got =
      emulator::shuffle(mode, mask, std::bit_cast<Bits>(value), operand, width, where);
  return std::bit_cast<T>(static_cast<Bits>(got));
}

template <typename T>
inline T shfl(uint32_t mask, T value, int lane, int width = 32, Where where = Where::current()) {
  return exchanged(emulator::Shuffle::idx, mask, value, static_cast<uint32_t>(lane), width, where);
}
template <typename T>
inline T shfl_up(uint32_t mask, T value, uint32_t distance, int width = 32,
                 Where where = Where::current()) {
  return exchanged(emulator::Shuffle::up, mask, value, distance, width, where);
}
template <typename T>
inline T shfl_down(uint32_t mask, T value, uint32_t distance, int width = 32,
                   Where where = Where::current()) {
  return exchanged(emulator::Shuffle::down, mask, value, distance, width, where);
}
template <typename T>
inline T shfl_xor(uint32_t mask, T value, int bits, int width = 32,
                  Where where = Where::current()) {
  return exchanged(emulator::Shuffle::bfly, mask, value, static_cast<uint32_t>(bits), width, where);
}

inline uint32_t ballot(uint32_t mask, bool predicate, Where where = Where::current()) {
  return emulator::ballot(mask, predicate, where);
}
inline bool any(uint32_t mask, bool predicate, Where where = Where::current()) {
  return emulator::ballot(mask, predicate, where) != 0;
}
inline bool all(uint32_t mask, bool predicate, Where where = Where::current()) {
  return emulator::ballot(mask, predicate, where) == mask;
}

}  // namespace tconv::cuda::ptx
