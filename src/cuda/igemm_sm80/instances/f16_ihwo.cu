// SPDX-License-Identifier: Apache-2.0
// f16_ihwo.cu: the instances of the kernel for f16 and filters in the order IHWO.
#include "src/cuda/igemm_sm80/kernel.cuh"

namespace tconv::cuda::igemm {

template KernelFunction kernel_of<Half, FilterOrder::ihwo>(int tile, bool wide);

}  // namespace tconv::cuda::igemm
