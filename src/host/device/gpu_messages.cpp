// SPDX-License-Identifier: Apache-2.0
// gpu_messages.cpp: see gpu_messages.h.
#include "src/host/device/gpu_messages.h"

#include <cstdlib>

namespace tconv::host {
namespace {

std::string version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

/// "80-real", "90a-real": machine code. "120-virtual": PTX.
struct Architecture {
  std::string number;
  bool ptx = false;
  int sm = 0;

  explicit Architecture(std::string_view entry)
      : number(entry.substr(0, entry.find('-'))),
        ptx(entry.ends_with("-virtual")),
        sm(std::atoi(number.c_str())) {}

  /// Machine code runs on its own major version from its minor version up, PTX on everything newer;
  /// what uses the features of one GPU ("a") on that one, of a family ("f") on its major version.
  bool runs_on(int device) const {
    if (number.ends_with('a')) return device == sm;
    const bool any_newer = ptx && !number.ends_with('f');
    return device >= sm && (any_newer || device / 10 == sm / 10);
  }
  std::string name() const { return (ptx ? "PTX for sm_" : "sm_") + number; }
};

}  // namespace

std::string driver_missing_words() {
  return "no NVIDIA driver was found (install one; in a container, start it with access to the "
         "GPU)";
}

std::string driver_too_old_words(int driver, int runtime) {
  return "the NVIDIA driver is too old: it supports CUDA " + version(driver) +
         ", this build of tconv needs CUDA " + version(runtime) +
         " (update the driver, or build tconv with an older CUDA)";
}

std::string no_device_words() {
  return "there is an NVIDIA driver but it shows no GPU (see nvidia-smi and CUDA_VISIBLE_DEVICES)";
}

std::string cuda_failed_words(const std::string& error) {
  return "CUDA does not start: " + error + " (see nvidia-smi)";
}

std::string architecture_gap(std::string_view built, int sm) {
  std::string names;
  for (std::string_view rest = built; !rest.empty();) {
    const std::size_t comma = rest.find(',');
    const Architecture architecture(rest.substr(0, comma));
    if (architecture.runs_on(sm)) return "";
    names += (names.empty() ? "" : ", ") + architecture.name();
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
  }
  return "this build of tconv has code for " + names + ", and the GPU is sm_" + std::to_string(sm) +
         " (build it with -DTCONV_CUDA_ARCHITECTURES=" + std::to_string(sm) + ")";
}

std::string failed_call_words(const std::string& call, const std::string& error,
                              const std::string& purpose, const std::string& advice) {
  return call + " failed (" + error + ") for " + purpose + (advice.empty() ? "" : ": " + advice);
}

std::string out_of_memory_advice(std::size_t free_bytes, std::size_t total_bytes) {
  return std::to_string(free_bytes) + " of " + std::to_string(total_bytes) +
         " bytes are free; release memory, or take a smaller batch or workspace_limit";
}

std::string spoilt_context_advice() {
  return "an earlier kernel or copy on this GPU failed, and the process must be started again; "
         "compute-sanitizer finds the kernel";
}

}  // namespace tconv::host
