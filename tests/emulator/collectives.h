// SPDX-License-Identifier: Apache-2.0
// collectives.h: how the lanes of a warp come together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>

#include "tests/emulator/device_side.h"

namespace tconv::emulator {

/// What the lanes brought; null for lanes that take no part.
struct Lanes {
  uint32_t mask = 0;
  void* operand[32] = {};
};

/// Where the running thread puts what it brings, before it comes to a collective instruction. It
/// stays there until the thread goes on.
inline constexpr std::size_t kOperandBytes = 64;
void* my_operand();
template <typename T>
T& bring(const T& operand) {
  static_assert(sizeof(T) <= kOperandBytes && std::is_trivially_copyable_v<T>);
  return *new (my_operand()) T(operand);
}

/// Waits for all lanes of `mask` at the same place; the last one does `act` for all of them. Orders
/// no memory accesses. `name` is for findings; the same `name` and `where` from all lanes, or it is
/// one. A Departure is the caller's last act (device_side.h).
Departure collective(const char* name, uint32_t mask, void (*act)(const Lanes&, const Where& where),
                     Where where);

}  // namespace tconv::emulator
