// SPDX-License-Identifier: Apache-2.0
// bench_run.cpp: what tconv itself costs on the host: planning, resizing, and run on a row that
// does nothing. For CUDA, over a fake GPU, the bars are: run 2 us, a plan 200 us, resized 20 us.
#include <benchmark/benchmark.h>

#include <vector>

#include "src/host/plan/plan.h"
#include "src/host/run/run.h"
#include "tests/support/fake_gpu.h"
#include "tests/support/fake_rows.h"

namespace tconv::host {
namespace {

std::string takes_all(const Problem&, const Options&, const DeviceFacts&) { return ""; }
Considered nothing_us(const Problem&, int, const Options&, const DeviceFacts&) { return {}; }
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
                             .consider = nothing_us,
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

// ---- CUDA, over a fake GPU ----------------------------------------------------------------------

constexpr const Kernel* kFakeTable[] = {&test::rows::kFake};

void cuda_run(benchmark::State& state) {
  test::FakeGpu fake;
  alignas(256) float memory[256] = {};
  const Tensors tensors{memory, memory, memory, memory, memory, memory, memory};
  const Plan plan = make_plan(full_problem(), {}, kFakeTable);
  const StatedBytes stated{.workspace = plan.workspace_bytes()};
  for (auto _ : state) run(plan, tensors, stated, nullptr);
}
BENCHMARK(cuda_run);

#ifdef TCONV_WITH_CUDA
/// The real row: all that it does on the host.
void cuda_run_gather(benchmark::State& state) {
  test::FakeGpu fake;
  alignas(256) float memory[256] = {};
  const Tensors tensors{memory, memory, memory, memory, memory, memory, memory};
  const Plan plan = make_plan(full_problem(), {.kernels = {"gather"}});
  for (auto _ : state) run(plan, tensors, {}, nullptr);
}
BENCHMARK(cuda_run_gather);
#endif

void cuda_plan(benchmark::State& state) {
  test::FakeGpu fake;
  const Problem problem = full_problem();
  for (auto _ : state) benchmark::DoNotOptimize(make_plan(problem, {}, kFakeTable));
}
BENCHMARK(cuda_plan);

void cuda_resized(benchmark::State& state) {
  test::FakeGpu fake;
  const Plan plan = make_plan(full_problem(), {}, kFakeTable);
  for (auto _ : state) benchmark::DoNotOptimize(resized(plan, 2, 7, 9));
}
BENCHMARK(cuda_resized);

/// The rows of this build, those for CUDA on a GPU that is not here.
void plan_of_the_whole_table(benchmark::State& state, const Options& options) {
  const Problem problem = full_problem();
  for (auto _ : state) benchmark::DoNotOptimize(make_plan(problem, options));
}
#ifdef TCONV_WITH_CUDA
BENCHMARK_CAPTURE(plan_of_the_whole_table, h200, {.device_model = "h200"});
BENCHMARK_CAPTURE(plan_of_the_whole_table, gather, {.kernels = {"gather"}, .device_model = "h200"});
#endif
BENCHMARK_CAPTURE(plan_of_the_whole_table, cpu, {.device = DeviceKind::cpu});

}  // namespace
}  // namespace tconv::host
