// SPDX-License-Identifier: Apache-2.0
// fibers.h: the threads of a block, for whoever launches or runs in one.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "tests/emulator/device_side.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/uint3.h"

namespace tconv::emulator {

/// One copy of cp.async, not done yet.
struct PendingCopy {
  uint32_t shared_offset;
  uint16_t size, bytes;
  const void* global;
};

/// The copies of one thread, oldest first; `group_ends` are indices into `copies`.
struct PendingCopies {
  std::vector<PendingCopy> copies;
  std::vector<std::size_t> group_ends;
  std::size_t done = 0, groups_done = 0;

  void clear();
};

/// Of the running thread. Only in a kernel.
PendingCopies& pending_copies();

struct BlockShape {
  unsigned grid[3], block[3];
  int threads() const { return static_cast<int>(block[0] * block[1] * block[2]); }
};

/// Runs all blocks, one after the other, each thread calling `body`. False if it was abandoned.
bool run_blocks(const BlockShape& shape, std::size_t shared_bytes, uint64_t seed,
                const std::function<void()>& body, Report& report);

/// The block that runs, for findings.
const uint3& running_block();

}  // namespace tconv::emulator
