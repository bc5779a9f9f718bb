// SPDX-License-Identifier: Apache-2.0
// staging.h: what a run on tensors in host memory needs besides: memory of the host or the device
// for workspace and packed filters, copies of the tensors on the device.
#pragma once

#include <new>

#include "src/host/device/device_memory.h"
#include "src/host/plan/plan.h"
#include "src/host/run/run.h"

namespace tconv::host {

/// Host memory with the alignment of a workspace. Zero bytes are a null pointer.
class HostMemory {
 public:
  explicit HostMemory(std::size_t bytes)
      : data_(bytes == 0 ? nullptr : ::operator new(bytes, kAlignment)) {}
  HostMemory(const HostMemory&) = delete;
  HostMemory& operator=(const HostMemory&) = delete;
  ~HostMemory() { ::operator delete(data_, kAlignment); }
  void* data() const { return data_; }

 private:
  static constexpr std::align_val_t kAlignment{256};
  void* data_;
};

/// Workspace and packed filters in `Memory`, and the tensors that a run of the plan takes.
template <typename Memory>
class Prepared {
 public:
  Prepared(const Plan& plan, const Tensors& tensors)
      : workspace_(plan.workspace_bytes()),
        packed_(plan.options().prepacked_filters ? plan.packed_filter_bytes() : 0),
        tensors_(tensors) {
    tensors_.workspace = workspace_.data();
    stated_.workspace = plan.workspace_bytes();
    if (!plan.options().prepacked_filters) return;
    prepack(plan, tensors.filters, packed_.data(), plan.packed_filter_bytes(), nullptr);
    tensors_.filters = packed_.data();
  }
  void run(const Plan& plan) const { host::run(plan, tensors_, stated_, nullptr); }

 private:
  Memory workspace_, packed_;
  Tensors tensors_;
  StatedBytes stated_;
};

/// Copies in device memory of what the caller's tensors hold; `output` is the caller's to set.
class DeviceOperands {
 public:
  DeviceOperands(const Problem& problem, const Tensors& host) {
    tensors_.input = upload(input_, host.input, problem.input_bytes());
    tensors_.filters = upload(filters_, host.filters, problem.filter_bytes());
    tensors_.bias = upload(bias_, host.bias, problem.bias_bytes());
    tensors_.slopes = upload(slopes_, host.slopes, problem.slopes_bytes());
    tensors_.residual = upload(residual_, host.residual, problem.residual_bytes());
  }
  Tensors with_output(void* output) const {
    Tensors tensors = tensors_;
    tensors.output = output;
    return tensors;
  }
  static void* upload(DeviceMemory& memory, const void* from, int64_t bytes) {
    const auto size = static_cast<std::size_t>(bytes);
    memory = DeviceMemory(size);
    if (size > 0) gpu().copy(memory.data(), from, size, Copy::to_device, nullptr);
    return memory.data();
  }

 private:
  DeviceMemory input_, filters_, bias_, slopes_, residual_;
  Tensors tensors_;
};

}  // namespace tconv::host
