// SPDX-License-Identifier: Apache-2.0
// progress.cpp: see progress.h.
#include "src/cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "src/cli/text.h"

namespace tconv::cli {
namespace {

using std::chrono::duration;
constexpr double kPatience = 2;    // seconds of work before anything is shown
constexpr double kInterval = 0.1;  // seconds between two lines

std::string whole_time(double seconds) {
  if (seconds < 100) return format("%.0f s", seconds);
  if (seconds < 6000) return format("%.0f min", seconds / 60);
  return format("%.1f h", seconds / 3600);
}

}  // namespace

Progress::Progress(std::string label, bool quiet)
    : label_(std::move(label)), enabled_(!quiet && ::isatty(STDERR_FILENO) != 0) {}

void Progress::update(double done) {
  if (!enabled_) return;
  const Clock::time_point now = Clock::now();
  const double elapsed = duration<double>(now - begin_).count();
  if (elapsed < kPatience) return;
  if (shown_ && duration<double>(now - last_).count() < kInterval) return;
  last_ = now;
  shown_ = true;
  done = std::clamp(done, 0.0, 1.0);
  // 100 % is said by the end: what is not done is never rounded up to it.
  const std::string state = done > 0 ? format("%3.0f %%  ", std::floor(done * 100)) +
                                           whole_time(elapsed / done * (1 - done)) + " left"
                                     : whole_time(elapsed) + " so far";
  std::fprintf(stderr, "\r\033[K%s  %s", label_.c_str(), state.c_str());
  std::fflush(stderr);
}

void Progress::clear() {
  if (!shown_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  shown_ = false;
}

void Progress::callback(double done, void* self) { static_cast<Progress*>(self)->update(done); }

Ticker::Ticker(Progress& progress, std::function<double()> share) {
  if (!progress.enabled()) return;
  thread_ = std::thread([this, &progress, share = std::move(share)] {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, std::chrono::milliseconds(200), [this] { return over_; })) {
      progress.update(share());
    }
  });
}

Ticker::~Ticker() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

}  // namespace tconv::cli
