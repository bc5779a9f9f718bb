// SPDX-License-Identifier: Apache-2.0
// threads.cpp: helpers sleep on a condition variable; tasks are handed out one by one.
#include "src/host/cpu/threads.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace tconv::host {
namespace {

int64_t process_id() {
#if defined(__unix__) || defined(__APPLE__)
  return getpid();
#else
  return 0;
#endif
}

/// One caller's tasks.
class Batch {
 public:
  Batch(int64_t tasks, detail::TaskFunction function, void* context, const CallersThreads& callers)
      : tasks_(tasks), function_(function), context_(context), callers_(callers) {}

  int64_t tasks() const { return tasks_; }
  void work(int thread) {
    for (int64_t task = next_++; task < tasks_; task = next_++) {
      function_(context_, task, thread);
      if (callers_.progress != nullptr) report(thread);
    }
  }

 private:
  /// Thread 0 is the caller's own.
  void report(int thread) {
    const int64_t done = ++finished_;
    if (thread != 0) return;
    callers_.progress(static_cast<double>(done) / static_cast<double>(tasks_),
                      callers_.progress_user);
  }

  const int64_t tasks_;
  const detail::TaskFunction function_;
  void* const context_;
  const CallersThreads& callers_;
  std::atomic<int64_t> next_ = 0, finished_ = 0;
};

class Pool {
 public:
  ~Pool() {
    if (process_id() != process_) {  // a fork has none of the threads; nothing may be joined
      for (std::thread& helper : helpers_) helper.detach();
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      ends_ = true;
    }
    wake_.notify_all();
    for (std::thread& helper : helpers_) helper.join();
  }

  void start(int count) {
    // Before the mutex, which a thread of the parent may have held when this process was forked.
    if (process_id() != process_) return;
    const std::lock_guard lock(mutex_);
    while (static_cast<int>(helpers_.size()) < count) {
      const int number = static_cast<int>(helpers_.size()) + 1;
      try {
        helpers_.emplace_back([this, number] { help(number); });
      } catch (const std::system_error&) {
        return;  // as many as the system gives; the caller works in any case
      }
    }
  }

  void run(Batch& batch, int threads) {
    // No mutex: a task may itself have tasks, and then it is this thread that finds the pool busy.
    if (process_id() != process_ || busy_.exchange(true, std::memory_order_acquire))
      return batch.work(0);
    {
      const std::lock_guard lock(mutex_);
      const int64_t useful = std::min<int64_t>(threads, batch.tasks()) - 1;
      wanted_ = static_cast<int>(std::min<int64_t>(useful, static_cast<int64_t>(helpers_.size())));
      batch_ = &batch;
    }
    wake_.notify_all();
    batch.work(0);
    std::unique_lock lock(mutex_);
    wanted_ = 0;  // who has not begun need not
    batch_ = nullptr;
    done_.wait(lock, [&] { return working_ == 0; });
    busy_.store(false, std::memory_order_release);
  }

 private:
  void help(int number) {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [&] { return ends_ || number <= wanted_; });
      if (ends_) return;
      Batch& batch = *batch_;
      ++working_;
      lock.unlock();
      batch.work(number);
      lock.lock();
      // All tasks are handed out: nobody else need begin.
      if (batch_ == &batch) wanted_ = 0;
      if (--working_ == 0) done_.notify_one();
    }
  }

  const int64_t process_ = process_id();
  std::atomic<bool> busy_ = false;  ///< with a caller's tasks
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::vector<std::thread> helpers_;
  Batch* batch_ = nullptr;
  int wanted_ = 0, working_ = 0;
  bool ends_ = false;
};

Pool& pool() {
  static Pool pool;
  return pool;
}

}  // namespace

void start_threads(int threads) { pool().start(threads - 1); }

void detail::for_each_task(int64_t tasks, int threads, const CallersThreads& callers,
                           TaskFunction function, void* context) {
  Batch batch(tasks, function, context, callers);
  if (threads < 2 || tasks < 2) return batch.work(0);
  if (callers.parallel_for == nullptr) return pool().run(batch, threads);
  callers.parallel_for(
      callers.user, static_cast<int32_t>(std::min<int64_t>(threads, tasks)),
      [](void* of_batch, int32_t index) { static_cast<Batch*>(of_batch)->work(index); }, &batch);
}

}  // namespace tconv::host
