// SPDX-License-Identifier: Apache-2.0
// repack.h: our two kernels around a vendor's: filters into another order before it, the epilogue
// after it. Defined in src/cuda/runtime/repack.cu. Neither allocates nor synchronises.
#pragma once

#include "src/host/device/gpu.h"
#include "src/host/plan/tensors.h"
#include "src/host/problem/problem.h"

namespace tconv::host {

/// A block of the kernel that repacks: an element each.
inline constexpr int kRepackThreads = 256;

/// Makes the kernels of one problem resident on the current device, so that a first run can be
/// captured.
void load_repack(const Problem& problem);
void load_epilogue(const Problem& problem);

/// Filters in the problem's order -> `to`, whose elements lie at `order`, densely.
void enqueue_repack(const Problem& problem, const FilterStrides& order, const void* filters,
                    void* to, Stream stream);

/// output = round(activation(sums + bias + residual)). Sums are f32 (f64 for f64) and may be the
/// output itself, element on element.
void enqueue_epilogue(const Problem& problem, const void* sums, const Strides& sums_strides,
                      const Tensors& tensors, Stream stream);

}  // namespace tconv::host
