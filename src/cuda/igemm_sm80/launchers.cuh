// SPDX-License-Identifier: Apache-2.0
// launchers.cuh: the instances of the kernel of row.cu, as its launch sees them.
#pragma once

#include "src/cuda/common/dtype.cuh"
#include "src/cuda/common/epilogue.cuh"
#include "src/cuda/common/tf32x3.cuh"
#include "src/cuda/igemm_sm80/plan.h"

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
