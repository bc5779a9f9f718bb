// SPDX-License-Identifier: Apache-2.0
// narrow_phases.cu: one of the instances of narrow.cu, in a unit of its own. Nearly all
// mutations show in it alone, and it compiles in a third of the time: see mutations.cmake.
#include "src/cuda/igemm_sm80/kernel.cuh"

namespace tconv::cuda::igemm {

template KernelFunction instance<Half, 4, false, FilterOrder::hwoi>();

}  // namespace tconv::cuda::igemm
