// SPDX-License-Identifier: Apache-2.0
// fake_gpu.h: a GPU for tests without one. Device memory is host memory that is counted; a launch
// calls a function of the test; failures are scripted. What it says is what the CUDA seam would say
// (device/gpu_messages.h).
#pragma once

#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "src/host/device/device_models.h"
#include "src/host/device/gpu.h"
#include "src/host/device/gpu_messages.h"
#include "src/host/problem/errors.h"

namespace tconv::test {

class FakeGpu final : public host::Gpu {
 public:
  /// What the machine is like; to be changed by tests at any time.
  std::string absent;                      ///< absence()'s answer
  bool seems = false;                      ///< seems_here()'s
  std::vector<host::DeviceFacts> present;  ///< one per device
  int current = 0;
  std::string pending;           ///< a CUDA error of the caller's
  bool capturing = false;        ///< every stream
  int64_t fail_allocation = -1;  ///< this allocation (from 0) is out of memory; -1: none
  std::string fail_launch;       ///< the runtime's words for the next launches; empty: they work
  std::string fail_load;         ///< likewise
  std::string built = "80-real,86-real,89-real,90a-real,100-real,120-real,120-virtual";
  double event_us = 5;  ///< between two recorded events
  /// Called by launch; may read and write through the arguments' pointers. Never allocates itself.
  std::function<void(const host::Launch&)> on_launch;

  /// What was asked of it.
  int64_t absence_calls = 0, loads = 0, launches = 0, allocations = 0, copies = 0, synchronised = 0;
  int64_t comparisons = 0, bytes_to_host = 0;
  int64_t live_allocations = 0, live_events = 0;
  std::size_t live_bytes = 0, most_bytes = 0;
  const void* loaded = nullptr;          ///< the last kernel
  std::map<const void*, int> carveouts;  ///< of every kernel that asked for one
  host::Copy last_copy = host::Copy::to_device;

  explicit FakeGpu(const std::string& model = "h200", int devices = 1) {
    for (int i = 0; i < devices; ++i) add(model);
    host::replace_gpu(this);
  }
  ~FakeGpu() override { host::replace_gpu(nullptr); }

  void add(const std::string& model) {
    host::DeviceFacts facts = host::device_model(model);
    facts.name = "fake " + model;
    facts.ordinal = static_cast<int>(present.size());
    present.push_back(facts);
  }
  /// What the CUDA seam does for a GPU that this build has no code for.
  void set_sm(int sm) {
    present.at(0).sm = sm;
    present.at(0).unusable = host::architecture_gap(built, sm);
  }
  bool leaks() const { return live_allocations != 0 || live_events != 0 || live_bytes != 0; }

  std::string absence() override {
    ++absence_calls;
    return absent;
  }
  bool seems_here() override { return seems; }
  std::vector<host::DeviceFacts> devices() override { return present; }
  int current_device() override { return current; }
  std::string pending_error() override { return pending; }

  void load(const void* kernel, std::size_t shared_bytes, int carveout) override {
    ++loads;
    if (carveout != host::kAnyCarveout) {
      int& kept = carveouts.emplace(kernel, carveout).first->second;
      kept = std::max(kept, carveout);
    }
    std::size_t& allowed = allowed_shared_[kernel];
    allowed = std::max(allowed, shared_bytes);
    loaded = kernel;
    if (fail_load.empty()) return;
    throw host::DeviceError(
        host::failed_call_message("cudaFuncGetAttributes", fail_load, "the loading of a kernel",
                                  host::architecture_gap(built, present.at(0).sm)));
  }
  void launch(const host::Launch& launch) override {
    ++launches;
    const auto asked = allowed_shared_.find(launch.kernel);
    const std::size_t allowed = asked == allowed_shared_.end() ? 0 : asked->second;
    if (launch.shared_bytes > std::max(host::kUnaskedSharedBytes, allowed)) {
      throw host::DeviceError("a launch with more shared memory than its kernel was loaded for");
    }
    if (!fail_launch.empty()) {
      throw host::DeviceError(host::failed_call_message(
          "cudaLaunchKernel", fail_launch, std::string("a launch of the row ") + launch.name));
    }
    if (on_launch) on_launch(launch);
  }
  bool is_capturing(host::Stream) override { return capturing; }

  void* allocate(std::size_t bytes) override {
    if (allocations++ == fail_allocation) {
      throw host::DeviceError(
          host::failed_call_message("cudaMalloc", "cudaErrorMemoryAllocation: out of memory",
                                    std::to_string(bytes) + " bytes of device memory",
                                    host::out_of_memory_advice(1000, 2000)));
    }
    void* memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    std::memset(memory, 0xff, bytes);
    sizes_[memory] = bytes;
    ++live_allocations;
    live_bytes += bytes;
    most_bytes = std::max(most_bytes, live_bytes);
    return memory;
  }
  void release(void* memory) noexcept override {
    const auto found = sizes_.find(memory);
    if (found == sizes_.end()) std::abort();  // freed twice, or never allocated
    live_bytes -= found->second;
    --live_allocations;
    sizes_.erase(found);
    std::free(memory);
  }
  void copy(void* to, const void* from, std::size_t bytes, host::Copy kind, host::Stream) override {
    ++copies;
    last_copy = kind;
    if (kind == host::Copy::to_host) bytes_to_host += static_cast<int64_t>(bytes);
    std::memcpy(to, from, bytes);
  }
  void fill(void* memory, int byte, std::size_t bytes, host::Stream) override {
    std::memset(memory, byte, bytes);
  }
  void synchronise(host::Stream) override { ++synchronised; }

  host::CompareResult compare(const host::Compared& what, host::Stream) override {
    ++comparisons;
    return host::compare_on_host(what);
  }

  host::Event create_event() override {
    ++live_events;
    return this;
  }
  void destroy_event(host::Event) noexcept override { --live_events; }
  void record(host::Event, host::Stream) override {}
  double elapsed_us(host::Event, host::Event) override { return event_us; }

 private:
  std::map<void*, std::size_t> sizes_;
  std::map<const void*, std::size_t> allowed_shared_;
};

}  // namespace tconv::test
