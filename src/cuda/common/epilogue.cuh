// SPDX-License-Identifier: Apache-2.0
// epilogue.cuh: output = round(activation(sum + bias + residual)), once for all kernels.
//
// Whatever differs between problems here is a branch that all threads take alike, so that no kernel
// is compiled once per activation or output type. Errors stay within what docs/verification.md
// grants an activation: 8 units of the last place.
#pragma once

#include "src/cuda/common/dtype.cuh"
#include "src/host/plan/kernel_table.h"

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

// ---- Runs of 8 neighbouring channels, aligned to a run: 16 bytes at once. ----------------------

/// 16 bytes that one instruction moves.
struct alignas(16) Bytes16 {
  uint32_t x, y, z, w;
};

__device__ inline uint32_t rounded_pair(DType type, float low, float high) {
  if (type == DType::f16) {
    return __half_as_ushort(__float2half_rn(low)) |
           uint32_t{__half_as_ushort(__float2half_rn(high))} << 16;
  }
  return __bfloat16_as_ushort(__float2bfloat16_rn(low)) |
         uint32_t{__bfloat16_as_ushort(__float2bfloat16_rn(high))} << 16;
}

__device__ inline void store_run(DType type, void* data, int64_t i, const float (&x)[8]) {
  if (type == DType::f32) {
    auto* to = reinterpret_cast<Bytes16*>(static_cast<float*>(data) + i);
    const Bytes16 low = {__float_as_uint(x[0]), __float_as_uint(x[1]), __float_as_uint(x[2]),
                         __float_as_uint(x[3])};
    const Bytes16 high = {__float_as_uint(x[4]), __float_as_uint(x[5]), __float_as_uint(x[6]),
                          __float_as_uint(x[7])};
    to[0] = low;
    to[1] = high;
    return;
  }
  const Bytes16 all = {rounded_pair(type, x[0], x[1]), rounded_pair(type, x[2], x[3]),
                       rounded_pair(type, x[4], x[5]), rounded_pair(type, x[6], x[7])};
  *reinterpret_cast<Bytes16*>(static_cast<uint16_t*>(data) + i) = all;
}

__device__ inline float half_of(DType type, uint32_t pair, int upper) {
  const auto bits = static_cast<uint16_t>(upper != 0 ? pair >> 16 : pair);
  return type == DType::f16 ? value_of(Half{bits}) : value_of(BFloat16{bits});
}

__device__ inline void add_run(DType type, const void* data, int64_t i, float (&x)[8]) {
  if (type == DType::f32) {
    const auto* from = reinterpret_cast<const Bytes16*>(static_cast<const float*>(data) + i);
    const Bytes16 a = from[0], b = from[1];
    const uint32_t words[8] = {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w};
#pragma unroll
    for (int j = 0; j < 8; ++j) x[j] += __uint_as_float(words[j]);
    return;
  }
  const Bytes16 a = *reinterpret_cast<const Bytes16*>(static_cast<const uint16_t*>(data) + i);
  const uint32_t words[4] = {a.x, a.y, a.z, a.w};
#pragma unroll
  for (int j = 0; j < 8; ++j) x[j] += half_of(type, words[j / 2], j % 2);
}

/// True for the activations that finish_run does in a few instructions.
constexpr bool is_quick(Activation activation) {
  return activation == Activation::identity || activation == Activation::relu ||
         activation == Activation::leaky_relu || activation == Activation::clamp;
}

__device__ inline float activate_quickly(const Epilogue<float>& e, float x) {
  switch (e.activation) {
    case Activation::relu: return x < 0 ? 0 : x;
    case Activation::leaky_relu: return x < 0 ? e.a * x : x;
    case Activation::clamp: return x < e.a ? e.a : x > e.b ? e.b : x;
    default: return x;
  }
}

/// As finish(), for channels k .. k+7 with a quick activation and their bias, read before.
__device__ inline void finish_run(const Epilogue<float>& e, float (&sums)[8],
                                  const float (&bias)[8], int64_t residual_offset,
                                  int64_t output_offset) {
#pragma unroll
  for (int j = 0; j < 8; ++j) sums[j] += bias[j];
  if (e.residual != nullptr) add_run(e.output_type, e.residual, residual_offset, sums);
#pragma unroll
  for (int j = 0; j < 8; ++j) sums[j] = activate_quickly(e, sums[j]);
  store_run(e.output_type, e.output, output_offset, sums);
}

}  // namespace tconv::cuda
