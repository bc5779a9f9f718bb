// SPDX-License-Identifier: Apache-2.0
// support.h: operands and random problems for all tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "src/host/plan/kernel_table.h"
#include "src/host/problem/problem.h"

namespace tconv::test {

using namespace tconv::host;

/// The long enumerations run whole with TCONV_TEST_FULL=1 (scripts/test --all), else `sampled`.
inline int enumeration(int whole, int sampled) {
  const char* full = std::getenv("TCONV_TEST_FULL");
  return full != nullptr && std::string(full) == "1" ? whole : sampled;
}

/// Heap memory with the alignment of the widest vector load.
template <typename T>
struct AlignedAllocator {
  using value_type = T;
  static constexpr std::align_val_t kAlignment{256};
  AlignedAllocator() = default;
  template <typename U>
  AlignedAllocator(const AlignedAllocator<U>&) {}  // NOLINT: converting, as allocators must
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), kAlignment)); }
  void deallocate(T* p, std::size_t) { ::operator delete(p, kAlignment); }
  bool operator==(const AlignedAllocator&) const { return true; }
};
using Bytes = std::vector<std::byte, AlignedAllocator<std::byte>>;

/// All tensors of one problem. The output starts as NaN (0xff bytes are NaN in every type).
struct Operands {
  Bytes input, filters, bias, slopes, residual, output, workspace;

  Tensors tensors() {
    return {input.data(),    filters.data(), bias.data(),     slopes.data(),
            residual.data(), output.data(),  workspace.data()};
  }
};

/// The byte that fills memory nobody has written.
inline constexpr std::byte kPoison{0xff};

/// Calls fill(i) for each element of a buffer of `type`.
template <typename Fill>
Bytes filled(DType type, int64_t bytes, Fill&& fill) {
  Bytes data(static_cast<std::size_t>(bytes) + 1, kPoison);  // never empty: data() stays non-null
  for (int64_t i = 0; i < bytes / static_cast<int64_t>(size_of(type)); ++i) {
    store(type, data.data(), i, fill(i));
  }
  return data;
}

template <typename Value, typename Slope>
Operands operands(const Problem& problem, Value&& value, Slope&& slope) {
  const ProblemDesc& d = problem.desc();
  return {.input = filled(d.dtype, problem.input_bytes(), value),
          .filters = filled(d.dtype, problem.filter_bytes(), value),
          .bias = filled(d.bias_dtype, problem.bias_bytes(), value),
          .slopes = filled(problem.slopes_dtype(), problem.slopes_bytes(), slope),
          .residual = filled(d.output_dtype, problem.residual_bytes(), value),
          .output = Bytes(static_cast<std::size_t>(problem.output_bytes()) + 1, kPoison),
          .workspace = {}};
}

/// Integers -4..4. Every product and partial sum is exact in f32, so any order of summation gives
/// the same bits after the one rounding: one wrong tap, one missed pixel is a failure.
inline Operands small_integers(const Problem& problem, uint64_t seed) {
  std::mt19937_64 random(seed);
  return operands(
      problem, [&](int64_t) { return static_cast<double>(random() % 9) - 4; },
      [&](int64_t) { return std::ldexp(1.0, -static_cast<int>(random() % 4)); });
}

/// Uniform in [-1, 1).
inline Operands uniform(const Problem& problem, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> value(-1, 1);
  const auto draw = [&](int64_t) { return value(random); };
  return operands(problem, draw, draw);
}

struct RandomLimits {
  int64_t max_in = 6, max_kernel = 5, max_stride = 4, max_dilation = 3, max_channels = 6;
  int64_t max_batch = 2;
  bool strided_tensors = true, zero_sizes = true, inexact_activations = false;
  std::vector<DType> dtypes = {DType::f16, DType::bf16, DType::f32, DType::f64};
};

