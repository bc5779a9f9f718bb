// SPDX-License-Identifier: Apache-2.0
// probe_launch.cu: what a kernel costs that does nothing, alone, after another, and with
// programmatic dependent launch. Not yet run on a GPU.
#include <vector>

#include "bench/probes/launch.cuh"
#include "bench/probes/probe.h"
#include "src/cuda/ptx/grid_dependency.cuh"

namespace tconv::probes {
namespace {

constexpr int kThreads = 128;
constexpr int kKernels = 100;  // in one graph

__global__ void empty() {}

__global__ void empty_dependent() {
  cuda::ptx::grid_dependency_launch();
  cuda::ptx::grid_dependency_wait();
}

// Split-K in small: the first kernel writes partial sums, the second adds four of them.
__global__ void write_partials(float* partials, float value) {
  cuda::ptx::grid_dependency_launch();
  const int i = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  partials[i] = value + static_cast<float>(i % 5);
}

__global__ void add_partials(const float* partials, float* sums, int count) {
  cuda::ptx::grid_dependency_wait();
  const int i = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (i < count) {
    sums[i] = partials[i] + partials[i + count] + partials[i + 2 * count] + partials[i + 3 * count];
  }
}

// Microseconds of `enqueue`, captured kKernels times into one graph.
double graph_us(const Report& report, const std::function<void(cudaStream_t)>& enqueue) {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
  for (int i = 0; i < kKernels; ++i) {
    enqueue(stream);
  }
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
  cudaGraphExec_t executable = nullptr;
  check(cudaGraphInstantiate(&executable, graph, 0), "cudaGraphInstantiate");
  const double us =
      median_us(report, [&] { check(cudaGraphLaunch(executable, nullptr), "cudaGraphLaunch"); });
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
  return us / kKernels;
}

// From the call to the moment the host knows that the kernel ended.
double round_trip_us(const Report& report) {
  std::vector<double> samples;
  for (int i = 0; i < 200; ++i) {
    report.check_time();
    const auto start = std::chrono::steady_clock::now();
    launch(empty, {1, kThreads});
    check(cudaDeviceSynchronize(), "empty kernel");
    const std::chrono::duration<double, std::micro> gone = std::chrono::steady_clock::now() - start;
    samples.push_back(gone.count());
  }
  return median(samples);
}

struct SplitK {
  unsigned blocks;
  Buffer<float> partials;
  Buffer<float> sums;

  explicit SplitK(unsigned sums_blocks)
      : blocks(sums_blocks), partials(4 * blocks * kThreads), sums(blocks * kThreads) {}

  void enqueue(cudaStream_t stream, bool dependent, float value) const {
    launch(write_partials, {.blocks = 4 * blocks, .threads = kThreads, .stream = stream},
           partials.get(), value);
    launch(add_partials,
           {.blocks = blocks, .threads = kThreads, .dependent = dependent, .stream = stream},
           partials.get(), sums.get(), static_cast<int>(sums.count()));
  }

  // The second kernel must see what this call's first kernel wrote, every time.
  void verify(Report& report, bool dependent) const {
    const int count = static_cast<int>(sums.count());
    for (int round = 0; round < 20; ++round) {
      enqueue(nullptr, dependent, static_cast<float>(round));
      const std::vector<float> got = sums.read();
      for (int i = 0; i < count; ++i) {
        int expected = 4 * round;
        for (int part = 0; part < 4; ++part) {
          expected += (i + part * count) % 5;
        }
        if (got[static_cast<std::size_t>(i)] != static_cast<float>(expected)) {
          report.wrong("the second kernel read stale partial sums" +
                       std::string(dependent ? " under programmatic dependent launch" : ""));
          return;
        }
      }
    }
  }
};

void measure(Report& report) {
  const bool hopper = report.gpu().major >= 9;
  const auto sms = static_cast<unsigned>(report.gpu().multiProcessorCount);
  const auto stream_us = median_us(report, [] { launch(empty, {1, kThreads}); });
  report.measured("kernel after kernel in a stream", stream_us, "us", "2.0 [E]");
  report.measured("round trip: launch and wait on the host", round_trip_us(report), "us", "5 [E]");
  const double one = graph_us(report, [&](cudaStream_t stream) {
    launch(empty, {.blocks = sms, .threads = kThreads, .stream = stream});
  });
  report.measured("kernel after kernel in a graph, a block an SM", one, "us", "1.5 [E]");

  const SplitK split(sms);
  split.verify(report, false);
  const double plain =
      graph_us(report, [&](cudaStream_t stream) { split.enqueue(stream, false, 1); });
  report.measured("two kernels in a graph (partial sums, then their sum)", plain, "us", "3.5 [E]");
  if (!hopper) {
    report.not_run("programmatic dependent launch", "it needs compute capability 9.0");
    return;
  }
  split.verify(report, true);
  const double chained = graph_us(report, [&](cudaStream_t stream) {
    launch(empty_dependent,
           {.blocks = sms, .threads = kThreads, .dependent = true, .stream = stream});
  });
  report.measured("kernel after kernel in a graph, dependent launch", chained, "us", "1.0 [E]");
  const double dependent =
      graph_us(report, [&](cudaStream_t stream) { split.enqueue(stream, true, 1); });
  report.measured("two kernels in a graph, the second a dependent launch", dependent, "us",
                  "2.5 [E]");
  report.measured("price of the second kernel", dependent - one, "us", "1.0 [E]");
  report.decides("split-K",
                 "if the second kernel costs below 1.5 us, split-K is two kernels with "
                 "dependent launch; else the sum is made in a cluster through distributed shared "
                 "memory",
                 dependent - one < 1.5 ? "two kernels" : "a cluster");
  report.decides("launch floor",
                 "rows whose roofline is below the floor are judged by time, not by share of the "
                 "roofline",
                 "floor " + std::to_string(one) + " us");
}

}  // namespace
}  // namespace tconv::probes

int main(int argc, char** argv) {
  return tconv::probes::run(argc, argv,
                            {"launch",
                             "What is the least time of one launch, of two that depend on each "
                             "other, and what does programmatic dependent launch save?",
                             tconv::probes::About::Needs::kAmpereOrLater},
                            tconv::probes::measure);
}
