// SPDX-License-Identifier: Apache-2.0
// barrier.cuh, emulated.
#pragma once

#include "tests/emulator/device_side.h"

namespace tconv::cuda::ptx {

using emulator::Where;

inline void bar_sync(uint32_t id, uint32_t threads, Where where = Where::current()) {
  emulator::resume(emulator::sync_named(id, threads, where));
}
inline void bar_arrive(uint32_t id, uint32_t threads, Where where = Where::current()) {
  emulator::arrive_named(id, threads, where);
}

}  // namespace tconv::cuda::ptx
