// SPDX-License-Identifier: Apache-2.0
// device.cpp: the CPU's facts, and the GPUs' from the seam.
#include "src/host/device/device.h"

#if defined(__linux__)
#include <sched.h>
#endif

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "src/host/device/gpu.h"
#include "src/host/problem/errors.h"

namespace tconv::host {
namespace {

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "CPU";
}

/// Cores that this process may use: a container's share, not the machine's, where the system tells.
int usable_cores() {
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

/// f32 multiply-adds per clock and core: two vector units of the widest kind.
double macs_per_clock() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return 32;
  if (__builtin_cpu_supports("avx2")) return 16;
#endif
  return 8;
}

DeviceFacts query_cpu() {
  constexpr double kClocksPerUs = 2500, kBytesPerUsPerCore = 10000;  // nominal: they only rank
  DeviceFacts facts;
  facts.cores = usable_cores();
  facts.name =
      cpu_name() + ", " + std::to_string(facts.cores) + (facts.cores == 1 ? " core" : " cores");
  facts.f32_macs_per_us = facts.cores * macs_per_clock() * kClocksPerUs;
  facts.bytes_per_us = facts.cores * kBytesPerUsPerCore;
  return facts;
}

}  // namespace

const DeviceFacts& cpu_facts() {
  static const DeviceFacts facts = query_cpu();
  return facts;
}

std::string cuda_absence() { return gpu().absence(); }

bool has_nvidia_gpu(const std::string& folder) {
  const auto text = [](const std::filesystem::path& file) {
    std::string word;
    std::ifstream(file) >> word;
    return word;
  };
  // Class 03: display controllers, those without a display included.
  const auto is_gpu = [&](const std::filesystem::directory_entry& device) {
    return text(device.path() / "vendor") == "0x10de" &&
           text(device.path() / "class").starts_with("0x03");
  };
  std::error_code error;
  return std::ranges::any_of(std::filesystem::directory_iterator(folder, error), is_gpu);
}

DeviceFacts cuda_facts() {
  Gpu& g = gpu();
  if (const std::string absence = g.absence(); !absence.empty()) {
    throw Unsupported("no device cuda: " + absence);
  }
  std::vector<DeviceFacts> devices = g.devices();
  return std::move(devices.at(static_cast<std::size_t>(g.current_device())));
}

int thread_count(int threads) { return threads > 0 ? threads : cpu_facts().cores; }

}  // namespace tconv::host
