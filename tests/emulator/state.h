// SPDX-License-Identifier: Apache-2.0
// state.h: what the emulator knows of the launch that runs. One launch, one thread of the host:
// plain globals, so that a checked access costs nanoseconds.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tconv::emulator {

/// Of one byte of memory.
enum ByteState : uint8_t { kAllocated = 1, kWritten = 2, kConstant = 4 };
constexpr uint64_t eight_times(int states) {
  return 0x0101010101010101U * static_cast<uint8_t>(states);
}

/// Who touched two neighbouring bytes last: an epoch each, clock << kThreadBits | thread; 0:
/// nobody.
struct RaceCell {
  uint32_t write, reads[2];
};
inline constexpr int kThreadBits = 10;
inline constexpr uint32_t kThreadMask = (1U << kThreadBits) - 1;
inline constexpr int kBytesPerCell = 2;

/// Global or shared memory with a state for each byte and a cell for every two.
struct Region {
  uintptr_t base = 0;
  std::size_t size = 0;
  uint8_t* states = nullptr;
  RaceCell* cells = nullptr;
  bool is_shared = false;
  /// Cells of an earlier block with a smaller clock than this are of an earlier launch: in order.
  uint32_t ordered_before = 0;
};

struct Hot {
  bool in_kernel = false;  ///< else an access is the host's and none of our business
  Region global, shared;
  uintptr_t stack = 0;  ///< of the running thread
  std::size_t stack_bytes = 0;
  uint64_t needed_to_read = 0;  ///< ByteStates, the same for each of eight bytes
  bool races = false, counting = false;
  uint32_t thread = 0, epoch = 0;  ///< of the running thread
  const uint32_t* seen = nullptr;  ///< by thread: the last clock of it that is before us
  uint32_t block_start = 1;        ///< the first clock of this block
  uint64_t accesses = 0, switches = 0, multiply_adds = 0;
};
inline Hot hot;

/// The shared memory of the largest block, 1024-byte aligned.
inline constexpr std::size_t kMostSharedBytes = 232448;
/// Where shared memory begins in the 32-bit addresses of PTX: below lies the system's part.
inline constexpr uint32_t kSharedWindow = 1024;
inline constexpr int kWarp = 32;

}  // namespace tconv::emulator
