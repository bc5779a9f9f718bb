// SPDX-License-Identifier: Apache-2.0
// fibers.h: the threads of a block: who runs, who waits for what, what each has seen of the others.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <source_location>
#include <vector>

#include "tests/emulator/collectives.h"
#include "tests/emulator/device_side.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/state.h"
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

enum class Waiting : uint8_t { no, block, named, warp, exited };

struct Fiber {
  void* context = nullptr;  ///< of Boost.Context, while it does not run
  unsigned char* stack = nullptr;
  uint3 coordinates = {};
  int id = 0;
  Waiting waiting = Waiting::no;
  const char* waiting_name = "";
  Where where;
  uint32_t clock = 1;
  const uint32_t* seen = nullptr;  ///< points into `own_seen` or to what a barrier left for all
  std::unique_ptr<uint32_t[]> own_seen;  ///< made when a part of a block synchronises
  PendingCopies copies;
};

/// The running thread. Only in a kernel.
Fiber& running();

struct BlockShape {
  unsigned grid[3], block[3];
  int threads() const { return static_cast<int>(block[0] * block[1] * block[2]); }
};

/// Runs all blocks, one after the other, each thread calling `body`. False if it was abandoned.
bool run_blocks(const BlockShape& shape, std::size_t shared_bytes, uint64_t seed,
                const std::function<void()>& body, Report& report);

/// The block that runs, for findings.
const uint3& running_block();
bool same_place(const Where& a, const Where& b);
/// Counts the execution of a synchronisation site. True if it is to be left out.
bool is_dropped(const char* name, const Where& where);
std::vector<SyncSite> sites_met();
void forget_sites();

}  // namespace tconv::emulator
