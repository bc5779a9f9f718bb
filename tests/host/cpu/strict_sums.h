// SPDX-License-Identifier: Apache-2.0
// strict_sums.h: are a kernel's sums those of the formula, bit by bit?
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

#include "tests/support/support.h"

namespace tconv::test {

/// Strict sums: fused, in the order r, s, c, in the type's own width, whatever the layout.
template <typename T>
void expect_sums_in_order(DType type, T (*fused)(T, T, T),
                          const std::function<void(const Problem&, const Tensors&)>& run) {
  std::mt19937_64 random(23);
  for (int i = 0; i < 200; ++i) {
    ProblemDesc d = random_desc(random, {.strided_tensors = false, .zero_sizes = false});
    d.dtype = d.output_dtype = d.bias_dtype = type;
    d.alignment = 8;
    d.has_bias = d.has_residual = false;
    d.activation = Activation::identity;
    const Problem problem(d);
    Operands o = uniform(problem, static_cast<uint64_t>(i));
    run(problem, o.tensors());
    const auto n = static_cast<int64_t>(random()) & (d.batch - 1);
    const int64_t p = static_cast<int64_t>(random() >> 1) % d.h.out;
    const int64_t q = static_cast<int64_t>(random() >> 1) % d.w.out;
    const int64_t k = static_cast<int64_t>(random() >> 1) % d.out_c;
    const int64_t first_c = k / problem.out_c_per_group() * problem.in_c_per_group();
    T sum = 0;
    for (int64_t r = 0; r < d.h.kernel; ++r) {
      for (int64_t s = 0; s < d.w.kernel; ++s) {
        const int64_t h = input_index(d.h, p, r), w = input_index(d.w, q, s);
        if (h == kNoInput || w == kNoInput) continue;
        for (int64_t c = first_c; c < first_c + problem.in_c_per_group(); ++c) {
          const auto at = problem.desc().input_strides.offset(n, h, w, c);
          const auto tap = problem.filter_strides().offset(r, s, k % problem.out_c_per_group(), c);
          sum = fused(static_cast<T>(load(type, o.input.data(), at)),
                      static_cast<T>(load(type, o.filters.data(), tap)), sum);
        }
      }
    }
    const auto at = problem.desc().output_strides.offset(n, p, q, k);
    ASSERT_EQ(load(type, o.output.data(), at), static_cast<double>(sum)) << problem.key();
  }
}

inline void expect_sums_fused_and_in_order(
    const std::function<void(const Problem&, const Tensors&)>& run) {
  expect_sums_in_order<float>(
      DType::f32, [](float a, float b, float c) { return fmaf(a, b, c); }, run);
  expect_sums_in_order<double>(
      DType::f64, [](double a, double b, double c) { return std::fma(a, b, c); }, run);
}

}  // namespace tconv::test
