// SPDX-License-Identifier: Apache-2.0
// fibers.cpp: the scheduler.
//
// Threads that can run are queued by warp. A warp runs until its threads wait (so that counting
// sees the lanes of a request together), then the next warp of the queue; the order of warps and of
// lanes in them is drawn from the seed at every synchronisation. When nobody can run, the main
// context looks what the block waits for: everything at a barrier, an exit, or a deadlock.
#include "tests/emulator/fibers.h"

#include <sys/mman.h>

#include <algorithm>
#include <boost/context/detail/fcontext.hpp>
#include <exception>
#include <functional>
#include <new>

#include "tests/emulator/findings.h"
#include "tests/emulator/memory.h"
#include "tests/emulator/requests.h"
#include "tests/emulator/scheduler.h"

namespace context = boost::context::detail;

// shim.h declares them const, which the names of variables do not show.
uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace tconv::emulator {
namespace {

constexpr std::size_t kStackBytes = 128 << 10, kGuardBytes = 4096;
/// Clocks are 22 bits. Far before they wrap, everything is forgotten and they start again.
constexpr uint32_t kMostClock = 1U << 21;

unsigned char* new_stack() {
  void* memory = mmap(nullptr, kStackBytes + kGuardBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, kGuardBytes, PROT_NONE);  // an overflow is a fault, not a silent neighbour
  return static_cast<unsigned char*>(memory) + kGuardBytes;
}

// ---- Switching. ---------------------------------------------------------------------------------

/// Saves where the other context was left.
void came_from(context::transfer_t transfer) {
  *static_cast<void**>(transfer.data) = transfer.fctx;
}

/// Not kept in registers across a switch: the caller may go on in another fiber's place.
[[gnu::noinline]] void jump_to(Fiber& fiber) {
  void** const mine = &s.current->context;
  if (&fiber == s.current) return enter(fiber);
  enter(fiber);
  ++hot.switches;
  came_from(context::jump_fcontext(fiber.context, mine));
}

[[gnu::noinline]] void jump_to_main() {
  void** const mine = &s.current->context;
  s.current = nullptr;
  came_from(context::jump_fcontext(s.main_context, mine));
}

Fiber* next_ready() {
  for (;;) {
    if (s.current_warp >= 0) {
      Warp& warp = s.warps[s.current_warp];
      if (warp.next < warp.count) return &fiber_of(warp.lanes[warp.next++]);
      warp.next = warp.count = 0;
      if (hot.counting) flush_requests();
      s.current_warp = -1;
    }
    if (s.queue_length == 0) return nullptr;
    s.current_warp = s.queue[s.queue_head];
    s.queue_head = (s.queue_head + 1) % kMostWarps;
    --s.queue_length;
    s.warps[s.current_warp].queued = false;
  }
}

void enqueue(int warp_id) {
  s.warps[warp_id].queued = true;
  s.queue[(s.queue_head + s.queue_length++) % kMostWarps] = warp_id;
}

}  // namespace

uint64_t draw() {
  s.random ^= s.random << 13;
  s.random ^= s.random >> 7;
  s.random ^= s.random << 17;
  return s.random;
}

void enter(Fiber& fiber) {
  s.current = &fiber;
  threadIdx = {fiber.coordinates.x, fiber.coordinates.y, fiber.coordinates.z};
  hot.stack = reinterpret_cast<uintptr_t>(fiber.stack);
  hot.thread = static_cast<uint32_t>(fiber.id);
  hot.epoch = fiber.clock << kThreadBits | hot.thread;
  hot.seen = fiber.seen;
}

void leave() {
  Fiber* const next = next_ready();
  next != nullptr ? jump_to(*next) : jump_to_main();
  if (s.abandoned) abandon_launch();
}

void make_ready(int id) {
  const int warp_id = id / kWarp;
  Warp& warp = s.warps[warp_id];
  fiber_of(id).waiting = Waiting::no;
  if (warp.count == kWarp) {  // drops those that have run
    std::copy(warp.lanes + warp.next, warp.lanes + warp.count, warp.lanes);
    warp.count -= warp.next;
    warp.next = 0;
  }
  warp.lanes[warp.count++] = id;
  if (warp.queued || warp_id == s.current_warp) return;
  enqueue(warp_id);
}

void requeue_warp() {
  if (s.current_warp < 0 || s.queue_length == 0) return;
  enqueue(s.current_warp);
  s.current_warp = -1;
}

void make_all_ready() {
  int order[kMostWarps];
  for (int i = 0; i < s.warp_count; ++i) order[i] = i;
  shuffle(order, s.warp_count);
  s.current_warp = -1;
  s.queue_head = s.queue_length = 0;
  for (int i = 0; i < s.warp_count; ++i) {
    Warp& warp = s.warps[order[i]];
    warp.next = warp.count = 0;
    warp.queued = false;
    const int first = order[i] * kWarp, end = std::min(s.threads, first + kWarp);
    for (int id = first; id < end; ++id) {
      if (fiber_of(id).waiting != Waiting::exited) make_ready(id);
    }
    shuffle(warp.lanes, warp.count);
  }
  s.order_hash =
      (s.order_hash ^ static_cast<uint64_t>(order[0] * kWarp + s.warps[order[0]].lanes[0])) *
      1099511628211U;
}

namespace {

void thread_entry(context::transfer_t transfer) {
  came_from(transfer);
  try {
    (*s.body)();
  } catch (const std::exception& error) {
    report_launch("exception in a kernel", error.what());
    s.abandoned = true;
  }
  s.current->waiting = Waiting::exited;
  --s.live;
  for (;;) {
    Fiber* const next = s.abandoned ? nullptr : next_ready();
    next != nullptr ? jump_to(*next) : jump_to_main();
  }
}

// ---- Blocks. ------------------------------------------------------------------------------------

void start_threads(const BlockShape& shape) {
  while (static_cast<int>(s.fibers.size()) < s.threads) {
    s.fibers.emplace_back().stack = new_stack();
  }
  std::fill_n(s.seen_by_all.begin(), s.threads, 0U);
  for (int i = 0; i < s.threads; ++i) {
    Fiber& fiber = fiber_of(i);
    const auto id = static_cast<unsigned>(i);
    fiber.id = i;
    fiber.coordinates = {id % shape.block[0], id / shape.block[0] % shape.block[1],
                         id / shape.block[0] / shape.block[1]};
    fiber.clock = hot.block_start;
    fiber.seen = s.seen_by_all.data();
    fiber.waiting = Waiting::no;
    fiber.copies.clear();
    // Stacks are whole pages apart: without a shift of its own each would meet the others in the
    // same few lines of the first cache.
    const std::size_t shift = id % 64 * 64;
    fiber.context = context::make_fcontext(fiber.stack + kStackBytes - shift, kStackBytes - shift,
                                           thread_entry);
  }
  s.live = s.threads;
  s.at_barrier = 0;
  s.rendezvous.clear();
  for (NamedBarrier& barrier : s.named) barrier = {};
  if (hot.counting) forget_traces();
  make_all_ready();
}

void run_block(const BlockShape& shape) {
  start_threads(shape);
  Fiber main;
  while (!s.abandoned) {
    if (Fiber* const next = next_ready(); next != nullptr) {
      s.current = &main;
      enter(*next);
      ++hot.switches;
      hot.in_kernel = true;
      const auto back = context::jump_fcontext(next->context, &s.main_context);
      hot.in_kernel = false;
      came_from(back);
    } else if (s.live == 0) {
      break;
    } else if (s.at_barrier > 0 && s.at_barrier == s.live) {
      release_barrier();
    } else {
      report_deadlock();
      s.abandoned = true;
    }
  }
}

void next_clock() {
  if (s.last_clock > kMostClock) {
    forget_races();
    s.last_clock = 0;
    hot.global.ordered_before = 0;
  }
  hot.block_start = ++s.last_clock;
}

}  // namespace

void PendingCopies::clear() {
  copies.clear();
  group_ends.clear();
  done = groups_done = 0;
}

Fiber& running() { return *s.current; }
const uint3& running_block() { return s.block; }

void abandon_launch() {
  s.abandoned = true;
  jump_to_main();
  __builtin_unreachable();  // nobody comes back to an abandoned thread
}

bool run_blocks(const BlockShape& shape, std::size_t shared_bytes, uint64_t seed,
                const std::function<void()>& body, Report& report) {
  s.threads = shape.threads();
  s.warp_count = (s.threads + kWarp - 1) / kWarp;
  s.body = &body;
  s.random = seed * 0x9E3779B97F4A7C15U + 1;
  s.abandoned = false;
  s.order_hash = 14695981039346656037U;
  s.barriers = 0;
  hot.switches = hot.accesses = hot.multiply_adds = 0;
  hot.stack_bytes = kStackBytes;
  blockDim = {shape.block[0], shape.block[1], shape.block[2]};
  gridDim = {shape.grid[0], shape.grid[1], shape.grid[2]};
  next_clock();
  hot.global.ordered_before = hot.block_start;
  const uint64_t blocks = uint64_t{shape.grid[0]} * shape.grid[1] * shape.grid[2];
  for (uint64_t i = 0; i < blocks && !s.abandoned; ++i) {
    s.block = {static_cast<unsigned>(i % shape.grid[0]),
               static_cast<unsigned>(i / shape.grid[0] % shape.grid[1]),
               static_cast<unsigned>(i / shape.grid[0] / shape.grid[1])};
    blockIdx = {s.block.x, s.block.y, s.block.z};
    reset_shared(shared_bytes);
    next_clock();
    run_block(shape);
    if (hot.counting) flush_requests();
  }
  hot.in_kernel = false;
  report.order_hash = s.order_hash;
  report.switches = hot.switches;
  report.accesses = hot.accesses;
  report.counters.launches = 1;
  report.counters.blocks = blocks;
  report.counters.threads = blocks * static_cast<uint64_t>(s.threads);
  report.counters.barriers = s.barriers;
  report.counters.multiply_adds = hot.multiply_adds;
  return !s.abandoned;
}

}  // namespace tconv::emulator
