// SPDX-License-Identifier: Apache-2.0
// run_threads.h: a launch of a kernel that the host compiler made: every thread, one after the
// other.
#pragma once

#include <cstddef>
#include <utility>

#include "src/host/device/gpu.h"
#include "tests/support/cuda_on_host/cuda_on_host.h"

namespace tconv::test {

template <typename... Parameters>
void run_threads(void (*kernel)(Parameters...), const host::Launch& launch) {
  const auto call = [&]<std::size_t... i>(std::index_sequence<i...>) {
    kernel(*static_cast<Parameters*>(launch.arguments[i])...);
  };
  for (unsigned block = 0; block < launch.grid[0]; ++block) {
    for (unsigned thread = 0; thread < launch.block[0]; ++thread) {
      blockIdx.x = block;
      threadIdx.x = thread;
      call(std::index_sequence_for<Parameters...>());
    }
  }
}

/// Runs `launch` and returns true if it is of `kernel`.
template <typename... Parameters>
bool run_if(void (*kernel)(Parameters...), const host::Launch& launch) {
  if (launch.kernel != reinterpret_cast<const void*>(kernel)) return false;
  run_threads(kernel, launch);
  return true;
}

}  // namespace tconv::test
