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

double host_sample(const Plan& plan, const Prepared<HostMemory>& prepared, int runs) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  for (int i = 0; i < runs; ++i) prepared.run(plan);
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count() / runs;
}

double device_sample(const Plan& plan, const Prepared<DeviceMemory>& prepared, int runs) {
  const DeviceEvent begin, end;
  gpu().record(begin.get(), nullptr);
  for (int i = 0; i < runs; ++i) prepared.run(plan);
  gpu().record(end.get(), nullptr);
  return gpu().elapsed_us(begin.get(), end.get()) / runs;
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
    const double us = device_sample(plan, prepared, runs);
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
    const double us = host_sample(plan, prepared, runs);
    if (us_per_run != nullptr) us_per_run[i] = us;
  }
}

}  // namespace

void run_host(const Plan& plan, const Tensors& tensors, const StatedBytes& stated, int samples,
              int runs, double* us_per_run) {
  if (samples < 1) refuse("samples", samples, "at least 1");
  if (runs < 1) refuse("runs", runs, "at least 1");
  check_device(plan);
  check_host_tensors(plan.problem(), tensors, stated);
  if (tensors.residual != nullptr && tensors.residual == tensors.output &&
      (samples > 1 || runs > 1) && plan.problem().residual_bytes() > 0) {
    refuse("tensors.residual", "tensors.output", "other memory where more than one run adds it");
  }
  if (plan.device().kind != DeviceKind::cuda) {
    return run_on_host(plan, tensors, samples, runs, us_per_run);
  }
  naming_the_problem(plan, [&] { run_on_device(plan, tensors, samples, runs, us_per_run); });
}

}  // namespace tconv::host
