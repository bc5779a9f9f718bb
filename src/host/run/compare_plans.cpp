// SPDX-License-Identifier: Apache-2.0
// compare_plans.cpp: see compare_plans.h.
#include "src/host/run/compare_plans.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <sstream>
#include <vector>

#include "src/host/plan/on_device.h"
#include "src/host/problem/errors.h"
#include "src/host/run/staging.h"
#include "tconv/printable.h"

namespace tconv::host {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// ---- What is allowed. ---------------------------------------------------------------------------

/// The largest |activation(x)| for |x| up to `x`.
double largest_value(const ProblemDesc& d, double x, double slope) {
  switch (d.activation) {
    case Activation::leaky_relu: return x * std::max(1.0, std::fabs(d.activation_a));
    case Activation::prelu: return x * std::max(1.0, slope);
    case Activation::clamp: return std::max({x, d.activation_a, -d.activation_b});
    case Activation::sigmoid: return 1;
    case Activation::tanh: return std::min(x, 1.0);
    case Activation::identity:
    case Activation::relu:
    case Activation::gelu:
    case Activation::gelu_tanh:
    case Activation::silu: break;
  }
  return x;
}

/// How far rounding to `type` moves a value of magnitude up to `x` at most.
double rounding(DType type, double x) {
  constexpr double units[] = {0, 0x1p-11, 0x1p-8, 0x1p-24, 0x1p-53};
  constexpr double tiny[] = {0, 0x1p-24, 0x1p-133, 0x1p-149, 0x1p-1074};
  const auto which = static_cast<std::size_t>(type);
  return x * units[which] + tiny[which];
}

/// What may be apart two right results of an element whose addends come to `magnitude`.
double allowed_at(const Problem& problem, double magnitude, double slope, Math math, Math other) {
  const ProblemDesc& d = problem.desc();
  ExactElement element;
  element.terms = problem.longest_sum();
  element.magnitude = magnitude;
  element.slope = slope;
  element.value = largest_value(d, magnitude, slope);
  const double bound = std::max(error_bound(d, element, math), error_bound(d, element, other));
  return 2 * (bound + rounding(d.output_dtype, element.value + bound));
}

double end_of(DType type) {
  return type == DType::f16 ? 0x1p16 : type == DType::f64 ? kInfinity : 0x1p128;
}

// ---- The magnitudes of all elements' addends: the same sums, of the operands' magnitudes. -------

/// Magnitudes, dense; what is not finite adds nothing: a sum that it is part of has one right
/// value.
std::vector<std::byte> magnitudes_of(DType type, const void* data, int64_t bytes, DType to) {
  const int64_t count = bytes / static_cast<int64_t>(size_of(type));
  std::vector<std::byte> result(static_cast<std::size_t>(count) * size_of(to));
  for (int64_t i = 0; i < count; ++i) {
    const double x = std::fabs(load(type, data, i));
    store(to, result.data(), i, std::isfinite(x) ? x : 0);
  }
  return result;
}

class MagnitudeSums {
 public:
  MagnitudeSums(const Problem& problem, const Tensors& tensors) : problem_(desc_of(problem)) {
    const ProblemDesc& d = problem.desc();
    input_ = magnitudes_of(d.dtype, tensors.input, problem.input_bytes(), d.dtype);
    filters_ = magnitudes_of(d.dtype, tensors.filters, problem.filter_bytes(), d.dtype);
    bias_ = magnitudes_of(d.bias_dtype, tensors.bias, problem.bias_bytes(), d.bias_dtype);
    residual_ =
        magnitudes_of(d.output_dtype, tensors.residual, problem.residual_bytes(), output_type());
  }
  const Problem& problem() const { return problem_; }
  DType output_type() const { return problem_.desc().output_dtype; }
  Tensors tensors() const {
    return {.input = input_.data(),
            .filters = filters_.data(),
            .bias = bias_.data(),
            .residual = residual_.data()};
  }
  /// By whatever family is the fastest on the plan's device.
  Plan plan_like(const Plan& plan) const {
    std::vector<const Kernel*> table(kernel_table().begin(), kernel_table().end());
    table.push_back(&plan.kernel());
    const Options& options = plan.options();
    return make_plan(problem_,
                     {.device = plan.device().kind,
                      .threads = options.threads,
                      .callers_threads = options.callers_threads},
                     plan.device(), table);
  }

 private:
  /// Dense, in the type of the sums, without an activation.
  static ProblemDesc desc_of(const Problem& problem) {
    ProblemDesc d = problem.desc();
    d.activation = Activation::identity;
    d.activation_a = d.activation_b = 0;
    d.output_dtype = problem.slopes_dtype();
    d.output_strides = {};
    d.alignment = 16;  // as vectors are
    return d;
  }

