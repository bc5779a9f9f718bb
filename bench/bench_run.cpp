// SPDX-License-Identifier: Apache-2.0
// bench_run.cpp: what tconv itself costs on the host: run on a row that does nothing, and planning.
#include <benchmark/benchmark.h>

#include <vector>

#include "src/host/plan.h"

namespace tconv::host {
namespace {

std::string takes_all(const Problem&, const Options&, const DeviceFacts&) { return ""; }
double nothing_us(const Problem&, int, const Options&, const DeviceFacts&) { return 0; }
std::shared_ptr<const KernelState> no_state(const Problem&, int, const Options&,
                                            const DeviceFacts&) {
  return std::make_shared<KernelState>();
}
void nothing(const Problem&, const KernelState&, const Tensors&, Stream) {}
constexpr const char* kTiles[] = {"none"};
constexpr DType kTypes[] = {DType::f32};
constexpr Kernel kNothing = {.name = "nothing",
                             .device = DeviceKind::cpu,
                             .tiles = kTiles,
                             .dtypes = kTypes,
                             .declines = takes_all,
                             .estimate_us = nothing_us,
                             .prepare = no_state,
                             .launch = nothing,
                             .prepack = nullptr};

/// Every tensor that a problem can have, so that every check is made.
Problem full_problem() {
  ProblemDesc d;
  d.in_c = d.out_c = 4;
  d.has_bias = d.has_residual = true;
  d.activation = Activation::prelu;
  return Problem(d);
}

void run_on_a_row_that_does_nothing(benchmark::State& state) {
  alignas(256) float memory[64] = {};
  const Tensors tensors{memory, memory, memory, memory, memory, memory, memory};
  const std::vector<const Kernel*> table = {&kNothing};
  const Plan plan = make_plan(full_problem(), {}, cpu_facts(), table);
  for (auto _ : state) run(plan, tensors, {}, nullptr);
}
BENCHMARK(run_on_a_row_that_does_nothing);

void plan_of_a_row_that_does_nothing(benchmark::State& state) {
  const std::vector<const Kernel*> table = {&kNothing};
  const Problem problem = full_problem();
  for (auto _ : state) benchmark::DoNotOptimize(make_plan(problem, {}, cpu_facts(), table));
}
BENCHMARK(plan_of_a_row_that_does_nothing);

void problem_constructor(benchmark::State& state) {
  const ProblemDesc desc = full_problem().desc();
  for (auto _ : state) benchmark::DoNotOptimize(Problem(desc));
}
BENCHMARK(problem_constructor);

}  // namespace
}  // namespace tconv::host
