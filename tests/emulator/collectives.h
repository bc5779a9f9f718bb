// SPDX-License-Identifier: Apache-2.0
// collectives.h: how the lanes of a warp come together.
#pragma once

#include <cstdint>
#include <source_location>

namespace tconv::emulator {

/// What the lanes brought; null for lanes that take no part.
struct Lanes {
  uint32_t mask = 0;
  void* operand[32] = {};
};

/// Waits for all lanes of `mask` at the same place; the last one does
/// `act` for all of them. Orders no memory accesses. `name` is for findings; the same `name` and
/// `where` from all lanes, or it is one.
void collective(const char* name, uint32_t mask, void* operand,
                void (*act)(const Lanes&, const std::source_location& where),
                const std::source_location& where);

}  // namespace tconv::emulator
