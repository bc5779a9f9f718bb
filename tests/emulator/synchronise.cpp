// SPDX-License-Identifier: Apache-2.0
// synchronise.cpp: barriers and collective instructions: who waits for whom, and what a thread has
// seen of the others afterwards.
#include <algorithm>
#include <bit>
#include <cstring>
#include <span>
#include <string>

#include "tests/emulator/findings.h"
#include "tests/emulator/requests.h"
#include "tests/emulator/sites.h"
#include "tests/emulator/switch.h"

namespace tconv::emulator {
namespace {

// ---- What threads have seen of each other. ------------------------------------------------------

void advance(int id) { s.last_clock = std::max(s.last_clock, ++s.clocks[id]); }

/// After a barrier of the whole block everybody has seen everything.
void join_all() {
  std::copy_n(s.clocks, s.threads, s.seen_by_all);
  std::fill_n(s.clocks, s.threads, ++s.last_clock);  // behind all of them
  if (!std::exchange(s.someone_saw_more, false)) return;
  for (int i = 0; i < s.threads; ++i) fiber_of(i).seen = s.seen_by_all;
}

/// Adds what the thread has seen and done to `joined`. What it does from now on is not in there.
void give(std::vector<uint32_t>& joined, int id) {
  joined.resize(static_cast<std::size_t>(s.threads), 0);
  const uint32_t* const seen = fiber_of(id).seen;
  for (std::size_t i = 0; i < joined.size(); ++i) joined[i] = std::max(joined[i], seen[i]);
  joined[static_cast<std::size_t>(id)] = s.clocks[id];
  advance(id);
}

/// The thread has now seen what is in `joined`.
void take(const std::vector<uint32_t>& joined, int id) {
  auto& mine = s.own_seen[id];
  if (!mine) mine = std::make_unique<uint32_t[]>(kMostThreads);
  Fiber& fiber = fiber_of(id);
  for (std::size_t i = 0; i < joined.size(); ++i) mine[i] = std::max(joined[i], fiber.seen[i]);
  fiber.seen = mine.get();
  s.someone_saw_more = true;
}

void join(std::span<const int> members) {
  static std::vector<uint32_t> joined;
  joined.clear();
  for (const int id : members) give(joined, id);
  for (const int id : members) take(joined, id);
}

// ---- Barriers of the block. ---------------------------------------------------------------------

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

}  // namespace

void release_barrier() {
  if (hot.counting) flush_requests();
  if (s.barrier_diverged || s.live < s.threads) check_divergence();
  join_all();
  s.barrier_diverged = false;
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

// ---- What kernels call. -------------------------------------------------------------------------

namespace {

void wait(Waiting what, const char* name, Where where) {
  s.current->waiting = what;
  s.current->waiting_name = name;
  s.current->where = where;
}

uint32_t all_lanes(int warp) {
  const int lanes = std::min(kWarp, s.threads - warp * kWarp);
  return lanes == kWarp ? ~0U : (1U << lanes) - 1;
}

/// A pointer tells mostly.
bool same_text(const char* a, const char* b) { return a == b || std::strcmp(a, b) == 0; }

Rendezvous& rendezvous_of(const char* name, int warp, uint32_t mask, const Where& where) {
  for (Rendezvous& meeting : s.rendezvous) {
    if (meeting.warp != warp || (meeting.mask & mask) == 0) continue;
    if (meeting.mask == mask && same_text(meeting.name, name) && same_place(meeting.where, where)) {
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

/// All of its lanes have come and go on.
void release(const Rendezvous& meeting, bool orders_memory) {
  int members[kWarp], count = 0;
  for (uint32_t left = meeting.mask; left != 0; left &= left - 1) {
    members[count++] = meeting.warp * kWarp + std::countr_zero(left);
  }
  if (orders_memory) join({members, static_cast<std::size_t>(count)});
  shuffle(members, count);
  if (hot.counting) flush_requests();
  for (int i = 0; i < count; ++i) make_ready(members[i]);
  // Mostly the warp goes on, while its stacks are in the cache.
  if (draw() % 8 == 0) requeue_warp();
}

/// The thread, which leaves then, waits for the lanes of `mask`; the last one does `act` and, with
/// `orders_memory`, joins what they have seen.
void meet(const char* name, uint32_t mask, void (*act)(const Lanes&, const Where&),
          bool orders_memory, Where where) {
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
  meeting.lanes.operand[lane] = my_operand();
  wait(Waiting::warp, name, where);
  if (meeting.lanes.mask == mask) {
    if (act != nullptr) act(meeting.lanes, where);
    release(meeting, orders_memory);
    if (&meeting != &s.rendezvous.back()) meeting = s.rendezvous.back();
    s.rendezvous.pop_back();
  }
}

}  // namespace

Departure sync_block(Where where) {
  if (is_dropped("__syncthreads", where)) return stay();
  wait(Waiting::block, "__syncthreads", where);
  if (s.at_barrier++ == 0) s.barrier_site = where;
  if (identity_of(s.barrier_site) != identity_of(where)) s.barrier_diverged = true;
  if (s.at_barrier == s.live) release_barrier();
  return depart();
}

Departure sync_warp(uint32_t mask, Where where) {
  if (is_dropped("__syncwarp", where)) return stay();
  meet("__syncwarp", mask, nullptr, true, where);
  return depart();
}

void* my_operand() { return &s.operands[s.current->id]; }

Departure collective(const char* name, uint32_t mask, void (*act)(const Lanes&, const Where&),
                     Where where) {
  meet(name, mask, act, false, where);
  return depart();
}

namespace {

/// True when the barrier is full.
bool arrive(uint32_t id, uint32_t threads, const char* name, Where where) {
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
  give(barrier.joined, s.current->id);
  return ++barrier.arrived == threads;
}

void release_named(NamedBarrier& full) {
  NamedBarrier barrier = std::move(full);
  full = {};
  for (const int id : barrier.waiting) take(barrier.joined, id);
  shuffle(barrier.waiting.data(), static_cast<int>(barrier.waiting.size()));
  if (hot.counting) flush_requests();
  for (const int id : barrier.waiting) make_ready(id);
}

}  // namespace

Departure sync_named(uint32_t id, uint32_t threads, Where where) {
  if (is_dropped("bar.sync", where)) return stay();
  const bool full = arrive(id, threads, "bar.sync", where);
  wait(Waiting::named, "bar.sync", where);
  s.named[id].waiting.push_back(s.current->id);
  if (full) release_named(s.named[id]);
  return depart();
}

void arrive_named(uint32_t id, uint32_t threads, const Where& where) {
  if (is_dropped("bar.arrive", where)) return;
  if (arrive(id, threads, "bar.arrive", where)) release_named(s.named[id]);
  enter(*s.current);  // with its new clock
}

}  // namespace tconv::emulator
