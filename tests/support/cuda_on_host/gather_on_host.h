// SPDX-License-Identifier: Apache-2.0
// gather_on_host.h: src/cuda/gather.cu compiled by the host compiler, and its launches done on the
// CPU, thread after thread. Needs neither nvcc nor CUDA's headers.
#pragma once

#include "src/host/device/gpu.h"
#include "src/host/plan/kernel_table.h"

namespace tconv::test {

/// The row `gather` of the host compiler's making.
const host::Kernel& gather_on_host();

/// Does a launch of it before it returns: to be a FakeGpu's on_launch.
void run_on_host(const host::Launch& launch);

/// Launches it with indices of 64 bits, which the row takes for large problems only. Through gpu().
void launch_wide(const host::Problem& problem, const host::Tensors& tensors);

/// Whether `kernel` is an instance with indices of 64 bits.
bool is_wide(const void* kernel);

}  // namespace tconv::test
