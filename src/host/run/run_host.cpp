// SPDX-License-Identifier: Apache-2.0
// run_host.cpp: runs on tensors in host memory, for programs: everything that `run` leaves to its
// caller (device memory, copies, workspace, packing, timing) in one synchronous call.
#include <chrono>

#include "src/host/plan/on_device.h"
#include "src/host/problem/errors.h"
#include "src/host/run/run.h"
#include "src/host/run/staging.h"

namespace tconv::host {
namespace {

/// Microseconds of one of `runs` calls of `run`, by the host's clock.
template <typename Run>
double host_sample(int runs, Run&& run) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  for (int i = 0; i < runs; ++i) run();
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count() / runs;
}

/// Likewise, of what `run` enqueues on `stream`.
template <typename Run>
double device_sample(int runs, Stream stream, Run&& run) {
  const DeviceEvent begin, end;
  gpu().record(begin.get(), stream);
  for (int i = 0; i < runs; ++i) run();
  gpu().record(end.get(), stream);
  return gpu().elapsed_us(begin.get(), end.get()) / runs;
}

void check_samples(const Plan& plan, const Tensors& tensors, int samples, int runs) {
  if (samples < 1) refuse("samples", samples, "at least 1");
  if (runs < 1) refuse("runs", runs, "at least 1");
  if (tensors.residual != nullptr && tensors.residual == tensors.output &&
      (samples > 1 || runs > 1) && plan.problem().residual_bytes() > 0) {
    refuse("tensors.residual", "tensors.output", "other memory where more than one run adds it");
  }
}

void run_on_device(const Plan& plan, const Tensors& tensors, int samples, int runs,
                   double* us_per_run) {
  const int64_t bytes = plan.problem().output_bytes();
  const DeviceOperands operands(plan.problem(), tensors);
  // The output is copied too: bytes that no run writes come back as they were.
  DeviceMemory output;
  DeviceOperands::upload(output, tensors.output, bytes);
  const Prepared<DeviceMemory> prepared(plan, operands.with_output(output.data()));
  for (int i = 0; i < samples; ++i) {
    const double us = device_sample(runs, nullptr, [&] { prepared.run(plan); });
    if (us_per_run != nullptr) us_per_run[i] = us;
  }
  if (bytes == 0) return;
  gpu().copy(tensors.output, output.data(), static_cast<std::size_t>(bytes), Copy::to_host,
             nullptr);
  gpu().synchronise(nullptr);
}

void run_on_host(const Plan& plan, const Tensors& tensors, int samples, int runs,
                 double* us_per_run) {
  const Prepared<HostMemory> prepared(plan, tensors);
  for (int i = 0; i < samples; ++i) {
    const double us = host_sample(runs, [&] { prepared.run(plan); });
    if (us_per_run != nullptr) us_per_run[i] = us;
  }
}

}  // namespace

void time_runs(const Plan& plan, const Tensors& tensors, const StatedBytes& stated, Stream stream,
               int samples, int runs, double* us_per_run) {
  check_samples(plan, tensors, samples, runs);
  if (us_per_run == nullptr) {
    refuse("us_per_run", "null", "room for " + std::to_string(samples) + " numbers");
  }
  const bool on_gpu = plan.device().kind == DeviceKind::cuda;
  check_device(plan);
  naming_the_problem(plan, [&] {
    if (on_gpu && gpu().is_capturing(stream)) {
      throw Unsupported("runs on a stream that is captured into a CUDA graph cannot be timed");
    }
    const auto once = [&] { run(plan, tensors, stated, stream); };
    for (int i = 0; i < samples; ++i) {
      us_per_run[i] = on_gpu ? device_sample(runs, stream, once) : host_sample(runs, once);
    }
  });
}

void run_host(const Plan& plan, const Tensors& tensors, const StatedBytes& stated, int samples,
              int runs, double* us_per_run) {
  check_samples(plan, tensors, samples, runs);
  check_device(plan);
  check_host_tensors(plan.problem(), tensors, stated);
  if (plan.device().kind != DeviceKind::cuda) {
    return run_on_host(plan, tensors, samples, runs, us_per_run);
  }
  naming_the_problem(plan, [&] { run_on_device(plan, tensors, samples, runs, us_per_run); });
}

}  // namespace tconv::host
