// SPDX-License-Identifier: Apache-2.0
// simd_costs.cpp: times every tile of the family `simd` on problems whose keys stand on stdin, one
// to a line, on one thread with packed filters. A JSON line each: the time, and the work that the
// planner counts. bench/fit_costs makes the planner's constants of such lines.
#include <chrono>
#include <cstdio>
#include <iostream>
#include <span>
#include <string>
#include <vector>

#include "src/host/cpu/simd/kernels.h"
#include "src/host/plan/plan.h"
#include "src/host/problem/errors.h"
#include "src/host/run/run.h"
#include "tests/support/support.h"

namespace tconv::host {
namespace {

constexpr double kSlowestUs = 2e5;  // of one run: beyond this a tile is nobody's choice

double run_us(const Plan& plan, const Tensors& tensors, std::size_t workspace) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  run(plan, tensors, {.workspace = workspace}, nullptr);
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

/// The quickest of at least 3 runs and about 50 ms.
double least_us(const Plan& plan) {
  test::Operands operands = test::uniform(plan.problem(), 1);
  test::Bytes packed(plan.packed_filter_bytes()), workspace(plan.workspace_bytes());
  prepack(plan, operands.filters.data(), packed.data(), packed.size(), nullptr);
  Tensors tensors = operands.tensors();
  tensors.filters = packed.data(), tensors.workspace = workspace.data();
  double least = run_us(plan, tensors, workspace.size()), sum = least;
  for (int runs = 1; least < kSlowestUs && (runs < 3 || sum < 5e4); ++runs) {
    const double us = run_us(plan, tensors, workspace.size());
    least = std::min(least, us), sum += us;
  }
  return least;
}

void time_tiles(const Problem& problem) {
  constexpr const char* kCostings[] = {"tiles", "columns", "depthwise", "pixels"};
  for (const char* method : std::span(kCostings).first(3)) {
    try {
      const Plan plan =
          make_plan(problem, {.device = DeviceKind::cpu,
                              .kernels = {"simd"},
                              .tile = std::string(method) + "_" + simd::best_target()->name,
                              .prepacked_filters = true,
                              .threads = 1});
      const auto& state = static_cast<const simd::State&>(plan.state());
      const simd::Work w = simd::count_work(problem, state);
      const char* costing = kCostings[static_cast<int>(state.costing())];
      std::printf(
          "{\"key\": \"%s\", \"method\": \"%s\", \"target\": \"%s\", \"us\": %.3f, "
          "\"estimate_us\": %.3f, \"multiply\": %.0f, \"tile\": %.0f, \"turned\": %.0f, "
          "\"passed\": %.0f, \"added\": %.0f, \"byte\": %.0f, \"fetched\": %.0f}\n",
          problem.key().c_str(), costing, simd::best_target()->name, least_us(plan),
          plan.estimate_us(), w.macs / static_cast<double>(state.lanes), w.tiles, w.turned,
          w.passed, w.added, w.memory, w.fetched);
      std::fflush(stdout);
    } catch (const Unsupported&) {
    }
  }
}

}  // namespace
}  // namespace tconv::host

int main() {
  for (std::string key; std::getline(std::cin, key);) {
    if (!key.empty()) tconv::host::time_tiles(tconv::host::Problem(tconv::host::parse_key(key)));
  }
}
