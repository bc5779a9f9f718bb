// SPDX-License-Identifier: Apache-2.0
// igemm_narrow_phases.cu: one of the instances of igemm_narrow.cu, in a unit of its own. Nearly all
// mutations show in it alone, and it compiles in a third of the time: see mutations.cmake.
#include "src/cuda/igemm_kernel.cuh"

namespace tconv::cuda::igemm {

template KernelFunction instance<Half, 4, false, FilterOrder::hwoi>();

}  // namespace tconv::cuda::igemm
