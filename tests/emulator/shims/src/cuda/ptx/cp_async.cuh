// SPDX-License-Identifier: Apache-2.0
// cp_async.cuh, emulated: a copy is done as late as its group allows; until then its target is NaN
// and counts as unwritten.
#pragma once

#include "tests/emulator/device_side.h"

namespace tconv::cuda::ptx {

using emulator::Where;

inline void cp_async_cg_16(uint32_t shared, const void* global, uint32_t bytes,
                           Where where = Where::current()) {
  emulator::cp_async(shared, global, 16, bytes, where);
}
template <int kSize>
inline void cp_async_ca(uint32_t shared, const void* global, uint32_t bytes,
                        Where where = Where::current()) {
  static_assert(kSize == 4 || kSize == 8 || kSize == 16);
  emulator::cp_async(shared, global, kSize, bytes, where);
}
inline void cp_async_commit_group(Where where = Where::current()) {
  emulator::cp_async_commit_group(where);
}
template <int kPending>
inline void cp_async_wait_group(Where where = Where::current()) {
  emulator::cp_async_wait_group(kPending, where);
}

}  // namespace tconv::cuda::ptx
