// SPDX-License-Identifier: Apache-2.0
// pin.cuh, emulated: nothing.
#pragma once

namespace tconv::cuda::ptx {

template <typename T>
inline void pin(T&) {}

}  // namespace tconv::cuda::ptx
