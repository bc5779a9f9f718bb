// SPDX-License-Identifier: Apache-2.0
// memory.cpp: the arena of global memory, shared memory, and what is said of bad accesses.
#include "tests/emulator/memory.h"

#include <sys/mman.h>

#include <map>
#include <new>
#include <stdexcept>

#include "tests/emulator/emulator.h"
#include "tests/emulator/findings.h"

namespace tconv::emulator {
namespace {

constexpr std::size_t kArenaBytes = std::size_t{1} << 32;
constexpr std::size_t kRedZone = 4096, kAlignment = 256;

struct Allocation {
  std::size_t bytes;
  std::string name;
};
std::map<uintptr_t, Allocation> allocations;
std::size_t arena_used = 0;

/// Address space without memory: pages are zeros until they are touched.
template <typename T>
T* reserve(std::size_t count) {
  void* memory = mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<T*>(memory);
}

uint8_t* states_of(const void* memory) {
  return hot.global.states + (reinterpret_cast<uintptr_t>(memory) - hot.global.base);
}

void set_state(const void* memory, std::size_t bytes, ByteState state, bool on) {
  uint8_t* states = states_of(memory);
  for (std::size_t i = 0; i < bytes; ++i) {
    states[i] = static_cast<uint8_t>(on ? states[i] | state : states[i] & ~state);
  }
}

}  // namespace

void prepare_memory() {
  if (hot.global.base != 0) return;
  hot.global.base = reinterpret_cast<uintptr_t>(reserve<uint8_t>(kArenaBytes));
  hot.global.size = kArenaBytes;
  hot.global.states = reserve<uint8_t>(kArenaBytes);
  hot.global.cells = reserve<RaceCell>(kArenaBytes / kBytesPerCell);
  // Page-aligned, so that the address is as aligned as on a GPU.
  hot.shared.base = reinterpret_cast<uintptr_t>(reserve<uint8_t>(kMostSharedBytes));
  hot.shared.size = kMostSharedBytes;
  hot.shared.states = reserve<uint8_t>(kMostSharedBytes + 8);
  hot.shared.cells = reserve<RaceCell>(kMostSharedBytes / kBytesPerCell + 8);
  hot.shared.is_shared = true;
}

void reset_shared(std::size_t bytes) {
  static std::size_t before = 0;
  if (bytes < before) std::memset(hot.shared.states + bytes, 0, before - bytes);
  std::memset(hot.shared.states, kAllocated, bytes);
  std::memset(reinterpret_cast<void*>(hot.shared.base), 0xff, bytes);
  before = bytes;
}

void forget_races() {
  const std::size_t used = arena_used / kBytesPerCell * sizeof(RaceCell) + sizeof(RaceCell);
  std::memset(hot.global.cells, 0, used);
  std::memset(hot.shared.cells, 0, kMostSharedBytes / kBytesPerCell * sizeof(RaceCell));
}

void* allocate(std::size_t bytes, const std::string& name) {
  prepare_memory();
  const std::size_t at = (arena_used + kRedZone + kAlignment - 1) / kAlignment * kAlignment;
  if (bytes > kArenaBytes - kRedZone || at > kArenaBytes - kRedZone - bytes) {
    throw std::bad_alloc();
  }
  arena_used = at + bytes;
  const uintptr_t address = hot.global.base + at;
  allocations[address] = {bytes, name};
  std::memset(hot.global.states + at, kAllocated, bytes);
  std::memset(reinterpret_cast<void*>(address), 0xff, bytes);
  return reinterpret_cast<void*>(address);
}

void release(void* memory) {
  const auto found = allocations.find(reinterpret_cast<uintptr_t>(memory));
  if (found == allocations.end()) throw std::invalid_argument("release: not allocated");
  std::memset(states_of(memory), 0, found->second.bytes);
  allocations.erase(found);
  // Memory is used again from the last allocation on: tests give everything back between problems.
  arena_used = allocations.empty() ? 0
                                   : allocations.rbegin()->first - hot.global.base +
                                         allocations.rbegin()->second.bytes;
}

void set_written(const void* memory, std::size_t bytes, bool written) {
  set_state(memory, bytes, kWritten, written);
}
void set_constant(const void* memory, std::size_t bytes, bool constant) {
  set_state(memory, bytes, kConstant, constant);
}

Range allocation_at(uintptr_t address) {
  auto after = allocations.upper_bound(address);
  if (after == allocations.begin()) return {};
  const auto& [begin, allocation] = *--after;
  if (address - begin >= allocation.bytes) return {};
  return {reinterpret_cast<void*>(begin), allocation.bytes};
}

bool is_constant(const Range& range) { return (*states_of(range.begin) & kConstant) != 0; }

std::string name_address(uintptr_t address) {
  const auto relative = [&](const std::string& name, uintptr_t begin, std::size_t bytes) {
    const auto distance = static_cast<int64_t>(address - begin);
    return name + (distance < 0 ? "" : "+") + std::to_string(distance) + " of " +
           std::to_string(bytes) + " bytes";
  };
  if (address - hot.shared.base < hot.shared.size) {
    return "shared+" + std::to_string(address - hot.shared.base);
  }
  for (const auto& [begin, allocation] : allocations) {
    if (address + kRedZone >= begin && address < begin + allocation.bytes + kRedZone) {
      return relative(allocation.name, begin, allocation.bytes);
    }
  }
  return "an address outside every tensor";
}

void bad_state(const Region& region, std::size_t offset, std::size_t bytes, bool write,
               uintptr_t pc) {
  const std::string name = name_address(region.base + offset);
  for (std::size_t i = 0; i < bytes; ++i) {
    const uint8_t state = region.states[offset + i];
    if ((state & kAllocated) == 0) {
      report_at_pc(write ? "write out of bounds" : "read out of bounds", pc, name);
      abandon_launch();
    }
    if (write && (state & kConstant) != 0) {
      report_at_pc("write to a constant tensor", pc, name);
      abandon_launch();
    }
    if (!write && (state & kWritten) == 0) {
      report_at_pc("read of unwritten memory", pc, name);
      return;
    }
  }
}

void outside(uintptr_t address, bool write, uintptr_t pc) {
  report_at_pc(write ? "write out of bounds" : "read out of bounds", pc, name_address(address));
  abandon_launch();
}

void misaligned(uintptr_t address, std::size_t bytes, uintptr_t pc) {
  report_at_pc("misaligned access", pc,
               name_address(address) + ", " + std::to_string(bytes) + " bytes at once");
}

void race(const Region& region, std::size_t offset, uint32_t with, const char* kind, uintptr_t pc) {
  if (already_reported("race", pc)) return;
  const uint32_t clock = with >> kThreadBits;
  const std::string other =
      clock < hot.block_start ? "another block" : "thread " + std::to_string(with & kThreadMask);
  report_at_pc("race", pc,
               std::string(kind) + ": " + name_address(region.base + offset) + " with " + other);
}

void access_range(uintptr_t address, std::size_t bytes, bool write, uintptr_t pc) {
  for (; bytes > 0; ++address, --bytes) {
    write ? access<1, true>(address, pc) : access<1, false>(address, pc);
  }
}

void access_at(const Region& region, std::size_t offset, std::size_t bytes, bool write,
               const std::source_location& where) {
  const PlaceOfFindings place(where);
  for (std::size_t i = 0; i < bytes; ++i) {
    const uint8_t state = region.states[offset + i];
    const bool wrong = (state & kAllocated) == 0 || (write && (state & kConstant) != 0) ||
                       (!write && !states_allow<1, false>(&region.states[offset + i]));
    if (!wrong) continue;
    bad_state(region, offset + i, 1, write, 0);
    break;
  }
  if (!hot.races || (region.states[offset] & kConstant) != 0) return;
  write ? check_race<true>(region, offset, bytes, 0) : check_race<false>(region, offset, bytes, 0);
}

GlobalMemory copy_of_global_memory() {
  const auto* const arena = reinterpret_cast<const uint8_t*>(hot.global.base);
  return {{arena, arena + arena_used}, {hot.global.states, hot.global.states + arena_used}};
}

void restore_global_memory(const GlobalMemory& copy) {
  std::memcpy(reinterpret_cast<void*>(hot.global.base), copy.bytes.data(), copy.bytes.size());
  std::memcpy(hot.global.states, copy.states.data(), copy.states.size());
}

}  // namespace tconv::emulator
