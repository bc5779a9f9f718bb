// SPDX-License-Identifier: Apache-2.0
// tf32.cu: the instances of the kernel for tf32.
#include "src/cuda/igemm_sm80/kernel.cuh"

namespace tconv::cuda::igemm {

template KernelFunction kernel_of<float, FilterOrder::hwoi>(int tile, bool wide);

}  // namespace tconv::cuda::igemm
