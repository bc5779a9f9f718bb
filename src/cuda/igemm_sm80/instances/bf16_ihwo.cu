// SPDX-License-Identifier: Apache-2.0
// bf16_ihwo.cu: the instances of the kernel for bf16 and filters in the order IHWO.
#include "src/cuda/igemm_sm80/kernel.cuh"

namespace tconv::cuda::igemm {

template KernelFunction kernel_of<BFloat16, FilterOrder::ihwo>(int tile, bool wide);

}  // namespace tconv::cuda::igemm
