// SPDX-License-Identifier: Apache-2.0
// f16.cu: the instances of the kernel for f16.
#include "src/cuda/igemm_sm80/kernel.cuh"

namespace tconv::cuda::igemm {

template KernelFunction kernel_of<Half, FilterOrder::hwoi>(int tile, bool wide);

}  // namespace tconv::cuda::igemm
