// SPDX-License-Identifier: Apache-2.0
// test_threads.cpp: every task once, whoever runs it; nobody waits for another's.
#include <gtest/gtest.h>

#include "src/host/cpu/threads.h"
#if defined(__unix__)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace tconv::test {
namespace {

using host::CallersThreads;
using host::for_each_task;
using host::start_threads;

/// How often each task ran, and whether two ran at once under one number.
struct Tally {
  std::vector<std::atomic<int>> runs, busy;
  std::atomic<int> clashes = 0;
  Tally(int64_t tasks, int threads)
      : runs(static_cast<std::size_t>(tasks)), busy(static_cast<std::size_t>(threads)) {}

  void operator()(int64_t task, int thread) {
    clashes += busy[static_cast<std::size_t>(thread)].exchange(1);
    ++runs[static_cast<std::size_t>(task)];
    busy[static_cast<std::size_t>(thread)] = 0;
  }
  bool each_once() const {
    return clashes == 0 && std::all_of(runs.begin(), runs.end(), [](int n) { return n == 1; });
  }
};

TEST(Threads, EachTaskOnce) {
  start_threads(4);
  for (const int threads : {1, 2, 3, 4, 9}) {
    for (const int64_t tasks : {0, 1, 2, 5, 1000}) {
      for (int again = 0; again < 20; ++again) {
        Tally tally(tasks, threads);
        for_each_task(tasks, threads, {}, tally);
        EXPECT_TRUE(tally.each_once()) << threads << " threads, " << tasks << " tasks";
      }
    }
  }
}

TEST(Threads, SayHowFarTheyAre) {
  struct Reports {
    std::thread::id thread = std::this_thread::get_id();
    std::vector<double> shares;
    bool elsewhere = false;
  };
  start_threads(2);
  for (const int threads : {1, 2}) {
    Reports reports;
    reports.shares.reserve(100);
    const CallersThreads callers = {.progress =
                                        [](double done, void* user) {
                                          auto& r = *static_cast<Reports*>(user);
                                          r.elsewhere |= std::this_thread::get_id() != r.thread;
                                          r.shares.push_back(done);
                                        },
                                    .progress_user = &reports};
    std::atomic<int> ran = 0;
    for_each_task(100, threads, callers, [&](int64_t, int) { ++ran; });
    EXPECT_FALSE(reports.elsewhere);
    EXPECT_TRUE(std::ranges::is_sorted(reports.shares));
    for (const double share : reports.shares) EXPECT_TRUE(share > 0 && share <= 1) << share;
    if (threads > 1) continue;  // a helper may have done all
    ASSERT_EQ(reports.shares.size(), 100U);
    for (std::size_t i = 0; i < 100; ++i) {
      EXPECT_EQ(reports.shares[i], static_cast<double>(i + 1) / 100);
    }
  }
}

TEST(Threads, HelpersHelp) {
  start_threads(2);
  // Two tasks that end only when both have begun: with one thread they never would.
  std::atomic<int> begun = 0;
  for_each_task(2, 2, {}, [&](int64_t, int) {
    ++begun;
    while (begun < 2) std::this_thread::yield();
  });
  EXPECT_EQ(begun, 2);
}

TEST(Threads, CallersAtOnceDoTheirOwn) {
  start_threads(3);
  std::vector<std::thread> callers;
  std::atomic<int> wrong = 0;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int again = 0; again < 200; ++again) {
        Tally tally(7, 3);
        for_each_task(7, 3, {}, tally);
        wrong += tally.each_once() ? 0 : 1;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Threads, TasksMayHaveTasks) {
  start_threads(3);
  std::atomic<int> inner = 0;
  for_each_task(5, 3, {},
                [&](int64_t, int) { for_each_task(4, 3, {}, [&](int64_t, int) { ++inner; }); });
  EXPECT_EQ(inner, 20);
}

TEST(Threads, CallersThreadsTakeTheTasks) {
  int32_t asked = 0;
  const CallersThreads backwards = {
      [](void* user, int32_t count, void (*body)(void*, int32_t), void* context) {
        *static_cast<int32_t*>(user) = count;
        for (int32_t i = count - 1; i >= 0; --i) body(context, i);
      },
      &asked};
  Tally tally(100, 3);
  for_each_task(100, 3, backwards, tally);
  EXPECT_TRUE(tally.each_once());
  EXPECT_EQ(asked, 3);
  Tally few(2, 3);
  for_each_task(2, 3, backwards, few);
  EXPECT_TRUE(few.each_once());
  EXPECT_EQ(asked, 2);
}

#if defined(__unix__)
TEST(Threads, AForkWorksAlone) {
  start_threads(3);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Tally tally(50, 3);
    for_each_task(50, 3, {}, tally);
    _exit(tally.each_once() ? 7 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}
#endif

}  // namespace
}  // namespace tconv::test