  Problem problem_;
  std::vector<std::byte> input_, filters_, bias_, residual_;
};

// ---- Where the tensors are: one interface over both memories. -----------------------------------

struct OnHost {
  using Memory = HostMemory;
  struct Operands {
    Operands(const Problem&, const Tensors& host) : tensors(host) {}
    Tensors with_output(void* output) const {
      Tensors copy = tensors;
      copy.output = output;
      return copy;
    }
    Tensors tensors;
  };
  static CompareResult compare(const Compared& what) { return compare_on_host(what); }
  static void clear(void* memory, std::size_t bytes) { std::memset(memory, 0xff, bytes); }
  static void read(void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); }
};

struct OnDevice {
  using Memory = DeviceMemory;
  using Operands = DeviceOperands;
  static CompareResult compare(const Compared& what) { return gpu().compare(what, nullptr); }
  static void clear(void* memory, std::size_t bytes) { gpu().fill(memory, 0xff, bytes, nullptr); }
  static void read(void* to, const void* from, std::size_t bytes) {
    gpu().copy(to, from, bytes, Copy::to_host, nullptr);
    gpu().synchronise(nullptr);
  }
};

Coordinate coordinate_of(const Region& region, int64_t i) {
  const Extents& e = region.extents;
  if (region.layout == Layout::nhwc) {
    return {i / e.c / e.w / e.h, i / e.c / e.w % e.h, i / e.c % e.w, i % e.c};
  }
  return {i / e.w / e.h / e.c, i / e.w % e.h, i % e.w, i / e.w / e.h % e.c};
}

/// Element number `i`, wherever the tensor is.
template <typename Place>
double element(const void* data, const Region& region, int64_t i) {
  const std::size_t size = size_of(region.type);
  alignas(8) std::byte value[8];
  Place::read(
      value,
      static_cast<const std::byte*>(data) + static_cast<std::size_t>(region.offset(i)) * size,
      size);
  return load(region.type, value, 0);
}

/// Filled first, so that an element that only one of them writes differs.
template <typename Place>
void run_into(const Plan& plan, const typename Place::Operands& operands, void* output) {
  Place::clear(output, static_cast<std::size_t>(plan.problem().output_bytes()));
  Prepared<typename Place::Memory>(plan, operands.with_output(output)).run(plan);
}

bool must_be_equal(const Plan& a, const Plan& b) {
  return &a.kernel() == &b.kernel() && std::string(a.tile()) == b.tile() &&
         a.options().deterministic && b.options().deterministic &&
         a.options().math == b.options().math;
}

double largest_slope(const Problem& problem, const Tensors& tensors) {
  const DType type = problem.slopes_dtype();
  double largest = 0;
  for (int64_t i = 0; i < problem.slopes_bytes() / static_cast<int64_t>(size_of(type)); ++i) {
    largest = std::max(largest, std::fabs(load(type, tensors.slopes, i)));
  }
  return largest;
}

/// Why a NaN on one side may be no surprise; empty if nothing is known.
std::string reason_of(const Plan& plan, const Plan& other, const Tensors& tensors) {
  const Problem& problem = plan.problem();
  const DType type = problem.desc().dtype;
  bool finite = true;
  for (int64_t i = 0; i < problem.filter_bytes() / static_cast<int64_t>(size_of(type)); ++i) {
    finite = finite && std::isfinite(load(type, tensors.filters, i));
  }
  if (finite) return "";
  for (const Plan* each : {&plan, &other}) {
    if (each->kernel().border == Border::zeros) {
      return std::string(each->kernel().name) +
             " multiplies zeros beyond the border, where an infinite or NaN weight gives NaN";
    }
  }
  return "";
}

/// The outputs of both plans against each other.
template <typename Place>
CompareResult compare_outputs(const Plan& plan, const Plan& other, const Tensors& tensors,
                              Compared what) {
  if (must_be_equal(plan, other)) return Place::compare(what);
  const MagnitudeSums sums(plan.problem(), tensors);
  const Plan made = sums.plan_like(plan);
  const auto bytes = static_cast<std::size_t>(sums.problem().output_bytes());
  const typename Place::Operands magnitudes(sums.problem(), sums.tensors());
  const typename Place::Memory output(bytes);
  run_into<Place>(made, magnitudes, output.data());
  what.magnitudes = output.data();
  what.magnitude_type = sums.output_type();
  what.tolerance = tolerance_of(plan.problem(), largest_slope(plan.problem(), tensors),
                                plan.options().math, other.options().math);
  return Place::compare(what);
}

