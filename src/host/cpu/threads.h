// SPDX-License-Identifier: Apache-2.0
// threads.h: tasks on several threads: the caller's own, or one pool for the whole process.
#pragma once

#include <cstdint>
#include <type_traits>

#include "src/host/plan/options.h"

namespace tconv::host {

/// Makes sure that the pool has `threads` - 1 helpers, so that no run starts one.
void start_threads(int threads);

namespace detail {
using TaskFunction = void (*)(void* context, int64_t task, int thread);
void for_each_task(int64_t tasks, int threads, const CallersThreads& callers, TaskFunction function,
                   void* context);
}  // namespace detail

/// Calls body(task, thread) once for each task, on up to `threads` threads: body never runs twice
/// at once with the same number, 0 .. threads-1. Returns when all are done. Allocates nothing.
/// Where the pool's helpers are busy with other tasks, the calling thread does all of these: cores
/// are never asked for twice. callers.progress is called by thread 0 after each of its tasks.
template <typename Body>
void for_each_task(int64_t tasks, int threads, const CallersThreads& callers, Body&& body) {
  using Plain = std::remove_reference_t<Body>;
  detail::for_each_task(
      tasks, threads, callers,
      [](void* context, int64_t task, int thread) {
        (*static_cast<Plain*>(context))(task, thread);
      },
      &body);
}

}  // namespace tconv::host
