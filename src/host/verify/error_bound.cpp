// SPDX-License-Identifier: Apache-2.0
// error_bound.cpp: see error_bound.h. docs/verification.md derives every number here.
#include "src/host/verify/error_bound.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tconv::host {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The arithmetic that a kernel sums in, pessimistically: units that truncate lose a whole unit of
/// the last place where rounding to nearest loses half of one.
struct Arithmetic {
  double unit;     ///< largest relative error of one operation
  double tiny;     ///< what flushing a subnormal result to zero loses at most
  double largest;  ///< sums beyond this may overflow
};

Arithmetic arithmetic_of(DType type) {
  if (type == DType::f64) return {0x1p-52, 0x1p-1022, std::numeric_limits<double>::max()};
  return {0x1p-23, 0x1p-126, std::numeric_limits<float>::max()};
}

/// Higham's gamma_m = m*u / (1 - m*u): m operations of relative error u, in any order.
double gamma_of(double operations, double unit) {
  const double sum = operations * unit;
  return sum < 1 ? sum / (1 - sum) : kInfinity;
}

/// What is added for one product of the problem.
struct Addends {
  double count;
  double larger;  ///< their magnitudes together exceed the product's by this share of it at most
  double error;   ///< their exact sum is off by this share at most
};

/// TF32 keeps 11 bits, so that each operand moves by 2^-11 of itself at most; 3xTF32 splits an
/// operand in two of these, adds three products and leaves out that of the two rests.
Addends addends_of(DType type, Math math) {
  if (type != DType::f32 || math == Math::strict) return {1, 0, 0};
  constexpr double kOperand = 0x1p-11, kRest = 0x1p-22;
  if (math == Math::tf32) {
    constexpr double kError = 2 * kOperand + kOperand * kOperand;
    return {1, kError, kError};
  }
  // (1 + kOperand)^2 of the large parts, kOperand * (1 + kOperand) twice.
  return {3, 4 * kOperand + 3 * kOperand * kOperand,
          2 * kRest + kRest * kRest + kOperand * kOperand};
}

double operations_of(const ProblemDesc& d, const ExactElement& element, const Addends& addends) {
  return addends.count * static_cast<double>(element.terms) + (d.has_bias ? 1 : 0) +
         (d.has_residual ? 1 : 0);
}

/// Bound on |computed - exact| of sum + bias + residual, the f64 reference's own error included.
double sum_bound(const ProblemDesc& d, const ExactElement& element, Math math) {
  const Arithmetic a = arithmetic_of(d.dtype);
  const Addends addends = addends_of(d.dtype, math);
  const double operations = operations_of(d, element, addends);
  if (operations == 0) return 0;
  const double kernel = gamma_of(operations, a.unit) * (1 + addends.larger) + addends.error;
  const double reference = gamma_of(operations, 0x1p-53);
  const double magnitude = element.magnitude * (1 + reference);
  // Each product, each addition and what the activation gives may be flushed to zero.
  return (kernel + reference) * magnitude + 2 * operations * a.tiny;
}

/// f with |f(x) - f(y)| <= lipschitz * |x - y| and values in an interval of width `range`.
/// Evaluated, its error is kActivationUlps units of the last place of itself or, where it is x/2
/// times a bracket that cancels (both gelus), of x/2.
struct SmoothActivation {
  double lipschitz, range;
  bool scales_with_argument;
};
constexpr double kActivationUlps = 8;

double smooth_bound(const ProblemDesc& d, const ExactElement& element, double error,
                    const SmoothActivation& f) {
  const Arithmetic a = arithmetic_of(d.dtype);
  const double moved = std::min(f.lipschitz * error, f.range);
  const double scale =
      f.scales_with_argument ? (element.magnitude + error) / 2 : std::fabs(element.value) + moved;
  return moved + kActivationUlps * a.unit * scale;
}

