// SPDX-License-Identifier: Apache-2.0
// launch.cuh, emulated: as src/cuda/runtime/launch.cuh, and the emulator learns how the kernel is
// called.
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "src/host/device/gpu.h"
#include "tests/emulator/device_side.h"

namespace tconv::cuda {

using Extent3 = std::array<unsigned, 3>;

/// Not instrumented: it reads the host's memory.
template <typename... Parameters>
__attribute__((no_sanitize("thread"), no_sanitize_coverage)) void invoke(const void* kernel,
                                                                         void** arguments) {
  const auto call = reinterpret_cast<void (*)(Parameters...)>(const_cast<void*>(kernel));
  [&]<std::size_t... i>(std::index_sequence<i...>)
      __attribute__((no_sanitize("thread"), no_sanitize_coverage)) {
    call(*static_cast<const std::remove_const_t<Parameters>*>(arguments[i])...);
  }
  (std::index_sequence_for<Parameters...>());
}

template <typename T>
inline constexpr bool kPointerToConst =
    std::is_pointer_v<T> && std::is_const_v<std::remove_pointer_t<T>>;

template <typename... Parameters>
inline constexpr std::array<emulator::Parameter, sizeof...(Parameters)> kParameters = {
    {{sizeof(Parameters), kPointerToConst<std::remove_const_t<Parameters>>}...}};

template <typename... Parameters>
void launch(void (*kernel)(Parameters...), const Extent3& grid, const Extent3& block,
            std::size_t shared_bytes, host::Stream stream, const char* name,
            const std::type_identity_t<Parameters>&... arguments) {
  void* pointers[] = {const_cast<void*>(static_cast<const void*>(&arguments))...};
  const auto address = reinterpret_cast<const void*>(kernel);
  emulator::know_kernel(
      address, {invoke<Parameters...>, kParameters<Parameters...>.data(), sizeof...(Parameters)});
  host::gpu().launch({.kernel = address,
                      .grid = {grid[0], grid[1], grid[2]},
                      .block = {block[0], block[1], block[2]},
                      .shared_bytes = shared_bytes,
                      .arguments = pointers,
                      .stream = stream,
                      .name = name});
}

}  // namespace tconv::cuda
