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
#include <cstring>
#include <exception>
#include <functional>
#include <new>
#include <unordered_map>

#include "tests/emulator/findings.h"
#include "tests/emulator/memory.h"
#include "tests/emulator/requests.h"

namespace context = boost::context::detail;

// shim.h declares them const, which the names of variables do not show.
uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace tconv::emulator {
namespace {

constexpr int kMostThreads = 1024, kMostWarps = kMostThreads / kWarp;
constexpr std::size_t kStackBytes = 128 << 10, kGuardBytes = 4096;
/// Clocks are 22 bits. Far before they wrap, everything is forgotten and they start again.
constexpr uint32_t kMostClock = 1U << 21;
constexpr int kNamedBarriers = 16;

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
Scheduler s;

Fiber& fiber_of(int id) { return s.fibers[static_cast<std::size_t>(id)]; }

uint64_t draw() {
  s.random ^= s.random << 13;
  s.random ^= s.random >> 7;
  s.random ^= s.random << 17;
  return s.random;
}

template <typename T>
void shuffle(T* items, int count) {
  for (int i = count; i > 1; --i) {
    const uint64_t at = (draw() >> 32) * static_cast<uint64_t>(i) >> 32;
    std::swap(items[i - 1], items[at]);
  }
}

unsigned char* new_stack() {
  void* memory = mmap(nullptr, kStackBytes + kGuardBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, kGuardBytes, PROT_NONE);  // an overflow is a fault, not a silent neighbour
  return static_cast<unsigned char*>(memory) + kGuardBytes;
}

// ---- Switching. ---------------------------------------------------------------------------------

void enter(Fiber& fiber) {
  s.current = &fiber;
  threadIdx = {fiber.coordinates.x, fiber.coordinates.y, fiber.coordinates.z};
  hot.stack = reinterpret_cast<uintptr_t>(fiber.stack);
  hot.thread = static_cast<uint32_t>(fiber.id);
  hot.epoch = fiber.clock << kThreadBits | hot.thread;
  hot.seen = fiber.seen;
}

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

/// Leaves the running thread, which waits.
void leave() {
  Fiber* const next = next_ready();
  next != nullptr ? jump_to(*next) : jump_to_main();
  if (s.abandoned) abandon_launch();
}

void enqueue(int warp_id) {
  s.warps[warp_id].queued = true;
  s.queue[(s.queue_head + s.queue_length++) % kMostWarps] = warp_id;
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

/// The warp that runs lets the others run first.
void requeue_warp() {
  if (s.current_warp < 0 || s.queue_length == 0) return;
  enqueue(s.current_warp);
  s.current_warp = -1;
}

/// Makes all waiting threads of the block ready, in an order of its own.
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

// ---- What threads have seen of each other. ------------------------------------------------------

void advance(Fiber& fiber) { s.last_clock = std::max(s.last_clock, ++fiber.clock); }

/// After a barrier of the whole block everybody has seen everything.
void join_all() {
  for (int i = 0; i < s.threads; ++i) {
    Fiber& fiber = fiber_of(i);
    s.seen_by_all[static_cast<std::size_t>(i)] = fiber.clock;
    fiber.seen = s.seen_by_all.data();
    advance(fiber);
  }
}

/// Adds what the thread has seen and done to `joined`. What it does from now on is not in there.
void give(std::vector<uint32_t>& joined, Fiber& fiber) {
  joined.resize(static_cast<std::size_t>(s.threads), 0);
  for (std::size_t i = 0; i < joined.size(); ++i) joined[i] = std::max(joined[i], fiber.seen[i]);
  joined[static_cast<std::size_t>(fiber.id)] = fiber.clock;
  advance(fiber);
}

/// The thread has now seen what is in `joined`.
void take(const std::vector<uint32_t>& joined, Fiber& fiber) {
  if (!fiber.own_seen) fiber.own_seen = std::make_unique<uint32_t[]>(kMostThreads);
  for (std::size_t i = 0; i < joined.size(); ++i) {
    fiber.own_seen[i] = std::max(joined[i], fiber.seen[i]);
  }
  fiber.seen = fiber.own_seen.get();
}

void join(const std::vector<int>& members) {
  static std::vector<uint32_t> joined;
  joined.clear();
  for (const int id : members) give(joined, fiber_of(id));
  for (const int id : members) take(joined, fiber_of(id));
}

// ---- Barriers of the block. ---------------------------------------------------------------------

bool same_place(const Where& a, const Where& b) {
  return a.line() == b.line() &&
         (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

void check_divergence() {
  const Fiber* first = nullptr;
  for (int i = 0; i < s.threads; ++i) {
    const Fiber& fiber = fiber_of(i);
    if (fiber.waiting != Waiting::block) continue;
    if (first == nullptr) first = &fiber;
    if (same_place(fiber.where, first->where)) continue;
    report_at("barrier divergence", fiber.where,
              "thread " + std::to_string(fiber.id) + " waits here, thread " +
                  std::to_string(first->id) + " at " + site_of(first->where).text(),
              fiber.id);
    return;
  }
  if (first != nullptr && s.live < s.threads) {
    report_at("barrier divergence", first->where,
              std::to_string(s.threads - s.live) + " threads have exited and do not come here",
              first->id);
  }
}

void release_barrier() {
  check_divergence();
  join_all();
  s.at_barrier = 0;
  ++s.barriers;
  make_all_ready();
}

void report_deadlock() {
  for (int i = 0; i < s.threads; ++i) {
    const Fiber& fiber = fiber_of(i);
    if (fiber.waiting == Waiting::exited || fiber.waiting == Waiting::no) continue;
    report_at("deadlock", fiber.where,
              "thread " + std::to_string(fiber.id) + " waits for ever (" + fiber.waiting_name + ")",
              fiber.id);
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
    fiber.context = context::make_fcontext(fiber.stack + kStackBytes, kStackBytes, thread_entry);
  }
  s.live = s.threads;
  s.at_barrier = 0;
  s.rendezvous.clear();
  for (NamedBarrier& barrier : s.named) barrier = {};
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

// ---- Synchronisation sites. ---------------------------------------------------------------------

namespace {

struct MetSite {
  const char* name;
  Where where;
  uint64_t executions;
  bool dropped;
};
std::vector<MetSite> met;

MetSite& met_site(const char* name, const Where& where) {
  static std::size_t last = 0;
  if (last < met.size() && met[last].where.line() == where.line() && met[last].name == name &&
      met[last].where.file_name() == where.file_name()) {
    return met[last];
  }
  for (last = 0; last < met.size(); ++last) {
    if (met[last].name == name && same_place(met[last].where, where)) return met[last];
  }
  const Site site = site_of(where);
  const auto& drop = config().drop;
  met.push_back({name, where, 0, std::find(drop.begin(), drop.end(), site) != drop.end()});
  return met.back();
}

}  // namespace

bool is_dropped(const char* name, const Where& where) {
  MetSite& site = met_site(name, where);
  ++site.executions;
  return site.dropped;
}

std::vector<SyncSite> sites_met() {
  std::vector<SyncSite> sites;
  for (const MetSite& site : met)
    sites.push_back({site_of(site.where), site.name, site.executions});
  return sites;
}

void forget_sites() { met.clear(); }

// ---- What kernels call. -------------------------------------------------------------------------

namespace {

void wait(Waiting what, const char* name, const Where& where) {
  s.current->waiting = what;
  s.current->waiting_name = name;
  s.current->where = where;
}

std::vector<int> members_of(const Rendezvous& meeting) {
  std::vector<int> ids;
  for (int lane = 0; lane < kWarp; ++lane) {
    if ((meeting.mask >> lane & 1) != 0) ids.push_back(meeting.warp * kWarp + lane);
  }
  return ids;
}

uint32_t all_lanes(int warp) {
  const int lanes = std::min(kWarp, s.threads - warp * kWarp);
  return lanes == kWarp ? ~0U : (1U << lanes) - 1;
}

Rendezvous& rendezvous_of(const char* name, int warp, uint32_t mask, const Where& where) {
  for (Rendezvous& meeting : s.rendezvous) {
    if (meeting.warp != warp || (meeting.mask & mask) == 0) continue;
    if (meeting.mask == mask && std::strcmp(meeting.name, name) == 0 &&
        same_place(meeting.where, where)) {
      return meeting;
    }
    report_at("warp divergence", where,
              std::string(name) + ": other lanes of the warp are at " + meeting.name + ", " +
                  site_of(meeting.where).text());
    abandon_launch();
  }
  s.rendezvous.push_back({name, warp, mask, where, {}});
  return s.rendezvous.back();
}

/// Waits for the lanes of `mask`; the last one does `act` and, with `orders_memory`, joins what
/// they have seen.
void meet(const char* name, uint32_t mask, void* operand, void (*act)(const Lanes&, const Where&),
          bool orders_memory, const Where& where) {
  const int warp = s.current->id / kWarp, lane = s.current->id % kWarp;
  const uint32_t bit = 1U << lane;
  // __syncwarp() of a block's last, partial warp names lanes that do not exist: that is usual. In
  // an instruction that exchanges values it is a mistake.
  if (const uint32_t missing = mask & ~all_lanes(warp); missing != 0) {
    if (!orders_memory) {
      report_at("warp divergence", where, std::string(name) + ": its mask names missing threads");
      abandon_launch();
    }
    mask &= all_lanes(warp);
  }
  if ((mask & bit) == 0) {
    report_at("warp divergence", where, std::string(name) + ": the caller is not in its mask");
    abandon_launch();
  }
  Rendezvous& meeting = rendezvous_of(name, warp, mask, where);
  meeting.lanes.mask |= bit;
  meeting.lanes.operand[lane] = operand;
  wait(Waiting::warp, name, where);
  if (meeting.lanes.mask == mask) {
    if (act != nullptr) act(meeting.lanes, where);
    const std::vector<int> members = members_of(meeting);
    if (orders_memory) join(members);
    s.rendezvous.erase(s.rendezvous.begin() + (&meeting - s.rendezvous.data()));
    int lanes[kWarp];
    std::copy(members.begin(), members.end(), lanes);
    shuffle(lanes, static_cast<int>(members.size()));
    if (hot.counting) flush_requests();
    for (std::size_t i = 0; i < members.size(); ++i) make_ready(lanes[i]);
    // Mostly the warp goes on, while its stacks are in the cache.
    if (draw() % 8 == 0) requeue_warp();
  }
  leave();
}

}  // namespace

void sync_block(const Where& where) {
  if (is_dropped("__syncthreads", where)) return;
  wait(Waiting::block, "__syncthreads", where);
  ++s.at_barrier;
  leave();
}

void sync_warp(uint32_t mask, const Where& where) {
  if (is_dropped("__syncwarp", where)) return;
  meet("__syncwarp", mask, nullptr, nullptr, true, where);
}

void collective(const char* name, uint32_t mask, void* operand,
                void (*act)(const Lanes&, const Where&), const Where& where) {
  meet(name, mask, operand, act, false, where);
}

namespace {

/// True when the barrier is full.
bool arrive(uint32_t id, uint32_t threads, const char* name, const Where& where) {
  if (id >= kNamedBarriers || threads == 0 || threads % kWarp != 0) {
    report_at("bad barrier", where,
              std::string(name) + ": id " + std::to_string(id) + ", threads " +
                  std::to_string(threads) + "; legal are 0 to 15 and multiples of 32");
    abandon_launch();
  }
  NamedBarrier& barrier = s.named[id];
  if (barrier.arrived > 0 && barrier.threads != threads) {
    report_at("barrier divergence", where,
              "barrier " + std::to_string(id) + " with " + std::to_string(threads) +
                  " threads, others came with " + std::to_string(barrier.threads));
    abandon_launch();
  }
  barrier.threads = threads;
  give(barrier.joined, *s.current);
  return ++barrier.arrived == threads;
}

void release_named(NamedBarrier& full) {
  NamedBarrier barrier = std::move(full);
  full = {};
  for (const int id : barrier.waiting) take(barrier.joined, fiber_of(id));
  shuffle(barrier.waiting.data(), static_cast<int>(barrier.waiting.size()));
  if (hot.counting) flush_requests();
  for (const int id : barrier.waiting) make_ready(id);
}

}  // namespace

void sync_named(uint32_t id, uint32_t threads, const Where& where) {
  if (is_dropped("bar.sync", where)) return;
  const bool full = arrive(id, threads, "bar.sync", where);
  wait(Waiting::named, "bar.sync", where);
  s.named[id].waiting.push_back(s.current->id);
  if (full) release_named(s.named[id]);
  leave();
}

void arrive_named(uint32_t id, uint32_t threads, const Where& where) {
  if (is_dropped("bar.arrive", where)) return;
  if (arrive(id, threads, "bar.arrive", where)) release_named(s.named[id]);
  enter(*s.current);  // with its new clock
}

}  // namespace tconv::emulator

void __syncthreads(tconv::emulator::Where where) { tconv::emulator::sync_block(where); }
void __syncwarp(unsigned mask, tconv::emulator::Where where) {
  tconv::emulator::sync_warp(mask, where);
}
