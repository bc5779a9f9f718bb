// SPDX-License-Identifier: Apache-2.0
// launchers.cuh: the instances of the kernel, as row.cu sees them.
#pragma once

#include "src/cuda/common/dtype.cuh"
#include "src/cuda/common/epilogue.cuh"
#include "src/cuda/common/tf32x3.cuh"
#include "src/cuda/igemm_sm80/params.h"
#include "src/host/problem/problem.h"

namespace tconv::cuda::igemm {

using host::FilterOrder;
using host::igemm::Params;

using KernelFunction = void (*)(Params, const char*, const char*, Epilogue<float>);

/// The instance for a tile. `vec16`: all is copied 16 bytes at a time. kOrder: of the filters; IHWO
/// only with 16-bit types.
template <typename T, FilterOrder kOrder>
KernelFunction kernel_of(int tile, bool vec16);

// Compiled in instances/.
extern template KernelFunction kernel_of<Half, FilterOrder::hwoi>(int tile, bool vec16);
extern template KernelFunction kernel_of<Half, FilterOrder::ihwo>(int tile, bool vec16);
extern template KernelFunction kernel_of<BFloat16, FilterOrder::hwoi>(int tile, bool vec16);
extern template KernelFunction kernel_of<BFloat16, FilterOrder::ihwo>(int tile, bool vec16);
extern template KernelFunction kernel_of<float, FilterOrder::hwoi>(int tile, bool vec16);
extern template KernelFunction kernel_of<Tf32x3, FilterOrder::hwoi>(int tile, bool vec16);

}  // namespace tconv::cuda::igemm
