// SPDX-License-Identifier: Apache-2.0
// reference.h: the operation as its definition says it, in f64.
#pragma once

#include <cstdint>

#include "src/host/plan/options.h"
#include "src/host/plan/tensors.h"
#include "src/host/problem/problem.h"

namespace tconv::host {

/// What one output element is made of.
struct ExactElement {
  double value = 0;      ///< activation(sum + bias + residual) in f64, before the one rounding
  double magnitude = 0;  ///< sum of |input * filter| + |bias| + |residual|: scales the error bound
  int64_t terms = 0;     ///< products in the sum
  double slope = 0;      ///< prelu's for this channel: it scales the error bound
  double sum = 0;        ///< sum + bias + residual
  double up = 0, down = 0;  ///< magnitude of the positive and of the negative finite addends
};

/// Output element (n, p, q, k), evaluated alone. `tensors` are host memory; output is not read.
ExactElement exact_element(const Problem& problem, const Tensors& tensors, int64_t n, int64_t p,
                           int64_t q, int64_t k);

/// Writes the whole output with `threads` threads over output rows (see for_each_task).
void reference_conv2d_transpose(const Problem& problem, const Tensors& tensors, int threads,
                                const CallersThreads& callers = {});

/// Taps that reference_conv2d_transpose looks at, whether they land on an input or not: for each
/// output the rows of the filter, and the columns of each row that lands.
double taps_looked_at(const Problem& problem);

/// The activation in f64.
double activate(const ProblemDesc& desc, double x, double prelu_slope);

}  // namespace tconv::host