double activation_bound(const ProblemDesc& d, const ExactElement& element, double error) {
  const auto leaky = [&](double slope) {
    // The slope is rounded to f32 and the product is rounded: two more operations.
    const double product = 2 * arithmetic_of(d.dtype).unit * (element.magnitude + error);
    return std::max(1.0, std::fabs(slope)) * error + (slope == 0 ? 0 : std::fabs(slope) * product);
  };
  switch (d.activation) {
    case Activation::identity:
    case Activation::relu: break;
    case Activation::leaky_relu: return leaky(d.activation_a);
    case Activation::prelu: return leaky(element.slope);
    case Activation::clamp:
      // A limit that is the value is held in f32.
      return std::max(error, arithmetic_of(d.dtype).unit * std::fabs(element.value));
    case Activation::sigmoid: return smooth_bound(d, element, error, {0.25, 1, false});
    case Activation::tanh: return smooth_bound(d, element, error, {1, 2, false});
    case Activation::gelu:  // steepest at sqrt(2): 1.12890
    case Activation::gelu_tanh: return smooth_bound(d, element, error, {1.13, kInfinity, true});
    case Activation::silu: return smooth_bound(d, element, error, {1.1, kInfinity, false});
  }
  return error;
}

}  // namespace

double error_bound(const ProblemDesc& d, const ExactElement& element, Math math) {
  if (std::isinf(element.sum)) {
    // Infinite operands: so is every order's sum, and only the activation errs.
    ExactElement infinite = element;
    infinite.magnitude = 0;
    return activation_bound(d, infinite, 0) + 0x1p-52 * std::fabs(element.value);
  }
  // The last term: value +- bound is itself rounded to f64 where it is used.
  return activation_bound(d, element, sum_bound(d, element, math)) +
         0x1p-52 * std::fabs(element.value);
}

bool acceptable(DType output, double got, const ExactElement& exact, double bound) {
  if (std::isnan(exact.value) || std::isnan(got)) {
    return std::isnan(exact.value) && std::isnan(got);
  }
  if (std::isinf(exact.value)) return got == exact.value;
  if (std::isinf(bound)) return true;
  // Rounding is monotone: whatever lies within the bound rounds to between these two.
  return rounded(output, exact.value - bound) <= got && got <= rounded(output, exact.value + bound);
}

Overflow overflow_of(const ProblemDesc& d, const ExactElement& element, Math math) {
  const Arithmetic a = arithmetic_of(d.dtype);
  const Addends addends = addends_of(d.dtype, math);
  const double operations = operations_of(d, element, addends);
  const double error = gamma_of(operations, a.unit) + gamma_of(operations, 0x1p-53);
  // Parts of a product may have the sign that it has not.
  const double parts = addends.larger > 0 ? addends.larger * (element.up + element.down) : 0;
  const auto beyond = [&](double addends_of_one_sign) {
    return addends_of_one_sign > 0 && !((addends_of_one_sign + parts) * (1 + error) < a.largest);
  };
  return {.up = beyond(element.up), .down = beyond(element.down)};
}

bool explained_by_overflow(const ProblemDesc& d, double got, const ExactElement& exact, Math math) {
  const auto [up, down] = overflow_of(d, exact, math);
  if (!up && !down) return false;
  // A sum beyond f64, which is what the reference sums in: nobody knows it.
  if ((std::isinf(exact.up) || std::isinf(exact.down)) && std::isfinite(got)) return true;
  const auto is_that_of = [&](double sum) {
    const double result = rounded(d.output_dtype, activate(d, sum, exact.slope));
    return got == result || (std::isnan(got) && std::isnan(result));
  };
  // inf - inf: both ends are reached on the way, or one of them and the other is an operand.
  const bool both = (up || exact.sum == kInfinity) && (down || exact.sum == -kInfinity);
  return (up && is_that_of(kInfinity)) || (down && is_that_of(-kInfinity)) ||
         (both && is_that_of(std::numeric_limits<double>::quiet_NaN()));
}

}  // namespace tconv::host
