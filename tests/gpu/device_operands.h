// SPDX-License-Identifier: Apache-2.0
// device_operands.h: a problem's tensors on the GPU, filled from host operands, padding bytes
// included.
#pragma once

#include "src/host/device/device_memory.h"
#include "src/host/device/gpu.h"
#include "src/host/plan/plan.h"
#include "tests/support/support.h"

namespace tconv::test {

/// A copy of `bytes` on the device.
class DeviceCopy {
 public:
  explicit DeviceCopy(const Bytes& bytes) : memory_(bytes.size()), size_(bytes.size()) {
    upload(bytes);
  }
  void upload(const Bytes& bytes) {
    gpu().copy(memory_.data(), bytes.data(), size_, Copy::to_device, nullptr);
    gpu().synchronise(nullptr);
  }
  Bytes download() const {
    Bytes bytes(size_);
    gpu().copy(bytes.data(), memory_.data(), size_, Copy::to_host, nullptr);
    gpu().synchronise(nullptr);
    return bytes;
  }
  void* data() const { return memory_.data(); }

 private:
  DeviceMemory memory_;
  std::size_t size_;
};

struct DeviceOperands {
  DeviceCopy input, filters, bias, slopes, residual, output;

  explicit DeviceOperands(const Operands& o)
      : input(o.input),
        filters(o.filters),
        bias(o.bias),
        slopes(o.slopes),
        residual(o.residual),
        output(o.output) {}
  Tensors tensors() const {
    return {.input = input.data(),
            .filters = filters.data(),
            .bias = bias.data(),
            .slopes = slopes.data(),
            .residual = residual.data(),
            .output = output.data(),
            .workspace = nullptr};
  }
};

/// Runs on the null stream, in a workspace full of garbage where the plan needs one.
inline void run_on_device(const Plan& plan, Tensors tensors) {
  const DeviceCopy workspace(Bytes(plan.workspace_bytes(), kPoison));
  if (plan.workspace_bytes() > 0) tensors.workspace = workspace.data();
  run(plan, tensors, {.workspace = plan.workspace_bytes()}, nullptr);
  gpu().synchronise(nullptr);
}

}  // namespace tconv::test
