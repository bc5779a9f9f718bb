// SPDX-License-Identifier: Apache-2.0
// timed_plan.h: a plan bound to rotating buffers, and samples of its time, cold and warm.
#pragma once

#include <memory>

#include "bench/gpu/buffers.h"
#include "bench/gpu/launcher.h"
#include "src/host/plan/plan.h"

namespace tconv::bench {

/// Microseconds between two events around `graph`, over `launches`.
double sample_us(Launcher& launcher, LaunchGraph& graph, int64_t launches);

class TimedPlan {
 public:
  static constexpr double kSampleUs = 200;  ///< the least that a sample takes
  static constexpr int64_t kMostLaunches = 4096;

  /// Packs the filters of every set, if the plan wants that, and allocates the workspace.
  TimedPlan(Launcher& launcher, const RotatingBuffers& buffers, host::Plan plan);

  const host::Plan& plan() const { return plan_; }
  /// Enqueues one run.
  void run(int64_t set) const;
  /// Microseconds of one run, from a first look at cold buffers; known after capture().
  double first_us() const { return first_us_; }
  /// Makes the graph that samples launch: over all sets in turn (cold), or over one (warm).
  void capture(bool cold);
  int64_t launches() const { return launches_; }
  double sample() const { return sample_us(*launcher_, *graph_, launches_); }

 private:
  std::unique_ptr<LaunchGraph> graph_of(int64_t launches, int64_t sets) const;

  Launcher* launcher_;
  const RotatingBuffers* buffers_;
  host::Plan plan_;
  host::DeviceMemory workspace_;
  double first_us_ = 0;
  int64_t launches_ = 0;
  std::unique_ptr<LaunchGraph> graph_;  // after the plan: it must go first
};

}  // namespace tconv::bench
