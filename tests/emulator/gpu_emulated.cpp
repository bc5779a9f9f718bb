// SPDX-License-Identifier: Apache-2.0
// gpu_emulated.cpp: the seam to a GPU (src/host/device/gpu.h) over the emulator: the third
// implementation. Everything is done before a call returns, so streams are nothing.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <new>
#include <utility>

#include "src/host/device/device_models.h"
#include "src/host/device/gpu.h"
#include "src/host/device/gpu_messages.h"
#include "src/host/problem/errors.h"
#include "src/host/problem/problem.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/launch.h"
#include "tests/emulator/state.h"

namespace tconv::emulator {
namespace {

using host::DeviceError;
using host::failed_call_words;

class EmulatedGpu final : public host::Gpu {
 public:
  std::string absence() override { return ""; }

  std::vector<host::DeviceFacts> devices() override {
    host::DeviceFacts facts = host::device_model("h200");
    facts.name = "emulated GPU";
    facts.ordinal = 0;
    if (config().cores > 0) facts.cores = config().cores;
    return {facts};
  }

  int current_device() override { return 0; }
  std::string pending_error() override { return ""; }
  void load(const void* kernel, std::size_t shared_bytes) override {
    std::size_t& allowed = allowed_shared_[kernel];
    allowed = std::max(allowed, shared_bytes);
  }

  void launch(const host::Launch& launch) override {
    check(launch);
    const Report& report = run(launch, std::exchange(useful_multiply_adds_, 0));
    if (report.clean()) return;
    throw DeviceError(failed_call_words("the emulator", report.text(),
                                        std::string("a launch of the row ") + launch.name));
  }

  void begin_run(const host::Problem& problem) override {
    useful_multiply_adds_ = problem.useful_macs();
  }

  bool is_capturing(host::Stream) override { return false; }

  void* allocate(std::size_t bytes) override {
    try {
      return emulator::allocate(bytes);
    } catch (const std::bad_alloc&) {
      throw DeviceError(failed_call_words("the emulator's allocation", "out of memory",
                                          std::to_string(bytes) + " bytes of device memory",
                                          "the emulator has 4 GiB: take a smaller problem"));
    }
  }
  void release(void* memory) noexcept override { emulator::release(memory); }

  void copy(void* to, const void* from, std::size_t bytes, host::Copy kind, host::Stream) override {
    if (bytes == 0) return;
    std::memcpy(to, from, bytes);
    if (kind != host::Copy::to_host) set_written(to, bytes, true);
  }
  void fill(void* memory, int byte, std::size_t bytes, host::Stream) override {
    if (bytes == 0) return;
    std::memset(memory, byte, bytes);
    set_written(memory, bytes, true);
  }
  void synchronise(host::Stream) override {}

  // Times are the emulation's own.
  host::Event create_event() override { return new Clock::time_point; }
  void destroy_event(host::Event event) noexcept override { delete &time_of(event); }
  void record(host::Event event, host::Stream) override { time_of(event) = Clock::now(); }
  double elapsed_us(host::Event from, host::Event to) override {
    return std::chrono::duration<double, std::micro>(time_of(to) - time_of(from)).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  static Clock::time_point& time_of(host::Event event) {
    return *static_cast<Clock::time_point*>(event);
  }

  /// What the runtime would refuse.
  void check(const host::Launch& launch) {
    constexpr unsigned kMostGridX = (1U << 31) - 1, kMostGridYz = 65535, kMostThreads = 1024;
    const auto* const grid = launch.grid;
    const auto* const block = launch.block;
    const uint64_t threads = uint64_t{block[0]} * block[1] * block[2];
    const std::size_t allowed = std::max(host::kUnaskedSharedBytes, allowed_shared_[launch.kernel]);
    const bool grid_fits = grid[0] >= 1 && grid[1] >= 1 && grid[2] >= 1 && grid[0] <= kMostGridX &&
                           grid[1] <= kMostGridYz && grid[2] <= kMostGridYz;
    if (grid_fits && threads >= 1 && threads <= kMostThreads && block[2] <= 64 &&
        launch.shared_bytes <= kMostSharedBytes && launch.shared_bytes <= allowed) {
      return;
    }
    throw DeviceError(failed_call_words("the emulator", "a configuration that CUDA refuses",
                                        std::string("a launch of the row ") + launch.name));
  }

  double useful_multiply_adds_ = 0;
  std::map<const void*, std::size_t> allowed_shared_;
};

}  // namespace

host::Gpu& emulated_gpu() {
  static auto* const gpu = new EmulatedGpu;
  return *gpu;
}

}  // namespace tconv::emulator
