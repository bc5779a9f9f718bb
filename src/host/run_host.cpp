// SPDX-License-Identifier: Apache-2.0
// run_host.cpp: runs on tensors in host memory, for programs: everything that `run` leaves to its
// caller (device memory, copies, workspace, packing, timing) in one synchronous call.
#include <chrono>
#include <new>

#include "device_memory.h"
#include "errors.h"
#include "plan.h"

namespace tconv::host {
namespace {

constexpr std::align_val_t kAlignment{256};

/// Host memory with the alignment of a workspace.
class HostMemory {
 public:
  explicit HostMemory(std::size_t bytes)
      : data_(bytes == 0 ? nullptr : ::operator new(bytes, kAlignment)) {}
  HostMemory(const HostMemory&) = delete;
  HostMemory& operator=(const HostMemory&) = delete;
  ~HostMemory() { ::operator delete(data_, kAlignment); }
  void* data() const { return data_; }

 private:
  void* data_;
};

/// Workspace and packed filters in `Memory`, and the tensors that a run of the plan takes.
template <typename Memory>
class Prepared {
 public:
  Prepared(const Plan& plan, const Tensors& tensors)
      : workspace_(plan.workspace_bytes()),
        packed_(plan.options().prepacked_filters ? plan.state().packed_filter_bytes : 0),
        tensors_(tensors) {
    tensors_.workspace = workspace_.data();
    stated_.workspace = plan.workspace_bytes();
    if (!plan.options().prepacked_filters) return;
    prepack(plan, tensors.filters, packed_.data(), plan.state().packed_filter_bytes, nullptr);
    tensors_.filters = packed_.data();
  }
  void run(const Plan& plan) const { host::run(plan, tensors_, stated_, nullptr); }

 private:
  Memory workspace_, packed_;
  Tensors tensors_;
  StatedBytes stated_;
};

/// Copies of the caller's tensors in device memory.
class DeviceTensors {
 public:
  DeviceTensors(const Problem& problem, const Tensors& host)
      : bytes_(static_cast<std::size_t>(problem.output_bytes())), host_output_(host.output) {
    tensors_.input = upload(input_, host.input, problem.input_bytes());
    tensors_.filters = upload(filters_, host.filters, problem.filter_bytes());
    tensors_.bias = upload(bias_, host.bias, problem.bias_bytes());
    tensors_.slopes = upload(slopes_, host.slopes, problem.slopes_bytes());
    tensors_.residual = upload(residual_, host.residual, problem.residual_bytes());
    // The output too: bytes that no run writes come back as they were.
    tensors_.output = upload(output_, host.output, problem.output_bytes());
  }
  const Tensors& tensors() const { return tensors_; }

  void download() const {
    if (bytes_ == 0) return;
    gpu().copy(host_output_, tensors_.output, bytes_, Copy::to_host, nullptr);
    gpu().synchronise(nullptr);
  }

 private:
  static void* upload(DeviceMemory& memory, const void* from, int64_t bytes) {
    const auto size = static_cast<std::size_t>(bytes);
    memory = DeviceMemory(size);
    if (size > 0) gpu().copy(memory.data(), from, size, Copy::to_device, nullptr);
    return memory.data();
  }

  std::size_t bytes_;
  void* host_output_;
  DeviceMemory input_, filters_, bias_, slopes_, residual_, output_;
  Tensors tensors_;
};

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
  const DeviceTensors on_device(plan.problem(), tensors);
  const Prepared<DeviceMemory> prepared(plan, on_device.tensors());
  for (int i = 0; i < samples; ++i) {
    const double us = device_sample(plan, prepared, runs);
    if (us_per_run != nullptr) us_per_run[i] = us;
  }
  on_device.download();
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
  check_tensors(plan.problem(), tensors, stated);
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
