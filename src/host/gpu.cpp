// SPDX-License-Identifier: Apache-2.0
// gpu.cpp: which implementation of gpu.h this process uses.
#include "gpu.h"

#include <atomic>

namespace tconv::host {
namespace {

std::atomic<Gpu*> replacement{nullptr};

}  // namespace

Gpu& gpu() {
  Gpu* const replaced = replacement.load(std::memory_order_acquire);
  return replaced != nullptr ? *replaced : built_in_gpu();
}

void replace_gpu(Gpu* gpu) { replacement.store(gpu, std::memory_order_release); }

}  // namespace tconv::host
