// SPDX-License-Identifier: Apache-2.0
// device_memory.h: owners of what gpu() hands out.
#pragma once

#include <cstddef>
#include <utility>

#include "src/host/device/gpu.h"

namespace tconv::host {

/// Memory of the device that was current; freed by its owner. Zero bytes are a null pointer.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  explicit DeviceMemory(std::size_t bytes) : data_(bytes == 0 ? nullptr : gpu().allocate(bytes)) {}
  DeviceMemory(DeviceMemory&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  ~DeviceMemory() {
    if (data_ != nullptr) gpu().release(data_);
  }
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
};

class DeviceEvent {
 public:
  DeviceEvent() : event_(gpu().create_event()) {}
  DeviceEvent(const DeviceEvent&) = delete;
  DeviceEvent& operator=(const DeviceEvent&) = delete;
  ~DeviceEvent() { gpu().destroy_event(event_); }
  Event get() const { return event_; }

 private:
  Event event_;
};

}  // namespace tconv::host