/// A random axis: any of the geometries that a convention can express and some that none can
/// (outputs past the last tap, padding larger than the filter).
inline Axis random_axis(std::mt19937_64& random, const RandomLimits& limits) {
  const auto upto = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  Axis axis;
  axis.in = upto(limits.zero_sizes && random() % 32 == 0 ? 0 : 1, limits.max_in);
  axis.kernel = upto(1, limits.max_kernel);
  axis.stride = upto(1, limits.max_stride);
  axis.dilation = random() % 2 == 0 ? 1 : upto(1, limits.max_dilation);
  axis.pad_begin = upto(-2, axis.keff());
  const int64_t pad_end = upto(-axis.stride, axis.keff());
  axis.out = std::max<int64_t>(limits.zero_sizes && random() % 32 == 0 ? 0 : 1,
                               axis.full() - axis.pad_begin - pad_end);
  return axis;
}

inline ProblemDesc random_desc(std::mt19937_64& random, const RandomLimits& limits = {}) {
  const auto upto = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  const auto one_in = [&](uint64_t n) { return random() % n == 0; };
  ProblemDesc d;
  d.batch = upto(limits.zero_sizes && one_in(32) ? 0 : 1, limits.max_batch);
  d.groups = one_in(3) ? upto(2, 4) : 1;
  const bool depthwise = one_in(6);
  d.in_c =
      d.groups * (depthwise ? 1 : upto(1, std::max<int64_t>(1, limits.max_channels / d.groups)));
  if (limits.zero_sizes && one_in(32)) d.in_c = 0;
  d.out_c = d.groups * upto(1, std::max<int64_t>(1, limits.max_channels / d.groups));
  d.h = random_axis(random, limits);
  d.w = random_axis(random, limits);
  d.dtype = limits.dtypes[random() % limits.dtypes.size()];
  d.output_dtype = d.dtype;
  d.bias_dtype = d.dtype;
  if (d.dtype != DType::f64) {
    if (one_in(4)) d.output_dtype = std::vector{DType::f16, DType::bf16, DType::f32}[random() % 3];
    if (one_in(2)) d.bias_dtype = DType::f32;
  }
  d.layout = one_in(2) ? Layout::nhwc : Layout::nchw;
  d.filter_order = static_cast<FilterOrder>(upto(1, 4));
  d.has_bias = one_in(2);
  d.has_residual = one_in(3);
  if (!d.has_bias) d.bias_dtype = d.dtype;
  if (one_in(2)) {
    d.activation = static_cast<Activation>(upto(0, limits.inexact_activations ? 9 : 4));
    if (d.activation == Activation::leaky_relu) d.activation_a = 0.5;
    if (d.activation == Activation::clamp) d.activation_a = -6, d.activation_b = 6;
  }
  d.alignment = static_cast<int32_t>(size_of(d.dtype == DType::f64 ? DType::f64 : DType::f32));
  // A slice of a wider tensor: the innermost stride stays 1.
  const auto widened = [&](const Extents& e) {
    Extents wide = e;
    wide.h += upto(0, 1);
    (d.layout == Layout::nhwc ? wide.c : wide.w) += upto(0, 3);
    return dense_strides(d.layout, wide);
  };
  // What is only read may repeat along a dimension, or overlap.
  const auto expanded = [&](Strides s) {
    for (int64_t* stride : {&s.n, &s.h, d.layout == Layout::nhwc ? &s.w : &s.c}) {
      if (*stride % 3 == 0) *stride = 0;
      if (*stride % 7 == 1) *stride /= 2;
    }
    return s;
  };
  if (limits.strided_tensors && one_in(3)) {
    d.input_strides = expanded(widened({d.batch, d.h.in, d.w.in, d.in_c}));
    d.output_strides = widened({d.batch, d.h.out, d.w.out, d.out_c});
    if (one_in(2)) d.residual_strides = expanded(widened({d.batch, d.h.out, d.w.out, d.out_c}));
  }
  return d;
}

}  // namespace tconv::test
