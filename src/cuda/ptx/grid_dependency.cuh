// SPDX-License-Identifier: Apache-2.0
// grid_dependency.cuh: programmatic dependent launch. PTX ISA 7.8, sm_90; section "Miscellaneous:
// griddepcontrol". Before sm_90 and without the launch attribute both do nothing.
#pragma once

namespace tconv::cuda::ptx {

/// Waits until the kernel before this one in the stream has ended, and its writes are visible.
__device__ __forceinline__ void grid_dependency_wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/// Lets the next kernel in the stream start (and wait) while this one runs.
__device__ __forceinline__ void grid_dependency_launch() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

}  // namespace tconv::cuda::ptx
