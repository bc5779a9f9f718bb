// SPDX-License-Identifier: Apache-2.0
// switch.h: from thread to thread. Inline in what waits: it runs for each thread at each barrier.
#pragma once

#include "tests/emulator/scheduler.h"

// shim.h declares it const, which the names of variables do not show.
extern uint3 threadIdx;

namespace tconv::emulator {

namespace context = boost::context::detail;

inline void enter(Fiber& fiber) {
  s.current = &fiber;
  threadIdx = fiber.coordinates;
  hot.stack = reinterpret_cast<uintptr_t>(fiber.stack);
  hot.thread = static_cast<uint32_t>(fiber.id);
  hot.epoch = s.clocks[fiber.id] << kThreadBits | hot.thread;
  hot.seen = fiber.seen;
}

/// The next thread, of another warp. Null if there is none.
Fiber* next_of_queue();

inline Fiber* next_ready() {
  Warp& warp = *s.current_warp;
  if (warp.next == warp.count) [[unlikely]]
    return next_of_queue();
  return warp.first + warp.lanes[warp.next++];
}

/// The running thread goes on. Not inline: GCC jumps to depart()'s last call only if all that it
/// may return are calls.
Departure stay();

/// Leaves the running thread for whoever looks what the block waits for.
Departure depart_to_main();

/// Leaves the running thread, which waits. It returns when it is this thread's turn again.
inline Departure depart() {
  Fiber& mine = *s.current;
  Fiber* const next = next_ready();
  if (next == nullptr) [[unlikely]]
    return depart_to_main();
  enter(*next);
  if (next == &mine) [[unlikely]]
    return stay();
  ++hot.switches;
  return context::jump_fcontext(next->context, &mine.context);
}

/// The context of the thread that left.
inline void set_context(Departure of) { *static_cast<void**>(of.data) = of.fctx; }

}  // namespace tconv::emulator
