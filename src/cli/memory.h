// SPDX-License-Identifier: Apache-2.0
// memory.h: aligned host memory, and how much of it is left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace tconv::cli {

/// Host memory, 256-byte aligned; null only if default-constructed. It starts as 0xff bytes, which
/// are NaN in every type: an element that nobody writes, or padding that somebody reads, does not
/// go unnoticed.
class Buffer {
 public:
  Buffer() = default;
  /// Throws Failure (TCONV_DEVICE_ERROR) that names `what` if there is not enough memory.
  Buffer(std::size_t bytes, const std::string& what);

  void* data() { return data_.get(); }
  const void* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  /// Makes every byte 0xff again.
  void poison();

 private:
  struct Free {
    void operator()(void* memory) const;
  };
  std::unique_ptr<void, Free> data_;
  std::size_t size_ = 0;
};

/// Bytes that can be allocated before the system swaps or kills; a large number if it is unknown.
double available_memory();
/// Refuses (TCONV_DEVICE_ERROR) if `bytes` are not available.
void require_memory(double bytes);

}  // namespace tconv::cli
