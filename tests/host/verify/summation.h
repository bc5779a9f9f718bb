// SPDX-License-Identifier: Apache-2.0
// summation.h: one output element summed in every way that a kernel might: orders, fused or
// separate products, rounding or truncation, flushed subnormals, the aligned additions of tensor
// cores.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "src/host/verify/verify.h"
#include "tests/support/support.h"

namespace tconv::test {

/// The products of one output element, by loops of this file's own.
inline std::vector<std::pair<double, double>> factors(const Problem& problem,
                                                      const Tensors& tensors,
                                                      const Coordinate& at) {
  const ProblemDesc& d = problem.desc();
  const int64_t group = at.k / problem.out_c_per_group(), per_group = problem.in_c_per_group();
  std::vector<std::pair<double, double>> result;
  for (int64_t r = 0; r < d.h.kernel; ++r) {
    for (int64_t s = 0; s < d.w.kernel; ++s) {
      const int64_t h = input_index(d.h, at.p, r), w = input_index(d.w, at.q, s);
      for (int64_t c = group * per_group; h >= 0 && w >= 0 && c < (group + 1) * per_group; ++c) {
        const int64_t f =
            problem.filter_strides().offset(r, s, at.k % problem.out_c_per_group(), c);
        result.emplace_back(load(d.dtype, tensors.input, d.input_strides.offset(at.n, h, w, c)),
                            load(d.dtype, tensors.filters, f));
      }
    }
  }
  return result;
}

inline float toward_zero(double x) {
  const auto nearest = static_cast<float>(x);
  return std::fabs(nearest) > std::fabs(x) ? std::nextafter(nearest, 0.0F) : nearest;
}
inline float to_nearest(double x) { return static_cast<float>(x); }

/// Toward zero, and subnormals become zero.
inline float flushed(double x) {
  const float cut = toward_zero(x);
  return std::fabs(cut) < 0x1p-126F ? 0 : cut;
}

using Rounding = float (*)(double);

/// Adds in the order given, products rounded (or not: FMA) by `rounding`, one or another way.
inline float sum_in_order(const std::vector<std::pair<double, double>>& factors, Rounding rounding,
                          bool fused) {
  float sum = 0;
  for (const auto& [x, f] : factors) {
    const double product = x * f;
    sum = rounding(sum + (fused ? product : double{rounding(product)}));
  }
  return sum;
}

inline float sum_pairwise(const std::vector<std::pair<double, double>>& factors, std::size_t begin,
                          std::size_t end, Rounding rounding) {
  if (begin == end) return 0;
  if (end - begin == 1) return rounding(factors[begin].first * factors[begin].second);
  const std::size_t middle = (begin + end) / 2;
  return rounding(double{sum_pairwise(factors, begin, middle, rounding)} +
                  sum_pairwise(factors, middle, end, rounding));
}

/// Tensor cores: blocks of exact products and the sum so far, cut off toward zero at 23 binary
/// digits below the largest, added, and cut off to f32.
inline float sum_aligned(const std::vector<std::pair<double, double>>& factors, std::size_t block) {
  float sum = 0;
  for (std::size_t begin = 0; begin < factors.size(); begin += block) {
    std::vector<double> addends = {sum};
    for (std::size_t i = begin; i < std::min(begin + block, factors.size()); ++i) {
      addends.push_back(factors[i].first * factors[i].second);
    }
    double largest = 0, total = 0;
    for (const double addend : addends) largest = std::max(largest, std::fabs(addend));
    if (largest == 0) continue;
    const double unit = std::ldexp(1, std::ilogb(largest) - 23);
    for (const double addend : addends) total += std::trunc(addend / unit) * unit;
    sum = toward_zero(total);
  }
  return sum;
}

/// Every way to sum that this file knows.
inline std::vector<float> all_sums(std::vector<std::pair<double, double>> factors) {
  std::vector<float> sums;
  const auto add_orders = [&] {
    for (const Rounding rounding : {to_nearest, toward_zero, flushed}) {
      sums.push_back(sum_in_order(factors, rounding, false));
      sums.push_back(sum_in_order(factors, rounding, true));
      sums.push_back(sum_pairwise(factors, 0, factors.size(), rounding));
    }
    for (const std::size_t block : {1, 4, 16}) sums.push_back(sum_aligned(factors, block));
  };
  add_orders();
  std::ranges::reverse(factors);
  add_orders();
  const auto magnitude = [](const auto& f) { return std::fabs(f.first * f.second); };
  std::ranges::sort(factors, std::greater{}, magnitude);
  add_orders();
  // All positive products before all negative ones: the largest sums between.
  std::ranges::sort(factors, std::greater{}, [](const auto& f) { return f.first * f.second; });
  add_orders();
  return sums;
}

/// The activation as an f32 kernel would compute it, from the formula and <cmath>'s functions.
inline float activate_f32(const ProblemDesc& d, float x, float slope) {
  switch (d.activation) {
    case Activation::identity: break;
    case Activation::relu: return std::max(x, 0.0F);
    case Activation::leaky_relu: return x < 0 ? static_cast<float>(d.activation_a) * x : x;
    case Activation::prelu: return x < 0 ? slope * x : x;
    case Activation::clamp:
      return std::clamp(x, static_cast<float>(d.activation_a), static_cast<float>(d.activation_b));
    case Activation::sigmoid: return 1 / (1 + std::exp(-x));
    case Activation::tanh: return std::tanh(x);
    case Activation::gelu: return 0.5F * x * (1 + std::erf(x * 0.70710678F));
    case Activation::gelu_tanh:
      return 0.5F * x * (1 + std::tanh(0.79788456F * (x + 0.044715F * x * x * x)));
    case Activation::silu: return x / (1 + std::exp(-x));
  }
  return x;
}

}  // namespace tconv::test
