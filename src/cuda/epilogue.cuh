// SPDX-License-Identifier: Apache-2.0
// epilogue.cuh: output = round(activation(sum + bias + residual)), once for all kernels.
//
// Whatever differs between problems here is a branch that all threads take alike, so that no kernel
// is compiled once per activation or output type. Errors stay within what docs/verification.md
// grants an activation: 8 units of the last place.
#pragma once

#include "src/cuda/dtype.cuh"
#include "src/host/kernel_table.h"

namespace tconv::cuda {

using host::Activation;

/// The epilogue of one run. A pointer is null where the problem has no such tensor.
template <typename Sum>
struct Epilogue {
  const void* bias;
  const void* slopes;
  const void* residual;  // may be the output itself, element on element
  void* output;
  DType bias_type, output_type;
  Activation activation;
  Sum a, b;
};

template <typename Sum>
Epilogue<Sum> make_epilogue(const host::ProblemDesc& d, const host::Tensors& tensors) {
  return {.bias = d.has_bias ? tensors.bias : nullptr,
          .slopes = d.activation == Activation::prelu ? tensors.slopes : nullptr,
          .residual = d.has_residual ? tensors.residual : nullptr,
          .output = tensors.output,
          .bias_type = d.bias_dtype,
          .output_type = d.output_dtype,
          .activation = d.activation,
          .a = static_cast<Sum>(d.activation_a),
          .b = static_cast<Sum>(d.activation_b)};
}

/// 1 / (1 + e^-x), in the form that neither overflows nor cancels for negative x.
template <typename Sum>
__device__ inline Sum logistic(Sum x) {
  const Sum e = exp(x < 0 ? x : -x);
  return (x < 0 ? e : Sum{1}) / (1 + e);
}

/// x/2 * (1 + tanh(u)) = x / (1 + e^-2u): without the bracket that cancels.
template <typename Sum>
__device__ inline Sum gelu_tanh(Sum x) {
  constexpr auto kTwoSqrt2OverPi = static_cast<Sum>(1.5957691216057307118);
  return x * logistic(kTwoSqrt2OverPi * (x + static_cast<Sum>(0.044715) * x * x * x));
}

template <typename Sum>
__device__ inline Sum gelu(Sum x) {
  constexpr auto kMinusSqrtHalf = static_cast<Sum>(-0.70710678118654752440);
  return x / 2 * erfc(kMinusSqrtHalf * x);
}

/// Comparisons are written so that NaN stays NaN.
template <typename Sum>
__device__ inline Sum activate(const Epilogue<Sum>& e, Sum x, int64_t k) {
  switch (e.activation) {
    case Activation::identity: break;
    case Activation::relu: return x < 0 ? Sum{0} : x;
    case Activation::leaky_relu: return x < 0 ? e.a * x : x;
    case Activation::prelu: return x < 0 ? static_cast<const Sum*>(e.slopes)[k] * x : x;
    case Activation::clamp: return x < e.a ? e.a : x > e.b ? e.b : x;
    case Activation::sigmoid: return logistic(x);
    case Activation::tanh: return tanh(x);
    case Activation::gelu: return gelu(x);
    case Activation::gelu_tanh: return gelu_tanh(x);
    case Activation::silu: return x * logistic(x);
  }
  return x;
}

/// Finishes and writes the output element of channel `k`. Offsets are in elements.
template <typename Sum>
__device__ inline void finish(const Epilogue<Sum>& e, Sum sum, int64_t k, int64_t residual_offset,
                              int64_t output_offset) {
  if (e.bias != nullptr) sum += load_value<Sum>(e.bias_type, e.bias, k);
  if (e.residual != nullptr) sum += load_value<Sum>(e.output_type, e.residual, residual_offset);
  store_rounded(e.output_type, e.output, output_offset, activate(e, sum, k));
}

}  // namespace tconv::cuda
