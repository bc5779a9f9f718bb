// SPDX-License-Identifier: Apache-2.0
// narrow.cu: the instances of narrow/src/cuda/igemm_instances.cuh, but for one.
#include "src/cuda/igemm_sm80/kernel.cuh"

namespace tconv::cuda::igemm {

extern template KernelFunction instance<Half, 4, false, FilterOrder::hwoi>();

template KernelFunction kernel_of<Half, FilterOrder::hwoi>(int tile, bool wide);
template KernelFunction kernel_of<Half, FilterOrder::ihwo>(int tile, bool wide);
template KernelFunction kernel_of<float, FilterOrder::hwoi>(int tile, bool wide);
template KernelFunction kernel_of<Tf32x3, FilterOrder::hwoi>(int tile, bool wide);

}  // namespace tconv::cuda::igemm
