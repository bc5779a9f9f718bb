// SPDX-License-Identifier: Apache-2.0
// igemm_kernels.cuh: the instances of the kernel of igemm_sm80.cu, as its launch sees them.
#pragma once

#include "src/cuda/dtype.cuh"
#include "src/cuda/epilogue.cuh"
#include "src/cuda/tf32x3.cuh"
#include "src/host/igemm_plan.h"

namespace tconv::cuda::igemm {

using host::FilterOrder;
using host::IgemmParams;

using KernelFunction = void (*)(IgemmParams, const char*, const char*, Epilogue<float>);

/// The instance for a tile. `wide`: all is copied 16 bytes at a time. kOrder: of the filters, IHWO
/// of 16-bit types alone.
template <typename T, FilterOrder kOrder>
KernelFunction kernel_of(int tile, bool wide);

// Compiled in igemm_sm80_TYPE.cu.
extern template KernelFunction kernel_of<Half, FilterOrder::hwoi>(int tile, bool wide);
extern template KernelFunction kernel_of<Half, FilterOrder::ihwo>(int tile, bool wide);
extern template KernelFunction kernel_of<BFloat16, FilterOrder::hwoi>(int tile, bool wide);
extern template KernelFunction kernel_of<BFloat16, FilterOrder::ihwo>(int tile, bool wide);
extern template KernelFunction kernel_of<float, FilterOrder::hwoi>(int tile, bool wide);
extern template KernelFunction kernel_of<Tf32x3, FilterOrder::hwoi>(int tile, bool wide);

}  // namespace tconv::cuda::igemm
