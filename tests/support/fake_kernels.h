// SPDX-License-Identifier: Apache-2.0
// fake_kernels.h: families that a test makes up: what they answer is the test's, and a launch is
// only counted.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "src/host/plan/kernel.h"
#include "tests/support/support.h"

namespace tconv::test {

struct FakeState : KernelState {
  int tile = 0;
};

inline std::string takes_all(const Problem&, const Options&, const DeviceFacts&) { return ""; }
inline Considered hundred(const Problem&, int, const Options&, const DeviceFacts&) {
  return {.estimate_us = 100};
}
inline std::shared_ptr<const KernelState> small_state(const Problem&, int tile, const Options&,
                                                      const DeviceFacts&) {
  auto state = std::make_shared<FakeState>();
  state->tile = tile;
  return state;
}
inline std::shared_ptr<const KernelState> large_state(const Problem&, int tile, const Options&,
                                                      const DeviceFacts&) {
  auto state = std::make_shared<FakeState>();
  state->tile = tile;
  state->workspace_bytes = 4096;
  return state;
}

inline std::atomic<int64_t> launches{0};
inline void nothing(const Problem&, const KernelState&, const Tensors&, Stream) {
  launches.fetch_add(1, std::memory_order_relaxed);
}

inline constexpr const char* kOneTile[] = {"only"};
inline constexpr DType kTypes[] = {DType::f32};

using Prepare = decltype(Kernel::prepare);
inline Kernel fake(const char* name, decltype(Kernel::declines) declines, Prepare prepare,
                   std::span<const char* const> tiles = kOneTile,
                   decltype(Kernel::consider) consider = hundred) {
  return {.name = name,
          .device = DeviceKind::cpu,
          .tiles = tiles,
          .dtypes = kTypes,
          .declines = declines,
          .consider = consider,
          .prepare = prepare,
          .launch = nothing,
          .prepack = nullptr};
}

}  // namespace tconv::test
