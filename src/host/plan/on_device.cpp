// SPDX-License-Identifier: Apache-2.0
// on_device.cpp: see on_device.h.
#include "src/host/plan/on_device.h"

#include "src/host/device/gpu.h"

namespace tconv::host {

std::string with_problem(const Plan& plan, const char* error) {
  const std::string& name = plan.problem().name();
  return "row " + std::string(plan.kernel().name) + " on " + (name.empty() ? "" : name + ", ") +
         plan.problem().key() + ": " + error;
}

void check_device(const Plan& plan) {
  const DeviceFacts& device = plan.device();
  if (device.kind != DeviceKind::cuda) return;
  if (!device.is_here()) {
    throw Unsupported("the plan for " + plan.problem().key() + " was made for the device model " +
                      device.name + ", which is not here: to run it, plan without device_model");
  }
  if (const std::string pending = gpu().pending_error(); !pending.empty()) {
    throw DeviceError("a CUDA error was pending before this call: " + pending +
                      "; it is the caller's, was not cleared, and nothing was enqueued");
  }
  if (const int current = gpu().current_device(); current != device.ordinal) {
    throw DeviceError("the plan belongs to device " + std::to_string(device.ordinal) + " (" +
                      device.name + "), but device " + std::to_string(current) +
                      " is current: make that one current, or a plan for this one");
  }
}

}  // namespace tconv::host
