// SPDX-License-Identifier: Apache-2.0
// prediction.h: what a plan of igemm_sm80 will ask of the machine, from its numbers alone. What the
// emulator counts is held against it (tests/cuda/igemm_sm80/test_igemm_traffic_emulated.cpp).
#pragma once

#include "src/cuda/igemm_sm80/plan.h"
#include "src/host/plan/prediction.h"

namespace tconv::host::igemm {

/// Of a plan that is not refused, made for `problem`, `tile` and `device`.
Prediction predict(const Problem& problem, const Tile& tile, const Plan& plan,
                   const DeviceFacts& device);

}  // namespace tconv::host::igemm
