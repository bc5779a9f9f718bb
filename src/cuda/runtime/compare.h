// SPDX-License-Identifier: Apache-2.0
// compare.h: Gpu::compare of the CUDA seam (gpu_cuda.cpp), defined in src/cuda/runtime/compare.cu.
#pragma once

#include "src/host/device/gpu.h"

namespace tconv::host {

/// See Gpu::compare. Allocates its own workspace.
CompareResult compare_buffers(const Compared& what, Stream stream);

}  // namespace tconv::host
