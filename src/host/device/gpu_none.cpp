// SPDX-License-Identifier: Apache-2.0
// gpu_none.cpp: the seam of a build without CUDA: no GPU, and a sentence that says so.
#include "src/host/device/gpu.h"
#include "src/host/problem/errors.h"

namespace tconv::host {
namespace {

constexpr const char* kAbsence =
    "this build of tconv has no CUDA kernels (build it where nvcc is found, with TCONV_CUDA=ON)";

/// Nobody who asked absence() first gets here.
[[noreturn]] void fail() { throw DeviceError(kAbsence); }

class NoGpu final : public Gpu {
 public:
  std::string absence() override { return kAbsence; }
  std::vector<DeviceFacts> devices() override { fail(); }
  int current_device() override { fail(); }
  std::string pending_error() override { fail(); }
  void load(const void*, std::size_t) override { fail(); }
  void launch(const Launch&) override { fail(); }
  bool is_capturing(Stream) override { fail(); }
  void* allocate(std::size_t) override { fail(); }
  void release(void*) noexcept override {}
  void copy(void*, const void*, std::size_t, Copy, Stream) override { fail(); }
  void fill(void*, int, std::size_t, Stream) override { fail(); }
  void synchronise(Stream) override { fail(); }
  Event create_event() override { fail(); }
  void destroy_event(Event) noexcept override {}
  void record(Event, Stream) override { fail(); }
  double elapsed_us(Event, Event) override { fail(); }
};

}  // namespace

Gpu& built_in_gpu() {
  static NoGpu none;
  return none;
}

}  // namespace tconv::host
