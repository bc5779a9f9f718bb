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
#include <array>
#include <exception>
#include <new>
#include <numeric>

#include "tests/emulator/findings.h"
#include "tests/emulator/memory.h"
#include "tests/emulator/requests.h"
#include "tests/emulator/switch.h"

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

void enqueue(int warp_id) {
  s.warps[warp_id].queued = true;
  s.queue[(s.queue_head + s.queue_length++) % kMostWarps] = warp_id;
}

}  // namespace

// ---- Switching. ---------------------------------------------------------------------------------

Fiber* next_of_queue() {
  if (s.current_warp != &s.no_warp) {
    s.current_warp->next = s.current_warp->count = 0;
    s.current_warp = &s.no_warp;
    if (hot.counting) flush_requests();
  }
  if (s.queue_length == 0) return nullptr;
  Warp& warp = s.warps[s.queue[s.queue_head]];
  s.queue_head = (s.queue_head + 1) % kMostWarps;
  --s.queue_length;
  warp.queued = false;
  s.current_warp = &warp;
  return warp.first + warp.lanes[warp.next++];
}

void resume(Departure departure) { set_context(departure); }

Departure stay() { return {nullptr, &s.nowhere}; }

Departure depart_to_main() {
  void** const mine = &s.current->context;
  s.current = nullptr;
  return context::jump_fcontext(s.main_context, mine);
}

void make_ready(int id) {
  Warp& warp = s.warps[id / kWarp];
  if (warp.count == kWarp) {  // drops those that have run
    std::copy(warp.lanes + warp.next, warp.lanes + warp.count, warp.lanes);
    warp.count -= warp.next;
    warp.next = 0;
  }
  warp.lanes[warp.count++] = static_cast<uint8_t>(id % kWarp);
  if (!warp.queued && &warp != s.current_warp) enqueue(id / kWarp);
}

void requeue_warp() {
  if (s.current_warp == &s.no_warp || s.queue_length == 0) return;
  enqueue(static_cast<int>(s.current_warp - s.warps));
  s.current_warp = &s.no_warp;
}

namespace {

/// Its lanes that have not exited, in any order.
void fill(Warp& warp, int lanes) {
  static constexpr auto kAll = [] {
    std::array<uint8_t, kWarp> all{};
    std::iota(all.begin(), all.end(), uint8_t{0});
    return all;
  }();
  std::copy(kAll.begin(), kAll.end(), warp.lanes);
  warp.next = 0;
  warp.count = lanes;
  if (s.live < s.threads) {
    warp.count = static_cast<int>(
        std::remove_if(warp.lanes, warp.lanes + lanes,
                       [&](uint8_t i) { return warp.first[i].waiting == Waiting::exited; }) -
        warp.lanes);
  }
  shuffle(warp.lanes, warp.count);
}

}  // namespace

void make_all_ready() {
  int order[kMostWarps];
  std::iota(order, order + s.warp_count, 0);
  shuffle(order, s.warp_count);
  s.current_warp = &s.no_warp;
  s.queue_head = s.queue_length = 0;
  for (int i = 0; i < s.warp_count; ++i) {
    Warp& warp = s.warps[order[i]];
    fill(warp, std::min(kWarp, s.threads - order[i] * kWarp));
    warp.queued = false;
    if (warp.count > 0) enqueue(order[i]);
  }
  const Warp& first = s.warps[order[0]];
  s.order_hash =
      (s.order_hash ^ static_cast<uint64_t>(order[0] * kWarp + first.lanes[0])) * 1099511628211U;
}

namespace {

void thread_entry(Departure transfer) {
  set_context(transfer);
  try {
    (*s.body)();
  } catch (const std::exception& error) {
    report_launch("exception in a kernel", error.what());
    s.abandoned = true;
  }
  s.current->waiting = Waiting::exited;
  --s.live;
  s.abandoned ? depart_to_main() : depart();
  __builtin_unreachable();  // nobody comes back to a thread that has exited
}

// ---- Blocks. ------------------------------------------------------------------------------------

void start_threads(const BlockShape& shape) {
  std::fill_n(s.seen_by_all, s.threads, 0U);
  std::fill_n(s.clocks, s.threads, hot.block_start);
  for (int i = 0; i < s.warp_count; ++i) s.warps[i].first = &fiber_of(i * kWarp);
  for (int i = 0; i < s.threads; ++i) {
    Fiber& fiber = fiber_of(i);
    const auto id = static_cast<unsigned>(i);
    if (fiber.stack == nullptr) fiber.stack = new_stack();
    fiber.id = i;
    fiber.coordinates = {id % shape.block[0], id / shape.block[0] % shape.block[1],
                         id / shape.block[0] / shape.block[1]};
    fiber.seen = s.seen_by_all;
    fiber.waiting = Waiting::no;
    s.copies[i].clear();
    // Stacks are whole pages apart: without a shift of its own each would meet the others in the
    // same few lines of the first cache.
    const std::size_t shift = id % 64 * 64;
    fiber.context = context::make_fcontext(fiber.stack + kStackBytes - shift, kStackBytes - shift,
                                           thread_entry);
  }
  s.live = s.threads;
  s.at_barrier = 0;
  s.barrier_diverged = s.someone_saw_more = false;
  s.rendezvous.clear();
  for (NamedBarrier& barrier : s.named) barrier = {};
  if (hot.counting) forget_traces();
  make_all_ready();
}

void run_block(const BlockShape& shape) {
  start_threads(shape);
  while (!s.abandoned) {
    if (Fiber* const next = next_ready(); next != nullptr) {
      enter(*next);
      ++hot.switches;
      hot.in_kernel = true;
      const auto back = context::jump_fcontext(next->context, &s.main_context);
      hot.in_kernel = false;
      set_context(back);
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

PendingCopies& pending_copies() { return s.copies[s.current->id]; }
const uint3& running_block() { return s.block; }

void abandon_launch() {
  s.abandoned = true;
  depart_to_main();
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
