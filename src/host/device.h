// SPDX-License-Identifier: Apache-2.0
// device.h: the seam between the library and the machines it runs on. This build has the CPU; a GPU
// is a second implementation of the same facts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tconv::host {

enum class DeviceKind : int32_t { automatic, cpu, cuda };
constexpr const char* name_of(DeviceKind kind) {
  return kind == DeviceKind::cpu ? "cpu" : kind == DeviceKind::cuda ? "cuda" : "auto";
}

/// What the planner may know of a device. Rates are model numbers for ranking, not measurements.
struct DeviceFacts {
  DeviceKind kind = DeviceKind::cpu;
  std::string name;            ///< "AMD EPYC, 2 cores"
  int cores = 1;               ///< cores, or streaming multiprocessors
  double f32_macs_per_us = 1;  ///< all cores, vectorised
  double bytes_per_us = 1;     ///< main memory
};

/// The machine's CPU; queried once.
const DeviceFacts& cpu_facts();
/// Why there is no CUDA device here, as a sentence.
std::string cuda_absence();
/// The facts of what `kind` means here. Throws Unsupported where there is none.
const DeviceFacts& device_facts(DeviceKind kind);
/// All devices, the preferred first.
std::vector<const DeviceFacts*> all_devices();
/// Threads for a CPU row: `threads`, or one per core if 0.
int thread_count(int threads);

}  // namespace tconv::host
