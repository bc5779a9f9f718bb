// SPDX-License-Identifier: Apache-2.0
// progress.h: what is done and how long it will take, on stderr, for whoever waits at a terminal.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace tconv::cli {

/// One line that is rewritten in place; shown once the work has lasted 2 seconds. Silent if stderr
/// is no terminal or `quiet`. Gone when it is destroyed.
class Progress {
 public:
  Progress(std::string label, bool quiet);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  bool enabled() const { return enabled_; }
  void set_label(std::string label) { label_ = std::move(label); }
  /// `done`: the share done, 0..1; 0: nobody knows it yet.
  void update(double done);
  /// Takes the line away, so that results can be printed where it was.
  void clear();
  /// A tconv_progress_function for tconv_verify; `self` is the Progress.
  static void callback(double done, void* self);

 private:
  using Clock = std::chrono::steady_clock;
  std::string label_;
  bool enabled_, shown_ = false;
  Clock::time_point begin_ = Clock::now(), last_ = begin_;
};

/// Feeds a Progress from a second thread while one call blocks, with the share that the call itself
/// says it has done. The Progress must not be used by anybody else meanwhile.
class Ticker {
 public:
  Ticker(Progress& progress, std::function<double()> share);
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace tconv::cli
