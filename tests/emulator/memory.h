// SPDX-License-Identifier: Apache-2.0
// memory.h: the checks of one access: inside a tensor, aligned, not unwritten, not a race.
//
// Races are found with vector clocks: a thread's clock advances at each synchronisation, and a
// barrier lets a thread see the others' clocks. Two accesses of one address, one of them a write,
// are in order if the later thread has seen the clock of the earlier access.
#pragma once

#include <cstring>
#include <source_location>
#include <string>
#include <vector>

#include "tests/emulator/state.h"

namespace tconv::emulator {

/// Reserves the arena; idempotent.
void prepare_memory();
/// Shared memory of a block: unwritten NaN.
void reset_shared(std::size_t bytes);
/// Forgets who touched what: after it, clocks may start again.
void forget_races();

/// What a launch must undo before it is run again.
struct GlobalMemory {
  std::vector<uint8_t> bytes, states;
};
GlobalMemory copy_of_global_memory();
void restore_global_memory(const GlobalMemory& copy);

struct Range {
  void* begin = nullptr;
  std::size_t bytes = 0;
  friend bool operator==(const Range&, const Range&) = default;
};
/// The allocation that `address` is in; empty if in none.
Range allocation_at(uintptr_t address);
/// Whether it was made constant by hand.
bool is_constant(const Range& range);

/// "input+12 of 64 bytes", "shared+8".
std::string name_address(uintptr_t address);

// The slow ends of the checks: they report, and abandon the launch where going on makes no sense.
void bad_state(const Region& region, std::size_t offset, std::size_t bytes, bool write,
               uintptr_t pc);
void outside(uintptr_t address, bool write, uintptr_t pc);
void misaligned(uintptr_t address, std::size_t bytes, uintptr_t pc);
void race(const Region& region, std::size_t offset, uint32_t with, const char* kind, uintptr_t pc);

inline bool in_order(const Region& region, uint32_t epoch) {
  const uint32_t clock = epoch >> kThreadBits, thread = epoch & kThreadMask;
  if (clock < hot.block_start) return region.is_shared || clock < region.ordered_before;
  return thread == hot.thread || clock <= hot.seen[thread];
}

template <bool kWrite>
void check_race(const Region& region, std::size_t offset, std::size_t bytes, uintptr_t pc) {
  const uint32_t mine = hot.epoch;
  RaceCell* const end = region.cells + (offset + bytes - 1) / kBytesPerCell + 1;
  for (RaceCell* cell = region.cells + offset / kBytesPerCell; cell != end; ++cell) {
    if (cell->write != mine && !in_order(region, cell->write)) [[unlikely]] {
      race(region, offset, cell->write, kWrite ? "write after write" : "read after write", pc);
    }
    if constexpr (kWrite) {
      for (const uint32_t read : cell->reads) {
        if (read != mine && !in_order(region, read)) [[unlikely]] {
          race(region, offset, read, "write after read", pc);
        }
      }
      *cell = {mine, {0, 0}};
    } else if (cell->reads[0] != mine) {
      // Two readers are enough to remember: a write races with one of them if with any.
      cell->reads[in_order(region, cell->reads[0]) ? 0 : 1] = mine;
    }
  }
}

/// kBytes copies of a byte.
template <std::size_t kBytes>
constexpr uint64_t repeated(uint8_t byte) {
  uint64_t value = 0;
  for (std::size_t i = 0; i < kBytes; ++i) value = value << 8 | byte;
  return value;
}

template <std::size_t kBytes, bool kWrite>
void check_states(const Region& region, std::size_t offset, uintptr_t pc) {
  constexpr std::size_t kStep = kBytes < 8 ? kBytes : 8;
  for (std::size_t at = 0; at < kBytes; at += kStep) {
    uint64_t states = 0;
    std::memcpy(&states, region.states + offset + at, kStep);
    if constexpr (kWrite) {
      constexpr uint64_t kLooked = repeated<kStep>(kAllocated | kConstant);
      if ((states & kLooked) != repeated<kStep>(kAllocated)) [[unlikely]] {
        bad_state(region, offset, kBytes, true, pc);
      }
      states |= repeated<kStep>(kWritten);
      std::memcpy(region.states + offset + at, &states, kStep);
    } else {
      const uint64_t needed = repeated<kStep>(1) * hot.needed_to_read;
      if ((states & needed) != needed) [[unlikely]] {
        bad_state(region, offset, kBytes, false, pc);
      }
    }
  }
}

/// The region of an address and the offset in it; null for the thread's own stack.
/// Elsewhere: a finding, and the end of the launch.
inline const Region* region_of(uintptr_t address, std::size_t& offset, bool write, uintptr_t pc) {
  if ((offset = address - hot.shared.base) < hot.shared.size) return &hot.shared;
  if ((offset = address - hot.global.base) < hot.global.size) return &hot.global;
  if (address - hot.stack >= hot.stack_bytes) outside(address, write, pc);
  return nullptr;
}

void count_access(const Region& region, std::size_t offset, std::size_t bytes, bool write,
                  uintptr_t pc);

template <std::size_t kBytes, bool kWrite>
inline void access(uintptr_t address, uintptr_t pc) {
  if (!hot.in_kernel) return;
  std::size_t offset = 0;
  const Region* const region = region_of(address, offset, kWrite, pc);
  if (region == nullptr) return;
  ++hot.accesses;
  if ((address & (kBytes - 1)) != 0) [[unlikely]]
    misaligned(address, kBytes, pc);
  check_states<kBytes, kWrite>(*region, offset, pc);
  if (hot.races && (region->states[offset] & kConstant) == 0) {
    check_race<kWrite>(*region, offset, kBytes, pc);
  }
  if (hot.counting) count_access(*region, offset, kBytes, kWrite, pc);
}

/// An access of the running thread by a function of the emulator: what stands at a line of a kernel
/// but is no instruction of the host.
void access_at(const Region& region, std::size_t offset, std::size_t bytes, bool write,
               const std::source_location& where);

/// Any number of bytes, byte by byte: what the compiler's pass calls for copies of structs.
void access_range(uintptr_t address, std::size_t bytes, bool write, uintptr_t pc);

}  // namespace tconv::emulator
