// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tests/probes_on_host/model.h"
namespace tconv::cuda::ptx {
inline void pin(float&) {}
}  // namespace tconv::cuda::ptx
