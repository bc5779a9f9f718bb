// SPDX-License-Identifier: Apache-2.0
// reading.cpp: see reading.h.
#include "src/host/verify/reading.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace tconv::host {
namespace {

double to_tf32(double x, bool truncated) {
  constexpr uint32_t kRest = 13;  // bits of f32 that TF32 does not keep
  auto bits = std::bit_cast<uint32_t>(static_cast<float>(x));
  if ((bits & 0x7f800000u) == 0x7f800000u) return x;
  if (!truncated) bits += (1u << (kRest - 1)) - 1 + (bits >> kRest & 1);  // ties to even
  return std::bit_cast<float>(bits >> kRest << kRest);
}

/// The exact sum of the products that the reading takes, of operands rounded as it says.
template <typename T, typename Round>
ExactElement sum_as_read(const Reading& reading, const Tensors& tensors, const Coordinate& at,
                         Round&& round) {
  const ProblemDesc& d = reading.desc;
  const int64_t per_group_c = d.in_c / d.groups, per_group_k = d.out_c / d.groups;
  const int64_t group = at.k / per_group_k, k = at.k % per_group_k;
  const int64_t input_group = (group + reading.input_rotation) % d.groups;
  const int64_t filter_group = (group + reading.filter_rotation) % d.groups;
  const int64_t end_c = std::min(per_group_c, reading.end_c);
  const auto* input = static_cast<const T*>(tensors.input);
  const auto* filters = static_cast<const T*>(tensors.filters);

  ExactElement element;
  for (int64_t r = 0; r < d.h.kernel; ++r) {
    const int64_t h = input_index(d.h, at.p, r);
    if (h == kNoInput) continue;
    for (int64_t s = 0; s < d.w.kernel; ++s) {
      const int64_t w = input_index(d.w, at.q, s);
      if (w == kNoInput) continue;
      for (int64_t c = reading.first_c; c < end_c; c += reading.step_c) {
        const double product =
            round(double{widen(input[reading.input.offset(at.n, h, w, input_group, c)])}) *
            round(double{widen(filters[reading.filters.offset(r, s, filter_group, k, c)])});
        element.value += product;
        element.magnitude += std::fabs(product);
      }
      element.terms += per_group_c;
    }
  }
  return element;
}

/// A step of its own, whose operand and result were each rounded to the output's type.
template <typename Step>
void apply_late(DType output, Step&& step, Expected& expected) {
  expected.bound += half_unit(output, std::fabs(expected.exact.value) + expected.bound);
  step(expected);
  expected.bound += half_unit(output, std::fabs(expected.exact.value) + expected.bound);
}

void activate_again(const ProblemDesc& d, const ActivationStep& step, Expected& expected) {
  ProblemDesc with = d;
  with.activation = step.activation, with.activation_a = step.a, with.activation_b = step.b;
  // The steepest activation, gelu, moves by 1.13 of what its argument does; it is evaluated to a
  // few units of f32.
  expected.bound = 1.13 * expected.bound + 0x1p-19 * std::fabs(expected.exact.value);
  expected.exact.value = activate(with, expected.exact.value, expected.exact.slope);
}

void scale(double factor, double error, Expected& expected) {
  expected.exact.value *= factor;
  expected.exact.magnitude *= std::fabs(factor);
  // The product is rounded, and the factor is known to `error`.
  expected.bound =
      std::fabs(factor) * expected.bound + (error + 0x1p-22) * std::fabs(expected.exact.value);
}

/// What rounding each number of the epilogue to `steps` adds to the bound: the sum, two additions
/// and the activation, none of them larger than `most`.
double bound_of_steps(Rounding steps, double most) {
  switch (steps) {
    case Rounding::f16: return 4 * std::fmax(0x1p-11 * most, 0x1p-25);
    case Rounding::bf16: return 4 * 0x1p-8 * most;
    case Rounding::f32: return 4 * 0x1p-24 * most;
    default: return 0;
  }
}

}  // namespace

double round_as(Rounding rounding, double x) {
  switch (rounding) {
    case Rounding::none: return x;
    case Rounding::tf32: return to_tf32(x, false);
    case Rounding::tf32_truncated: return to_tf32(x, true);
    case Rounding::f16: return rounded(DType::f16, x);
    case Rounding::bf16: return rounded(DType::bf16, x);
    case Rounding::f32: return rounded(DType::f32, x);
  }
  return x;
}

