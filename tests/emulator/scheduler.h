// SPDX-License-Identifier: Apache-2.0
// scheduler.h: the state of the block that runs, between fibers.cpp (who runs) and synchronise.cpp
// (who waits for whom).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "tests/emulator/collectives.h"
#include "tests/emulator/fibers.h"
#include "tests/emulator/state.h"

namespace tconv::emulator {

inline constexpr int kMostThreads = 1024, kMostWarps = kMostThreads / kWarp;
inline constexpr int kNamedBarriers = 16;

enum class Waiting : uint8_t { no, block, named, warp, exited };

/// What a switch to or from a thread touches: one line of the cache.
struct alignas(64) Fiber {
  void* context = nullptr;  ///< of Boost.Context, while it does not run
  unsigned char* stack = nullptr;
  const uint32_t* seen = nullptr;  ///< points into `own_seen` or to what a barrier left for all
  uint3 coordinates = {};
  int id = 0;
  const char* waiting_name = "";
  Where where;
  Waiting waiting = Waiting::no;  ///< for what; while it runs or is ready: for what it did last
};
static_assert(sizeof(Fiber) == 64);

struct Warp {
  int next = 0, count = 0;
  bool queued = false;
  uint8_t lanes[kWarp];  ///< those that can run, from `next` on
  Fiber* first = nullptr;
};

/// A collective instruction that not all of its lanes have reached.
struct Rendezvous {
  const char* name = nullptr;
  int warp = 0;
  uint32_t mask = 0;
  Where where;
  Lanes lanes;
};

struct NamedBarrier {
  uint32_t threads = 0, arrived = 0;
  std::vector<uint32_t> joined;  ///< what those who arrived had seen and done
  std::vector<int> waiting;
};

struct Scheduler {
  Fiber* current = nullptr;
  Warp* current_warp = &no_warp;
  Warp no_warp;  ///< has no threads
  int threads = 0, warp_count = 0;
  int live = 0, at_barrier = 0;
  Where barrier_site;  ///< of the first thread at the block's barrier
  bool barrier_diverged = false;
  bool someone_saw_more = false;  ///< than all did at the last barrier of the block
  bool abandoned = false;
  int queue[kMostWarps], queue_head = 0, queue_length = 0;
  void* main_context = nullptr;
  void* nowhere = nullptr;  ///< where a thread that did not leave "was left"
  uint64_t random = 1, order_hash = 0;
  uint64_t barriers = 0;
  const std::function<void()>* body = nullptr;
  uint3 block = {};
  std::vector<Rendezvous> rendezvous;
  NamedBarrier named[kNamedBarriers];
  Warp warps[kMostWarps];
  uint32_t last_clock = 0;  ///< of any thread of any launch
  uint32_t clocks[kMostThreads], seen_by_all[kMostThreads];
  /// Kept from launch to launch with their stacks.
  Fiber fibers[kMostThreads];
  /// Made when a part of a block synchronises.
  std::unique_ptr<uint32_t[]> own_seen[kMostThreads];
  PendingCopies copies[kMostThreads];
  struct alignas(16) {
    unsigned char bytes[kOperandBytes];
  } operands[kMostThreads];  ///< of collective instructions
};
inline Scheduler s;

inline Fiber& fiber_of(int id) { return s.fibers[id]; }

/// The next random number of the launch's seed.
inline uint64_t draw() {
  s.random ^= s.random << 13;
  s.random ^= s.random >> 7;
  s.random ^= s.random << 17;
  return s.random;
}

template <typename T>
void shuffle(T* items, int count) {
  uint64_t bits = 0;
  for (int i = count; i > 1; --i) {  // one number is four indices
    bits = (count - i) % 4 == 0 ? draw() : bits >> 16;
    std::swap(items[i - 1], items[(bits & 0xffff) * static_cast<uint64_t>(i) >> 16]);
  }
}

// ---- fibers.cpp. --------------------------------------------------------------------------------

void make_ready(int id);
/// The warp that runs lets the others run first.
void requeue_warp();
/// Makes all waiting threads of the block ready, in an order of its own.
void make_all_ready();

// ---- synchronise.cpp. ---------------------------------------------------------------------------

/// All live threads are at the block's barrier: says where they are not at the same one, and lets
/// them go on.
void release_barrier();
/// Nobody can run, and they are not all at one barrier.
void report_deadlock();

}  // namespace tconv::emulator
