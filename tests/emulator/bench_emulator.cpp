// SPDX-License-Identifier: Apache-2.0
// bench_emulator.cpp: how fast the emulator is. Rates hold for the machine that prints them.
#include <benchmark/benchmark.h>

#include <boost/context/detail/fcontext.hpp>
#include <memory>
#include <numeric>
#include <vector>

#include "src/host/plan/plan.h"
#include "src/host/run/run.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/kernels/faults.h"
#include "tests/support/support.h"

namespace tconv::emulator {
namespace {

namespace context = boost::context::detail;

benchmark::Counter rate(uint64_t count) {
  return {static_cast<double>(count), benchmark::Counter::kIsRate};
}

/// A context that only jumps to the next one.
struct Bare {
  void* context = nullptr;  ///< while it does not run
  Bare* next = nullptr;
  std::unique_ptr<unsigned char[]> stack;

  /// Jumps on; comes back when it is this one's turn again.
  void pass() {
    const context::transfer_t from = context::jump_fcontext(next->context, &context);
    *static_cast<void**>(from.data) = from.fctx;
  }
  static void run(context::transfer_t from) {
    Bare& mine = *static_cast<Bare*>(from.data);
    from = context::jump_fcontext(from.fctx, nullptr);
    *static_cast<void**>(from.data) = from.fctx;
    for (;;) mine.pass();
  }
};

/// What no scheduler can beat: bare contexts in a ring, their stacks as far apart as the
/// emulator's.
void bare_switches(benchmark::State& state) {
  constexpr std::size_t kStackBytes = 132 << 10;
  std::vector<Bare> ring(static_cast<std::size_t>(state.range(0)));
  for (std::size_t i = 0; i < ring.size(); ++i) {
    Bare& bare = ring[i];
    bare.next = &ring[(i + 1) % ring.size()];
    if (i == 0) continue;  // this function itself
    bare.stack = std::make_unique_for_overwrite<unsigned char[]>(kStackBytes);
    const std::size_t bytes = kStackBytes - i % 64 * 64;
    bare.context = context::make_fcontext(bare.stack.get() + bytes, bytes, Bare::run);
    bare.context = context::jump_fcontext(bare.context, &bare).fctx;
  }
  for (auto _ : state) ring.front().pass();
  state.counters["switches"] = rate(static_cast<uint64_t>(state.iterations()) * ring.size());
}
BENCHMARK(bare_switches)->Arg(32)->Arg(128)->Arg(256)->Arg(1024);

/// Barriers and nothing else: thread switches a second.
void switches(benchmark::State& state) {
  configure({});
  const auto threads = static_cast<unsigned>(state.range(0));
  uint64_t count = 0;
  for (auto _ : state) {
    cuda::faults::launch_barriers({.count = 2000, .threads = threads});
    count += reports().back().switches;
    forget_reports();
  }
  state.counters["switches"] = rate(count);
}
BENCHMARK(switches)->Arg(32)->Arg(128)->Arg(256)->Arg(1024)->Unit(benchmark::kMillisecond);

/// The row gather on a problem of a million multiply-adds.
void gather(benchmark::State& state, const Config& config, host::DType type) {
  configure(config);
  host::ProblemDesc d;
  d.in_c = d.out_c = 32;
  d.h = d.w = {.in = 8, .kernel = 4, .stride = 2, .dilation = 1, .pad_begin = 1, .out = 16};
  d.dtype = d.output_dtype = d.bias_dtype = type;
  const host::Problem problem(d);
  host::Options options;
  options.kernels = {"gather"};
  const host::Plan plan = host::make_plan(problem, options);
  test::Operands operands = test::small_integers(problem, 1);
  uint64_t accesses = 0, products = 0;
  for (auto _ : state) {
    host::run_host(plan, operands.tensors(), {}, 1, 1, nullptr);
    accesses += reports().back().accesses;
    products += reports().back().counters.multiply_adds;
    forget_reports();
  }
  state.counters["accesses"] = rate(accesses);
  state.counters["multiply_adds"] = rate(products);
}
BENCHMARK_CAPTURE(gather, f32_checks, Config{}, host::DType::f32)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(gather, f16_checks, Config{}, host::DType::f16)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(gather, f32_counts, Config{.count = true}, host::DType::f32)
    ->Unit(benchmark::kMillisecond);

/// A run that leaves one synchronisation out.
void dropped_site(benchmark::State& state) {
  configure({});
  std::vector<float> values(1024);
  std::iota(values.begin(), values.end(), 0.0F);
  auto *const x = static_cast<float*>(allocate(4096)), *const y =
                                                           static_cast<float*>(allocate(4096));
  std::copy(values.begin(), values.end(), x);
  set_written(x, 4096, true);
  const cuda::faults::FaultArgs args{x, y, 1024, 64};
  cuda::faults::launch_pipeline(args);
  Config config;
  config.drop = {reports().back().sites.back().site};
  configure(config);
  for (auto _ : state) {
    try {
      cuda::faults::launch_pipeline(args);
    } catch (const std::exception&) {  // it was found, which is what is timed
    }
    forget_reports();
  }
  release(y);
  release(x);
}
BENCHMARK(dropped_site)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tconv::emulator

BENCHMARK_MAIN();
