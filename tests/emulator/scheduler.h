// SPDX-License-Identifier: Apache-2.0
// scheduler.h: the state of the block that runs, between fibers.cpp (who runs) and synchronise.cpp
// (who waits for whom).
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "tests/emulator/fibers.h"

namespace tconv::emulator {

inline constexpr int kMostThreads = 1024, kMostWarps = kMostThreads / kWarp;
inline constexpr int kNamedBarriers = 16;

struct Warp {
  int lanes[kWarp];  ///< fibers that can run
  int next = 0, count = 0;
  bool queued = false;
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
  std::vector<Fiber> fibers;  ///< kept from launch to launch with their stacks
  Warp warps[kMostWarps];
  int queue[kMostWarps], queue_head = 0, queue_length = 0;
  int current_warp = -1, warp_count = 0, threads = 0;
  int live = 0, at_barrier = 0;
  Fiber* current = nullptr;
  void* main_context = nullptr;
  const std::function<void()>* body = nullptr;
  uint64_t random = 1, order_hash = 0;
  bool abandoned = false;
  uint32_t last_clock = 0;  ///< of any thread of any launch
  std::vector<uint32_t> seen_by_all = std::vector<uint32_t>(kMostThreads);
  std::vector<Rendezvous> rendezvous;
  NamedBarrier named[kNamedBarriers];
  uint3 block = {};
  uint64_t barriers = 0;
};
inline Scheduler s;

inline Fiber& fiber_of(int id) { return s.fibers[static_cast<std::size_t>(id)]; }

/// The next random number of the launch's seed.
uint64_t draw();

template <typename T>
void shuffle(T* items, int count) {
  for (int i = count; i > 1; --i) {
    const uint64_t at = (draw() >> 32) * static_cast<uint64_t>(i) >> 32;
    std::swap(items[i - 1], items[at]);
  }
}

// ---- fibers.cpp.
// ---------------------------------------------------------------------------------

/// The running thread, its clock and what it has seen, for the checks of accesses.
void enter(Fiber& fiber);
/// Leaves the running thread, which waits.
void leave();
void make_ready(int id);
/// The warp that runs lets the others run first.
void requeue_warp();
/// Makes all waiting threads of the block ready, in an order of its own.
void make_all_ready();

// ---- synchronise.cpp.
// ----------------------------------------------------------------------------

/// All live threads are at the block's barrier: says where they are not at the same one, and lets
/// them go on.
void release_barrier();
/// Nobody can run, and they are not all at one barrier.
void report_deadlock();

}  // namespace tconv::emulator
