// SPDX-License-Identifier: Apache-2.0
// devices.cpp: see devices.h.
#include "src/host/plan/devices.h"

#include "src/host/device/gpu.h"
#include "src/host/plan/kernel_table.h"

namespace tconv::host {

std::vector<DeviceFacts> all_devices(bool in_vendors_words) {
  std::vector<DeviceFacts> devices;
  if (gpu().absence().empty()) devices = gpu().devices();
  for (const Kernel* kernel : kernel_table()) {
    if (!in_vendors_words || kernel->describe_device == nullptr) continue;
    for (DeviceFacts& device : devices) kernel->describe_device(device);
  }
  devices.push_back(cpu_facts());
  return devices;
}

}  // namespace tconv::host
