// SPDX-License-Identifier: Apache-2.0
// timed_plan.cpp: see timed_plan.h.
#include "bench/gpu/timed_plan.h"

#include <algorithm>

#include "bench/gpu/timing.h"
#include "src/host/run/run.h"

namespace tconv::bench {

double sample_us(Launcher& launcher, LaunchGraph& graph, int64_t launches) {
  const host::DeviceEvent begin, end;
  host::gpu().record(begin.get(), launcher.stream());
  graph.launch();
  host::gpu().record(end.get(), launcher.stream());
  return host::gpu().elapsed_us(begin.get(), end.get()) / static_cast<double>(launches);
}

TimedPlan::TimedPlan(Launcher& launcher, const RotatingBuffers& buffers, host::Plan plan)
    : launcher_(&launcher),
      buffers_(&buffers),
      plan_(std::move(plan)),
      workspace_(plan_.workspace_bytes()) {
  const bool packs = plan_.packed_filter_bytes() > 0;
  for (int64_t set = 0; packs && set < buffers.sets(); ++set) {
    prepack(plan_, buffers.tensors(set, false).filters, buffers.packed_filters(set),
            buffers.packed_filter_bytes(), launcher.stream());
  }
  host::gpu().synchronise(launcher.stream());
}

void TimedPlan::run(int64_t set) const {
  host::Tensors tensors = buffers_->tensors(set, plan_.packed_filter_bytes() > 0);
  tensors.workspace = workspace_.data();
  host::run(plan_, tensors, {.workspace = plan_.workspace_bytes()}, launcher_->stream());
}

std::unique_ptr<LaunchGraph> TimedPlan::graph_of(int64_t launches, int64_t sets) const {
  return launcher_->capture([this, launches, sets] {
    for (int64_t i = 0; i < launches; ++i) run(i % sets);
  });
}

void TimedPlan::capture(bool cold) {
  const int64_t sets = cold ? buffers_->sets() : 1;
  if (first_us_ == 0) {
    graph_ = graph_of(buffers_->sets(), buffers_->sets());
    launches_ = buffers_->sets();
    (void)sample();  // the first launch of a graph also loads it
    first_us_ = std::max(sample(), 1e-3);
  }
  const int64_t launches = launches_per_sample(first_us_, kSampleUs, sets, kMostLaunches);
  if (cold && launches == launches_) return;
  graph_ = graph_of(launches, sets);
  launches_ = launches;
}

}  // namespace tconv::bench
