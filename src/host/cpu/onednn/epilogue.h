// SPDX-License-Identifier: Apache-2.0
// epilogue.h: output = round(activation(sum + bias + residual)) in one pass over f32 sums, for CPU
// rows whose library leaves the sums in memory.
#pragma once

#include <cstdint>

#include "src/host/plan/kernel_table.h"
#include "src/host/problem/problem.h"

namespace tconv::host {

/// Where the f32 sums of a rectangle of output pixels lie. Every output outside has the sum zero.
struct Sums {
  const float* data = nullptr;  ///< the sum of output (0, first_p, first_q, 0)
  Strides strides;              ///< in floats
  int64_t first_p = 0, rows = 0, first_q = 0, columns = 0;
};

/// Writes every output element, and nothing between them. The sums may be the output itself,
/// element on element, and so may the residual. Not for f64.
void apply_epilogue(const Problem& problem, const Sums& sums, const Tensors& tensors, int threads);

/// Widens a strided input tensor (not f64) to f32 in another order.
void widen_tensor(const Extents& extents, Layout layout, DType type, const void* from,
                  const Strides& from_strides, float* to, const Strides& to_strides, int threads);

}  // namespace tconv::host
