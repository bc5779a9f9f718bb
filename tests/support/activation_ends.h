// SPDX-License-Identifier: Apache-2.0
// activation_ends.h: every activation at values where a careless form overflows, cancels or loses
// NaN.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include "tests/support/support.h"

namespace tconv::test {

/// One output channel per value, whose sum is the bias alone.
inline Problem activation_ends(DType type, Activation activation, Operands& operands) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::vector<double> values = {-kInfinity, -3e38, -1e20,     -1e13,       -104,  -90,  -88.7,
                                      -20,        -9,    -5.5,      -1,          -1e-4, -0.0, 0.0,
                                      1e-30,      1e-4,  1,         5.5,         9,     20,   88.7,
                                      1e13,       3e38,  kInfinity, std::nan("")};
  ProblemDesc d;
  d.out_c = static_cast<int64_t>(values.size());
  d.dtype = d.output_dtype = d.bias_dtype = type;
  d.has_bias = true;
  d.activation = activation;
  d.activation_a = -0.5, d.activation_b = 6;
  const Problem problem(d);
  operands = small_integers(problem, 1);
  std::fill(operands.input.begin(), operands.input.end(), std::byte{0});
  for (std::size_t i = 0; i < values.size(); ++i) {
    store(type, operands.bias.data(), static_cast<int64_t>(i), values[i]);
  }
  return problem;
}

}  // namespace tconv::test
