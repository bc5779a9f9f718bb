// SPDX-License-Identifier: Apache-2.0
// reference.cpp: transposed convolution as its definition says it. Takes every problem.
//
//   output[n,p,q,k] = round(activation(sum + bias[k] + residual[n,p,q,k]))
//   sum = over taps (r,s), input channels c of the group:  input[n,h,w,c] * filters[r,s,k,c]
//   where  p = h*stride_h - pad_begin_h + r*dilation_h  and likewise  q, w, s.
//
// Sums are f64 in a fixed order. This file is the judge of all others: it is read, not optimised.
#include "src/host/cpu/reference.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "src/host/cpu/threads.h"
#include "src/host/device/device.h"
#include "src/host/plan/kernel.h"

namespace tconv::host {
namespace {

/// Calls body(x, f) for every product x*f of an output, in the definition's order.
template <typename T, typename Body>
void for_each_product(const Problem& problem, const Tensors& tensors, int64_t n, int64_t p,
                      int64_t q, int64_t k, Body&& body) {
  const ProblemDesc& d = problem.desc();
  const FilterStrides filter = problem.filter_strides();
  const auto* input = static_cast<const T*>(tensors.input);
  const auto* filters = static_cast<const T*>(tensors.filters);
  const int64_t k_in_group = k % problem.out_c_per_group();
  const int64_t first_c = k / problem.out_c_per_group() * problem.in_c_per_group();

  for (int64_t r = 0; r < d.h.kernel; ++r) {
    const int64_t h = input_index(d.h, p, r);
    if (h == kNoInput) continue;
    for (int64_t s = 0; s < d.w.kernel; ++s) {
      const int64_t w = input_index(d.w, q, s);
      if (w == kNoInput) continue;
      for (int64_t c = first_c; c < first_c + problem.in_c_per_group(); ++c) {
        body(static_cast<double>(widen(input[d.input_strides.offset(n, h, w, c)])),
             static_cast<double>(widen(filters[filter.offset(r, s, k_in_group, c)])));
      }
    }
  }
}

template <typename T>
ExactElement exact_sum(const Problem& problem, const Tensors& tensors, int64_t n, int64_t p,
                       int64_t q, int64_t k) {
  ExactElement element;
  for_each_product<T>(problem, tensors, n, p, q, k, [&](double x, double f) {
    element.value += x * f;
    element.magnitude += std::fabs(x * f);
    ++element.terms;
  });
  return element;
}

/// Adds the finite addends of each sign where infinite ones hide them.
template <typename T>
void add_up_and_down(const Problem& problem, const Tensors& tensors, int64_t n, int64_t p,
                     int64_t q, int64_t k, ExactElement& element) {
  const auto add = [&](double term) { (term > 0 ? element.up : element.down) += std::fabs(term); };
  for_each_product<T>(problem, tensors, n, p, q, k, [&](double x, double f) {
    if (std::isfinite(x) && std::isfinite(f)) add(x * f);
  });
  const ProblemDesc& d = problem.desc();
  const double bias = d.has_bias ? load(d.bias_dtype, tensors.bias, k) : 0;
  const int64_t at = d.residual_strides.offset(n, p, q, k);
  const double residual = d.has_residual ? load(d.output_dtype, tensors.residual, at) : 0;
  for (const double term : {bias, residual}) {
    if (std::isfinite(term)) add(term);
  }
}

/// bias, residual, activation, in this order.
void epilogue(const Problem& problem, const Tensors& tensors, int64_t n, int64_t p, int64_t q,
              int64_t k, ExactElement& element) {
  const ProblemDesc& d = problem.desc();
  const auto add = [&](double term) {
    element.value += term;
    element.magnitude += std::fabs(term);
  };
  if (d.has_bias) add(load(d.bias_dtype, tensors.bias, k));
  if (d.has_residual) {
    add(load(d.output_dtype, tensors.residual, d.residual_strides.offset(n, p, q, k)));
  }
  if (d.activation == Activation::prelu) {
    element.slope = load(problem.slopes_dtype(), tensors.slopes, k);
  }
  element.sum = element.value;
  element.value = activate(d, element.value, element.slope);
}

}  // namespace

double activate(const ProblemDesc& d, double x, double prelu_slope) {
  using std::numbers::inv_sqrtpi, std::numbers::sqrt2;
  switch (d.activation) {
    case Activation::identity: break;
    // Written so that NaN stays NaN.
    case Activation::relu: return x < 0 ? 0 : x;
    case Activation::leaky_relu: return x < 0 ? d.activation_a * x : x;
    case Activation::prelu: return x < 0 ? prelu_slope * x : x;
    case Activation::clamp:
      return x < d.activation_a ? d.activation_a : x > d.activation_b ? d.activation_b : x;
    case Activation::sigmoid: return 1 / (1 + std::exp(-x));
    case Activation::tanh: return std::tanh(x);
    case Activation::gelu: return 0.5 * x * std::erfc(-x / sqrt2);
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(sqrt2 * inv_sqrtpi * (x + 0.044715 * x * x * x)));
    case Activation::silu: return x / (1 + std::exp(-x));
  }
  return x;
}

