// SPDX-License-Identifier: Apache-2.0
// compare_plans.cpp: see compare_plans.h.
#include "src/host/run/compare_plans.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <sstream>

#include "src/host/run/staging.h"

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
    case Activation::sigmoid:
    case Activation::tanh: return 1;
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

// ---- Where the tensors are: one interface over both memories. -----------------------------------

Region region_of(DType type, Layout layout, const Extents& extents, const Strides& strides) {
  return {.type = type, .layout = layout, .extents = extents, .strides = strides};
}

Region vector_region(DType type, int64_t bytes) {
  return dense_region(type, bytes / static_cast<int64_t>(size_of(type)));
}

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
  static CompareResult compare(const void* a, const void* b, const Region& region) {
    return compare_on_host(a, b, region);
  }
  static void clear(void* memory, std::size_t bytes) { std::memset(memory, 0xff, bytes); }
  static void read(void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); }
};

struct OnDevice {
  using Memory = DeviceMemory;
  using Operands = DeviceOperands;
  static CompareResult compare(const void* a, const void* b, const Region& region) {
    return gpu().compare(a, b, region, nullptr);
  }
  static void clear(void* memory, std::size_t bytes) { gpu().fill(memory, 0xff, bytes, nullptr); }
  static void read(void* to, const void* from, std::size_t bytes) {
    gpu().copy(to, from, bytes, Copy::to_host, nullptr);
    gpu().synchronise(nullptr);
  }
};

template <typename Place>
Magnitudes largest_in(const Problem& problem, const Tensors& tensors) {
  const ProblemDesc& d = problem.desc();
  const auto largest = [](const void* data, const Region& region) {
    return region.count() == 0 ? 0 : Place::compare(data, nullptr, region).worst;
  };
  Magnitudes result;
  result.input = largest(tensors.input,
                         region_of(d.dtype, d.layout, problem.input_extents(), d.input_strides));
  result.filters = largest(tensors.filters, vector_region(d.dtype, problem.filter_bytes()));
  result.bias = largest(tensors.bias, vector_region(d.bias_dtype, problem.bias_bytes()));
  result.slopes =
      largest(tensors.slopes, vector_region(problem.slopes_dtype(), problem.slopes_bytes()));
  if (!d.has_residual) return result;
  result.residual =
      largest(tensors.residual,
              region_of(d.output_dtype, d.layout, problem.output_extents(), d.residual_strides));
  return result;
}

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

template <typename Place>
Agreement compare_in(const Plan& plan, const Plan& other, const Tensors& tensors) {
  const Problem& problem = plan.problem();
  const ProblemDesc& d = problem.desc();
  Agreement result{.total = problem.output_extents().count()};
  if (result.total == 0) return result;
  const auto bytes = static_cast<std::size_t>(problem.output_bytes());
  const typename Place::Operands operands(problem, tensors);
  const typename Place::Memory a(bytes), b(bytes);
  run_into<Place>(plan, operands, a.data());
  run_into<Place>(other, operands, b.data());
  const Region region =
      region_of(d.output_dtype, d.layout, problem.output_extents(), d.output_strides);
  const CompareResult found = Place::compare(a.data(), b.data(), region);
  result.differ = found.differ, result.worst = found.worst;
  if (!must_be_equal(plan, other)) {
    result.allowed =
        allowed_distance(problem, largest_in<Place>(problem, operands.with_output(nullptr)),
                         plan.options().math, other.options().math);
  }
  if (found.first < 0) return result;
  result.first = coordinate_of(region, found.first);
  result.got = element<Place>(a.data(), region, found.first);
  result.other = element<Place>(b.data(), region, found.first);
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

double allowed_distance(const Problem& problem, const Magnitudes& largest, Math math, Math other) {
  const ProblemDesc& d = problem.desc();
  ExactElement element;
  element.terms = problem.longest_sum();
  element.magnitude = static_cast<double>(element.terms) * largest.input * largest.filters +
                      largest.bias + largest.residual;
  if (!(element.magnitude < kInfinity)) return kInfinity;
  element.slope = largest.slopes;
  element.value = largest_value(d, element.magnitude, largest.slopes);
  const double bound = std::max(error_bound(d, element, math), error_bound(d, element, other));
  const double highest = element.value + bound;
  // Beyond the type's range one may be infinite where the other is not.
  if (!std::isfinite(rounded(d.output_dtype, highest))) return kInfinity;
  return 2 * (bound + rounding(d.output_dtype, highest));
}

Agreement compare_host(const Plan& plan, const Plan& other, const Tensors& tensors,
                       const StatedBytes& stated) {
  check_pair(plan, other);
  check_device(plan);
  Tensors operands = tensors;
  alignas(256) static std::byte nothing[256];  // the output has no part in this
  operands.output = nothing;
  StatedBytes bytes = stated;
  bytes.output = 0;
  check_tensors(plan.problem(), operands, bytes);
  if (plan.device().kind != DeviceKind::cuda) return compare_in<OnHost>(plan, other, tensors);
  return naming_the_problem(plan, [&] { return compare_in<OnDevice>(plan, other, tensors); });
}

std::string describe(const Problem& problem, const Agreement& a) {
  std::ostringstream text;
  if (a.differ == 0) {
    text << "all " << a.total << " elements are the same";
    return text.str();
  }
  text.precision(problem.desc().output_dtype == DType::f64 ? 17 : 9);
  text << a.differ << " of " << a.total << " elements differ, first output[n=" << a.first.n
       << ", p=" << a.first.p << ", q=" << a.first.q << ", k=" << a.first.k << "] = " << a.got
       << ", the other has " << a.other;
  text.precision(3);
  text << "; the largest distance is " << a.worst << ", allowed are " << a.allowed;
  return text.str();
}

}  // namespace tconv::host
