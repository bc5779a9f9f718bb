// SPDX-License-Identifier: Apache-2.0
// device.h: what the planner may know of the machines that the library runs on, and which of them a
// plan is for. The GPUs themselves are behind gpu.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tconv::host {

enum class DeviceKind : int32_t { automatic, cpu, cuda };
constexpr const char* name_of(DeviceKind kind) {
  return kind == DeviceKind::cpu ? "cpu" : kind == DeviceKind::cuda ? "cuda" : "auto";
}

inline constexpr int kNotHere = -1;

/// Facts of one device. Rates are model numbers for ranking, not measurements.
struct DeviceFacts {
  DeviceKind kind = DeviceKind::cpu;
  std::string name;            ///< "AMD EPYC, 2 cores"
  int cores = 1;               ///< cores, or streaming multiprocessors
  double f32_macs_per_us = 1;  ///< all cores, vectorised
  double bytes_per_us = 1;     ///< main memory

  // ---- Of a GPU; 0 for a CPU. ------------------------------------------------------------------
  int ordinal = kNotHere;  ///< as the CUDA runtime counts; kNotHere: a device model
  int sm = 0;              ///< compute capability, 90 for 9.0
  double clock_mhz = 0;
  double f64_macs_per_us = 0;          ///< outside the tensor cores
  double f16_tensor_macs_per_us = 0;   ///< f16 or bf16, f32 sums, dense
  double tf32_tensor_macs_per_us = 0;  ///< dense
  int64_t memory_bytes = 0, l2_bytes = 0;
  int64_t shared_bytes_per_core = 0, shared_bytes_per_block = 0;  ///< the most a kernel may ask for
  int threads_per_core = 0;
  std::string rates_from;        ///< a data sheet, or how they were scaled
  std::string unusable;          ///< why this build has no code for it; empty if it has
  std::string cudnn_properties;  ///< what cuDNN says of it, in cuDNN's own words (JSON)

  /// Plans can be made for any device, and run on one that is here.
  bool is_here() const { return kind != DeviceKind::cuda || ordinal != kNotHere; }
  friend bool operator==(const DeviceFacts&, const DeviceFacts&) = default;
};

/// The machine's CPU; queried once.
const DeviceFacts& cpu_facts();
/// Why no GPU can be used here, as a sentence; empty if one can. Starts CUDA.
std::string cuda_absence();
/// The GPU that is current on this thread. Throws Unsupported with cuda_absence(). Starts CUDA.
DeviceFacts cuda_facts();
/// All devices, the preferred first. Starts CUDA. With what vendors' libraries say of them, if
/// wanted: that opens the libraries, and is left out where there are none.
std::vector<DeviceFacts> all_devices(bool in_vendors_words = false);
/// Threads for a CPU row: `threads`, or one per core if 0.
int thread_count(int threads);

}  // namespace tconv::host
