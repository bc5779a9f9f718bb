// SPDX-License-Identifier: Apache-2.0
// igemm_sm80_tf32.cu: the instances of the kernel for tf32.
#include "src/cuda/igemm_kernel.cuh"

namespace tconv::cuda::igemm {

template KernelFunction kernel_of<float, FilterOrder::hwoi>(int tile, bool wide);

}  // namespace tconv::cuda::igemm
