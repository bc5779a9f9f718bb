// SPDX-License-Identifier: Apache-2.0
// handle_pool.h: a vendor library's handles for one device, shared by all plans and threads.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace tconv::host {

/// Every plan adds a handle until there are kMost. A run waits for one (for the microseconds of
/// another thread's enqueueing) rather than creates one, because that allocates and would end a
/// capture. Handles are never destroyed: at the end of the process the driver may go first.
template <typename Handle>
class HandlePool {
 public:
  static constexpr std::size_t kMost = 4;

  /// Calls create(handle) unless there are enough; it returns whether it made one. False if the
  /// pool is empty afterwards.
  template <typename Create>
  bool grow(Create&& create) {
    const std::lock_guard lock(mutex_);
    Handle handle{};
    if (made_ < kMost && create(handle)) {
      free_[free_count_++] = handle;
      ++made_;
      returned_.notify_one();
    }
    return made_ > 0;
  }

  Handle take() {
    std::unique_lock lock(mutex_);
    returned_.wait(lock, [&] { return free_count_ > 0; });
    return free_[--free_count_];
  }

  void give_back(Handle handle) {
    {
      const std::lock_guard lock(mutex_);
      free_[free_count_++] = handle;
    }
    returned_.notify_one();
  }

  std::size_t made() const {
    const std::lock_guard lock(mutex_);
    return made_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable returned_;
  std::array<Handle, kMost> free_{};
  std::size_t free_count_ = 0, made_ = 0;
};

/// A handle for the length of a scope. Who holds one must wait for nothing: others wait for it.
template <typename Handle>
class HandleLease {
 public:
  explicit HandleLease(HandlePool<Handle>& pool) : pool_(pool), handle_(pool.take()) {}
  ~HandleLease() { pool_.give_back(handle_); }
  HandleLease(const HandleLease&) = delete;
  HandleLease& operator=(const HandleLease&) = delete;
  Handle get() const { return handle_; }

 private:
  HandlePool<Handle>& pool_;
  Handle handle_;
};

}  // namespace tconv::host
