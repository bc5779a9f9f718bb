// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tests/probes_on_host/model.h"
namespace tconv::cuda::ptx {
inline void fence_mbarrier_init() {}
inline void fence_proxy_async_shared() {}
}  // namespace tconv::cuda::ptx
