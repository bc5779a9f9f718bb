// SPDX-License-Identifier: Apache-2.0
// memory.cpp: see memory.h.
#include "src/cli/memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>

#include "src/cli/failure.h"
#include "src/cli/text.h"

namespace tconv::cli {
namespace {

constexpr std::size_t kAlignment = 256;

/// The number in a file of one line; infinity where there is none ("max").
double number_in(const char* path) {
  double number = 0;
  return std::ifstream(path) >> number ? number : std::numeric_limits<double>::infinity();
}

double memory_of_machine() {
  std::ifstream info("/proc/meminfo");
  std::string name, unit;
  for (double kib = 0; info >> name >> kib; std::getline(info, unit)) {
    if (name == "MemAvailable:") return kib * 1024;
  }
  return std::numeric_limits<double>::infinity();
}

}  // namespace

Buffer::Buffer(std::size_t bytes, const std::string& what) : size_(bytes) {
  const std::size_t rounded =
      std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  data_.reset(std::aligned_alloc(kAlignment, rounded));
  if (data_ == nullptr || rounded < bytes) {
    throw Failure(TCONV_DEVICE_ERROR,
                  "cannot allocate " + bytes_text(static_cast<double>(bytes)) + " for the " + what);
  }
  poison();
}

void Buffer::poison() {
  if (size_ > 0) std::memset(data_.get(), 0xff, size_);
}

void Buffer::Free::operator()(void* memory) const { std::free(memory); }

double available_memory() {
  const double limit = number_in("/sys/fs/cgroup/memory.max");
  const double used = number_in("/sys/fs/cgroup/memory.current");
  return std::min(memory_of_machine(),
                  limit < std::numeric_limits<double>::infinity() ? limit - used : limit);
}

void require_memory(double bytes) {
  const double available = available_memory();
  if (bytes <= available) return;
  throw Failure(TCONV_DEVICE_ERROR, "tensors and workspace need " + bytes_text(bytes) +
                                        " of memory, but " + bytes_text(std::max(0.0, available)) +
                                        " are available");
}

}  // namespace tconv::cli
