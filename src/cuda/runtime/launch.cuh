// SPDX-License-Identifier: Apache-2.0
// launch.cuh: the one way in which a kernel is started. The compiler checks the arguments against
// the kernel's parameters; nothing is allocated.
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

#include "src/host/device/gpu.h"

namespace tconv::cuda {

using Extent3 = std::array<unsigned, 3>;

/// Enqueues `kernel` on `stream`; `name` of the row is for error messages.
template <typename... Parameters>
void launch(void (*kernel)(Parameters...), const Extent3& grid, const Extent3& block,
            std::size_t shared_bytes, host::Stream stream, const char* name,
            const std::type_identity_t<Parameters>&... arguments) {
  // The runtime copies what the array points to before it returns, and writes nothing.
  void* pointers[] = {const_cast<void*>(static_cast<const void*>(&arguments))...};
  host::gpu().launch({.kernel = reinterpret_cast<const void*>(kernel),
                      .grid = {grid[0], grid[1], grid[2]},
                      .block = {block[0], block[1], block[2]},
                      .shared_bytes = shared_bytes,
                      .arguments = pointers,
                      .stream = stream,
                      .name = name});
}

}  // namespace tconv::cuda
