// SPDX-License-Identifier: Apache-2.0
// threads.h: one pool of threads for the whole process.
#pragma once

#include <cstdint>
#include <type_traits>

namespace tconv::host {

/// Makes sure that `threads` - 1 helpers exist, so that no run starts one.
void start_threads(int threads);

namespace detail {
using TaskFunction = void (*)(void* context, int64_t task, int thread);
void for_each_task(int64_t tasks, int threads, TaskFunction function, void* context);
}  // namespace detail

/// Calls body(task, thread) once for each task, on the calling thread (number 0) and up to threads - 1
/// helpers (1 ..). Returns when all are done. Allocates nothing. Where the helpers are busy with another
/// caller's tasks, the calling thread does all of its own: cores are never asked for twice.
template <typename Body>
void for_each_task(int64_t tasks, int threads, Body&& body) {
  using Plain = std::remove_reference_t<Body>;
  detail::for_each_task(
      tasks, threads,
      [](void* context, int64_t task, int thread) { (*static_cast<Plain*>(context))(task, thread); },
      &body);
}

}  // namespace tconv::host