ExactElement exact_element(const Problem& problem, const Tensors& tensors, int64_t n, int64_t p,
                           int64_t q, int64_t k) {
  ExactElement element = with_type(problem.desc().dtype, [&]<typename T>() {
    return exact_sum<T>(problem, tensors, n, p, q, k);
  });
  epilogue(problem, tensors, n, p, q, k, element);
  if (std::isfinite(element.magnitude)) {
    element.up = (element.magnitude + element.sum) / 2;
    element.down = (element.magnitude - element.sum) / 2;
  } else {
    with_type(problem.desc().dtype,
              [&]<typename T>() { add_up_and_down<T>(problem, tensors, n, p, q, k, element); });
  }
  return element;
}

void reference_conv2d_transpose(const Problem& problem, const Tensors& tensors, int threads,
                                const CallersThreads& callers) {
  const ProblemDesc& d = problem.desc();
  // Each output row belongs to one thread, so the result does not depend on their number.
  for_each_task(d.batch * d.h.out, threads, callers, [&](int64_t row, int) {
    const int64_t n = row / d.h.out, p = row % d.h.out;
    for (int64_t q = 0; q < d.w.out; ++q) {
      for (int64_t k = 0; k < d.out_c; ++k) {
        store(d.output_dtype, tensors.output, d.output_strides.offset(n, p, q, k),
              exact_element(problem, tensors, n, p, q, k).value);
      }
    }
  });
}

double taps_looked_at(const Problem& problem) {
  const ProblemDesc& d = problem.desc();
  const auto images = static_cast<double>(d.batch) * static_cast<double>(d.out_c);
  const double rows = static_cast<double>(d.h.out) * static_cast<double>(d.h.kernel);
  const double columns = useful_pairs(d.h) * static_cast<double>(d.w.kernel);
  return images * static_cast<double>(d.w.out) * (rows + columns);
}

// ---- The entry of the table. -------------------------------------------------------------------

namespace {

struct ReferenceState : KernelState {
  int threads = 1;
  CallersThreads callers_threads;
};

std::string declines(const Problem&, const Options&, const DeviceFacts&) { return ""; }

Considered consider(const Problem& problem, int, const Options& options, const DeviceFacts&) {
  // Nanoseconds, fitted to `tconv bench --kernel reference` on one core of an Intel Xeon with
  // AVX-512 (virtual), f32, problems of one axis and two, dense and depthwise: within 12 % where
  // the operands stay in its own caches. f16 is widened by hand. A tap looked at is a division.
  constexpr double kOutput = 22, kTapLookedAt = 4, kMac = 1.2, kHalfMac = 4.3;
  const auto outputs = static_cast<double>(problem.output_extents().count());
  const double mac = problem.desc().dtype == DType::f16 ? kHalfMac : kMac;
  const double ns =
      outputs * kOutput + taps_looked_at(problem) * kTapLookedAt + problem.useful_macs() * mac;
  return {.estimate_us = 1 + ns * 1e-3 / thread_count(options.threads)};
}

/// The family's own filter order is the problem's: packing copies.
std::shared_ptr<const KernelState> prepare(const Problem& problem, int, const Options& options,
                                           const DeviceFacts&) {
  auto state = std::make_shared<ReferenceState>();
  state->threads = thread_count(options.threads);
  state->callers_threads = options.callers_threads;
  if (options.callers_threads.parallel_for == nullptr) start_threads(state->threads);
  if (options.prepacked_filters) {
    state->packed_filter_bytes = static_cast<std::size_t>(problem.filter_bytes());
  }
  return state;
}

void prepack(const Problem&, const KernelState& state, const void* filters, void* packed, Stream) {
  std::memcpy(packed, filters, state.packed_filter_bytes);
}

FilterStrides packed_strides(const Problem& problem) { return problem.filter_strides(); }

void launch(const Problem& problem, const KernelState& state, const Tensors& tensors, Stream) {
  const auto& s = static_cast<const ReferenceState&>(state);
  reference_conv2d_transpose(problem, tensors, s.threads, s.callers_threads);
}

constexpr const char* kTiles[] = {"element"};
constexpr DType kTypes[] = {DType::f16, DType::bf16, DType::f32, DType::f64};

}  // namespace

extern const Kernel reference_kernel;  // the table's name of it (cmake/families.cmake)
constinit const Kernel reference_kernel = {.name = "reference",
                                           .device = DeviceKind::cpu,
                                           .tiles = kTiles,
                                           .dtypes = kTypes,
                                           .declines = declines,
                                           .consider = consider,
                                           .prepare = prepare,
                                           .launch = launch,
                                           .prepack = prepack,
                                           .packed_strides = packed_strides};

}  // namespace tconv::host
