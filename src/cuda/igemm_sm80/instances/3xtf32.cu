// SPDX-License-Identifier: Apache-2.0
// 3xtf32.cu: the instances of the kernel for f32 in three products of TF32.
#include "src/cuda/igemm_sm80/kernel.cuh"

namespace tconv::cuda::igemm {

template KernelFunction kernel_of<Tf32x3, FilterOrder::hwoi>(int tile, bool wide);

}  // namespace tconv::cuda::igemm
