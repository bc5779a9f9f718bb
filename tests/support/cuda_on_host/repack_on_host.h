// SPDX-License-Identifier: Apache-2.0
// repack_on_host.h: src/cuda/runtime/repack.cu compiled by the host compiler, and its launches done
// on the CPU, thread after thread. Needs neither nvcc nor CUDA's headers.
#pragma once

#include "src/host/device/gpu.h"
#include "src/host/plan/kernel_table.h"

namespace tconv::test {

/// As in src/cuda/runtime/repack.h.
void load_repack_on_host(const host::Problem& problem);
void load_epilogue_on_host(const host::Problem& problem);
void repack_on_host(const host::Problem& problem, const host::FilterStrides& order,
                    const void* filters, void* to);
void epilogue_on_host(const host::Problem& problem, const void* sums,
                      const host::Strides& sums_strides, const host::Tensors& tensors);

/// Does a launch of these kernels before it returns: to be a FakeGpu's on_launch.
void run_repack_on_host(const host::Launch& launch);

/// The same for a launch of the library's own kernels, whose addresses say nothing here: of which
/// type, and whether it is the epilogue, the caller knows. For problems of fewer than 2^31
/// elements.
void run_repack_made_by_nvcc(const host::Launch& launch, host::DType dtype, bool is_epilogue);

}  // namespace tconv::test
