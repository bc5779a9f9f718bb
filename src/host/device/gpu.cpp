// SPDX-License-Identifier: Apache-2.0
// gpu.cpp: which implementation of gpu.h this process uses.
#include "src/host/device/gpu.h"

#include <algorithm>
#include <atomic>
#include <cstddef>

#include "src/host/problem/axis.h"

namespace tconv::host {
namespace {

std::atomic<Gpu*> replacement{nullptr};

std::vector<std::byte> copied(Gpu& gpu, const void* data, int64_t bytes, Stream stream) {
  std::vector<std::byte> copy(data == nullptr ? 0 : static_cast<std::size_t>(bytes));
  if (!copy.empty()) gpu.copy(copy.data(), data, copy.size(), Copy::to_host, stream);
  return copy;
}

}  // namespace

CompareResult Gpu::compare(const Compared& what, Stream stream) {
  const int64_t bytes = what.region.bytes();
  const auto size = static_cast<int64_t>(size_of(what.magnitude_type));
  const std::vector<std::byte> a = copied(*this, what.a, bytes, stream);
  const std::vector<std::byte> b = copied(*this, what.b, bytes, stream);
  const std::vector<std::byte> magnitudes =
      copied(*this, what.magnitudes, what.region.count() * size, stream);
  synchronise(stream);
  Compared here = what;
  here.a = a.data(), here.b = b.data();
  if (what.magnitudes != nullptr) here.magnitudes = magnitudes.data();
  return compare_on_host(here);
}

int preferred_carveout(const DeviceFacts& device, std::size_t shared_bytes, int blocks_per_core) {
  if (blocks_per_core < 2 || device.shared_bytes_per_core <= 0) return kAnyCarveout;
  const int64_t block = static_cast<int64_t>(shared_bytes) + kReservedSharedBytes;
  const int64_t percent = ceil_div(100 * block * blocks_per_core, device.shared_bytes_per_core);
  return static_cast<int>(std::min<int64_t>(percent, 100));
}

Gpu& gpu() {
  Gpu* const replaced = replacement.load(std::memory_order_acquire);
  return replaced != nullptr ? *replaced : built_in_gpu();
}

void replace_gpu(Gpu* gpu) { replacement.store(gpu, std::memory_order_release); }

}  // namespace tconv::host
