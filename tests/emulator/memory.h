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
#include <type_traits>
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

/// The states of up to eight bytes at once.
template <std::size_t kBytes>
using States = std::conditional_t<
    kBytes == 1, uint8_t,
    std::conditional_t<kBytes == 2, uint16_t, std::conditional_t<kBytes == 4, uint32_t, uint64_t>>>;

template <typename T>
T states_at(const uint8_t* states) {
  T value = 0;
  std::memcpy(&value, states, sizeof(T));
  return value;
}

/// Whether bytes in these states may be read or written.
template <std::size_t kBytes, bool kWrite>
bool states_allow(const uint8_t* states) {
  using Step = States<kBytes>;
  const auto looked_at =
      static_cast<Step>(kWrite ? eight_times(kAllocated | kConstant) : hot.needed_to_read);
  const auto expected = static_cast<Step>(kWrite ? eight_times(kAllocated) : hot.needed_to_read);
  Step difference = 0;
  for (std::size_t at = 0; at < kBytes; at += sizeof(Step)) {
    difference |= (states_at<Step>(states + at) & looked_at) ^ expected;
  }
  return difference == 0;
}

template <std::size_t kBytes>
void set_written(uint8_t* states) {
  using Step = States<kBytes>;
  for (std::size_t at = 0; at < kBytes; at += sizeof(Step)) {
    const auto written =
        static_cast<Step>(states_at<Step>(states + at) | static_cast<Step>(eight_times(kWritten)));
    std::memcpy(states + at, &written, sizeof(Step));
  }
}

void count_access(const Region& region, std::size_t offset, std::size_t bytes, bool write,
                  uintptr_t pc);

// An access is a chain of calls, each of which is the last thing that the one before does: so none
// saves registers on its way, which would take longer than the checks.

template <std::size_t kBytes, bool kWrite>
[[gnu::noinline]] void watch_and_count(const Region& region, std::size_t offset, bool watched,
                                       uintptr_t pc) {
  if (watched) check_race<kWrite>(region, offset, kBytes, pc);
  count_access(region, offset, kBytes, kWrite, pc);
}

template <std::size_t kBytes, bool kWrite>
inline void note_access(const Region& region, std::size_t offset, uintptr_t pc) {
  if constexpr (kWrite) set_written<kBytes>(region.states + offset);
  const bool watched = hot.races && (region.states[offset] & kConstant) == 0;
  if (hot.counting) return watch_and_count<kBytes, kWrite>(region, offset, watched, pc);
  if (watched) return check_race<kWrite>(region, offset, kBytes, pc);
}

template <std::size_t kBytes, bool kWrite>
[[gnu::noinline, gnu::cold]] void wrong_access(const Region& region, std::size_t offset,
                                               bool allowed, uintptr_t pc) {
  const uintptr_t address = region.base + offset;
  if (address % kBytes != 0) misaligned(address, kBytes, pc);
  if (!allowed) bad_state(region, offset, kBytes, kWrite, pc);
  note_access<kBytes, kWrite>(region, offset, pc);
}

template <std::size_t kBytes, bool kWrite>
inline void access(uintptr_t address, uintptr_t pc) {
  if (!hot.in_kernel) return;
  const Region* region = &hot.shared;
  std::size_t offset = address - hot.shared.base;
  if (offset >= hot.shared.size) {
    region = &hot.global;
    offset = address - hot.global.base;
    if (offset >= hot.global.size) {  // the thread's own stack, or a finding and the launch's end
      if (address - hot.stack >= hot.stack_bytes) outside(address, kWrite, pc);
      return;
    }
  }
  ++hot.accesses;
  const bool allowed = states_allow<kBytes, kWrite>(region->states + offset);
  if (address % kBytes != 0 || !allowed) [[unlikely]] {
    return wrong_access<kBytes, kWrite>(*region, offset, allowed, pc);
  }
  note_access<kBytes, kWrite>(*region, offset, pc);
}

/// An access of the running thread by a function of the emulator: what stands at a line of a kernel
/// but is no instruction of the host.
void access_at(const Region& region, std::size_t offset, std::size_t bytes, bool write,
               const std::source_location& where);

/// Any number of bytes, byte by byte: what the compiler's pass calls for copies of structs.
void access_range(uintptr_t address, std::size_t bytes, bool write, uintptr_t pc);

}  // namespace tconv::emulator