template <typename Place>
PlanComparison compare_in(const Plan& plan, const Plan& other, const Tensors& tensors) {
  const Problem& problem = plan.problem();
  const ProblemDesc& d = problem.desc();
  PlanComparison result{.total = problem.output_extents().count()};
  if (result.total == 0) return result;
  const auto bytes = static_cast<std::size_t>(problem.output_bytes());
  const typename Place::Memory a(bytes), b(bytes);
  {
    const typename Place::Operands operands(problem, tensors);
    run_into<Place>(plan, operands, a.data());
    run_into<Place>(other, operands, b.data());
  }
  Compared what{.a = a.data(),
                .b = b.data(),
                .region = {.type = d.output_dtype,
                           .layout = d.layout,
                           .extents = problem.output_extents(),
                           .strides = d.output_strides}};
  const CompareResult found = compare_outputs<Place>(plan, other, tensors, what);
  result.differ = found.differ, result.wrong = found.wrong, result.one_nan = found.one_nan;
  result.unbounded = found.unbounded;
  result.worst = found.distance, result.allowed = found.allowed;
  if (found.one_nan > 0) result.reason = reason_of(plan, other, tensors);
  const int64_t first = found.wrong > 0 ? found.first_wrong : found.first;
  if (first < 0) return result;
  result.first = coordinate_of(what.region, first);
  result.got = element<Place>(a.data(), what.region, first);
  result.other = element<Place>(b.data(), what.region, first);
  return result;
}

void check_pair(const Plan& plan, const Plan& other) {
  if (plan.problem().key() != other.problem().key()) {
    refuse("other", "a plan for " + other.problem().key(),
           "for the same problem, " + plan.problem().key());
  }
  if (!(plan.device() == other.device())) {
    refuse("other", "a plan for " + other.device().name,
           "for the same device, " + plan.device().name);
  }
}

}  // namespace

Tolerance tolerance_of(const Problem& problem, double largest_slope, Math math, Math other) {
  const auto allowed = [&](double magnitude) {
    return allowed_at(problem, magnitude, largest_slope, math, other);
  };
  const ProblemDesc& d = problem.desc();
  // Without a cap it is made of straight pieces: no piece is steeper than the first (of activations
  // that flatten out) or the last.
  constexpr double kSmall = 0x1p-10, kLarge = 0x1p90;
  const double at_zero = allowed(0);
  const double first = (allowed(kSmall) - at_zero) / kSmall;
  const double last = (allowed(2 * kLarge) - allowed(kLarge)) / kLarge;
  const bool capped = d.activation == Activation::sigmoid || d.activation == Activation::tanh;
  Tolerance result;
  // The magnitudes are sums, too, and may be too small by the error of theirs; a hair for this sum.
  const ExactElement sum{.magnitude = 1, .terms = problem.longest_sum()};
  ProblemDesc plain = d;
  plain.activation = Activation::identity;
  const double error = error_bound(plain, sum);
  const double too_small = error < 0.5 ? 1 / (1 - error) + 0x1p-40 : kInfinity;
  result.slope = std::max(first, capped ? 0 : last) * too_small;
  result.offset = at_zero * (1 + 0x1p-40);
  result.most = capped ? allowed(0x1p120) : kInfinity;
  result.end = end_of(d.output_dtype);
  const double largest = d.dtype == DType::f64 ? std::numeric_limits<double>::max()
                                               : std::numeric_limits<float>::max();
  const double grown = std::max(error_bound(plain, sum, math), error_bound(plain, sum, other));
  result.limit = largest / ((1 + grown) * (1 + grown));
  if (!(result.slope < kInfinity)) result.offset = kInfinity;
  return result;
}

PlanComparison compare_host(const Plan& plan, const Plan& other, const Tensors& tensors,
                            const StatedBytes& stated) {
  check_pair(plan, other);
  check_device(plan);
  Tensors operands = tensors;
  alignas(256) static std::byte nothing[256];  // the output has no part in this
  operands.output = nothing;
  StatedBytes bytes = stated;
  bytes.output = 0;
  check_host_tensors(plan.problem(), operands, bytes);
  if (plan.device().kind != DeviceKind::cuda) return compare_in<OnHost>(plan, other, tensors);
  return naming_the_problem(plan, [&] { return compare_in<OnDevice>(plan, other, tensors); });
}

std::string describe(const Problem& problem, const PlanComparison& a) {
  std::ostringstream text;
  if (a.differ == 0) {
    text << "all " << a.total << " elements are the same";
    return text.str();
  }
  const int digits = problem.desc().output_dtype == DType::f64 ? 17 : 9;
  text << a.differ << " of " << a.total << " elements differ";
  if (a.wrong > 0) text << ", " << a.wrong << " of them by more than two right results can";
  text << "; the first " << (a.wrong > 0 ? "of these " : "") << "is output[n=" << a.first.n
       << ", p=" << a.first.p << ", q=" << a.first.q << ", k=" << a.first.k
       << "] = " << number_text(a.got, digits) << ", the other has "
       << number_text(a.other, digits);
  text << "; the worst distance is " << number_text(a.worst, 3) << ", allowed are "
       << number_text(a.allowed, 3) << " there";
  if (a.one_nan > 0) text << "; in " << a.one_nan << " only one of the two is NaN";
  if (!a.reason.empty()) text << ": " << a.reason;
  if (a.unbounded > 0) {
    text << "; " << a.unbounded << " more differ whose sums may overflow on the way, where nothing "
         << "bounds them";
  }
  return text.str();
}

}  // namespace tconv::host
