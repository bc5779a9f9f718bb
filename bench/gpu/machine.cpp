// SPDX-License-Identifier: Apache-2.0
// machine.cpp: see machine.h.
#include "bench/gpu/machine.h"

#include <cuda_runtime_api.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <memory>

#include "src/host/device/device_models.h"
#ifdef TCONV_WITH_CUDNN
#include "src/cuda/cudnn/library.h"
#endif

namespace tconv::bench {
namespace {

/// The first line that a command prints; "unknown" if it fails or prints nothing.
std::string first_line(const char* command) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen(command, "r"), pclose);
  std::array<char, 512> line{};
  if (pipe == nullptr || std::fgets(line.data(), line.size(), pipe.get()) == nullptr) {
    return "unknown";
  }
  std::string text = line.data();
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.empty() ? "unknown" : text;
}

std::string cuda_version(int version) {
  return version == 0 ? "unknown"
                      : std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string now() {
  const std::time_t seconds = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&seconds));
  return text;
}

std::string cudnn() {
#ifdef TCONV_WITH_CUDNN
  const std::string version = host::cudnn_version();
  return version.empty() ? host::cudnn_absence() : version;
#else
  return "this build has no row cudnn";
#endif
}

}  // namespace

Json head_line(const host::DeviceFacts& device, const std::string& commit) {
  int driver = 0, runtime = 0;
  (void)cudaDriverGetVersion(&driver);
  (void)cudaRuntimeGetVersion(&runtime);
  const std::string query =
      "nvidia-smi --id=" + std::to_string(device.ordinal) + " --format=csv,noheader --query-gpu=";
  const auto ask = [&](const char* what) {
    return first_line((query + what + " 2>/dev/null").c_str());
  };
  Json json = {{"kind", "head"},
               {"gpu", device.name},
               {"driver", ask("driver_version")},
               {"driver_cuda", cuda_version(driver)},
               {"cuda_runtime", cuda_version(runtime)},
               {"cudnn", cudnn()},
               {"clocks_sm_memory_max", ask("clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem")},
               {"power_temperature", ask("power.draw,power.limit,temperature.gpu")},
               {"commit", commit},
               {"date", now()}};
  json["devices"] = Json::parse(host::list_devices({device}, "", true))["devices"];
  return json;
}

std::string commit_of_folder() {
  const std::string commit = first_line("git rev-parse --short=12 HEAD 2>/dev/null");
  if (commit == "unknown") return commit;
  const bool dirty = first_line("git status --porcelain -uno 2>/dev/null") != "unknown";
  return commit + (dirty ? "-dirty" : "");
}

}  // namespace tconv::bench