double half_unit(DType type, double x) {
  const double digits = type == DType::f16    ? 0x1p-11
                        : type == DType::bf16 ? 0x1p-8
                        : type == DType::f32  ? 0x1p-24
                                              : 0x1p-53;
  return std::fabs(x) * digits;
}

double Reader::bias_at(const Coordinate& at) const {
  const ProblemDesc& d = problem_.desc();
  return d.has_bias ? load(d.bias_dtype, tensors_.bias, at.k) : 0;
}

double Reader::residual_at(const Coordinate& at) const {
  const ProblemDesc& d = problem_.desc();
  if (!d.has_residual) return 0;
  return load(d.output_dtype, tensors_.residual, d.residual_strides.offset(at.n, at.p, at.q, at.k));
}

double Reader::addends(const Coordinate& at) const { return bias_at(at) + residual_at(at); }

double Reader::got(const Coordinate& at) const {
  const ProblemDesc& d = problem_.desc();
  return load(d.output_dtype, tensors_.output, d.output_strides.offset(at.n, at.p, at.q, at.k));
}

Expected Reader::read(const Reading& reading, const Coordinate& place) const {
  const ProblemDesc& d = reading.desc;
  const Coordinate at = reading.written_to ? reading.written_to(place) : place;
  Expected expected;
  ExactElement& exact = expected.exact;
  exact = with_type(d.dtype, [&]<typename T>() {
    if (reading.operands == Rounding::none) {  // the many: without a switch in the loop
      return sum_as_read<T>(reading, tensors_, at, [](double x) { return x; });
    }
    return sum_as_read<T>(reading, tensors_, at,
                          [&](double x) { return round_as(reading.operands, x); });
  });
  if (reading.sum_scale != 1) scale(reading.sum_scale, 0, expected);
  double most = std::fabs(exact.value);
  const double scale_bound = reading.sum_scale == 1 ? 0 : reading.scale_error * exact.magnitude;
  const auto add = [&](double term) {
    exact.value += term;
    exact.magnitude += std::fabs(term);
    most += std::fabs(term);
  };
  const double bias = round_as(reading.steps, bias_at(at));
  const double residual = round_as(reading.steps, residual_at(at));
  if (reading.bias == Stage::before_activation) add(bias);
  if (reading.residual == Stage::before_activation) add(residual);
  if (d.activation == Activation::prelu) {
    exact.slope = load(problem_.slopes_dtype(), tensors_.slopes, at.k);
  }
  exact.sum = exact.value;
  if (std::isfinite(exact.magnitude)) {
    exact.up = (exact.magnitude + exact.sum) / 2, exact.down = (exact.magnitude - exact.sum) / 2;
  }
  exact.value = activate(d, exact.value, exact.slope);
  expected.bound = error_bound(d, exact) + scale_bound;
  expected.bound += bound_of_steps(reading.steps, most + expected.bound);
  const auto add_late = [&](double term) {
    apply_late(
        d.output_dtype, [&](Expected& e) { e.exact.value += term; }, expected);
  };
  if (reading.bias == Stage::after_activation) add_late(bias);
  if (reading.residual == Stage::after_activation) add_late(residual);
  if (reading.extra.activation != Activation::identity) {
    apply_late(
        d.output_dtype, [&](Expected& e) { activate_again(d, reading.extra, e); }, expected);
  }
  if (reading.result_scale != 1) {
    apply_late(
        d.output_dtype, [&](Expected& e) { scale(reading.result_scale, reading.scale_error, e); },
        expected);
  }
  return expected;
}

bool fits(const ProblemDesc& d, double got, const Expected& expected) {
  return acceptable(d.output_dtype, got, expected.exact, expected.bound) ||
         explained_by_overflow(d, got, expected.exact);
}

bool matches(const Reading& reading, const Reader& reader, const Probe& probe) {
  const Expected expected = reader.read(reading, probe.at);
  if (reading.zero_unreached && expected.exact.terms == 0) {
    return probe.got == 0 || std::isnan(probe.got);
  }
  if (round_as(reading.steps, probe.got) != probe.got) return false;
  // An infinite bound would let everything pass: that is no evidence.
  return std::isfinite(expected.bound) && fits(reading.desc, probe.got, expected);
}

}  // namespace tconv::host
