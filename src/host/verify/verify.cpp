// SPDX-License-Identifier: Apache-2.0
// verify.cpp: is a result right? The bound on its error, and the comparison with the reference,
// whole or on the stratified sample of sample.cpp. docs/verification.md derives every number here.
#include "src/host/verify/verify.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <vector>

#include "src/host/cpu/threads.h"
#include "src/host/device/device.h"

namespace tconv::host {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// ---- The bound. ---------------------------------------------------------------------------------

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

/// Bound on |computed - exact| of sum + bias + residual, the f64 reference's own error included.
double sum_bound(const ProblemDesc& d, const ExactElement& element, Math math) {
  const Arithmetic a = arithmetic_of(d.dtype);
  const Addends addends = addends_of(d.dtype, math);
  const double operations = addends.count * static_cast<double>(element.terms) +
                            (d.has_bias ? 1 : 0) + (d.has_residual ? 1 : 0);
  if (operations == 0) return 0;
  const double kernel = gamma_of(operations, a.unit) * (1 + addends.larger) + addends.error;
  const double reference = gamma_of(operations, 0x1p-53);
  const double magnitude = element.magnitude * (1 + reference);
  if (!(magnitude * (1 + kernel) < a.largest)) return kInfinity;
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

// ---- The comparison. ----------------------------------------------------------------------------

namespace {

/// What one output element came to.
struct Verdict {
  double expected = 0, got = 0, bound = 0, ratio = 0;
  bool right = true;
};

/// |got - expected| in units of the distance to the farthest value that is still allowed.
double ratio_of(DType output, double got, const ExactElement& exact, double bound, bool right) {
  if (got == exact.value || (right && !std::isfinite(got))) return 0;
  const double low = rounded(output, exact.value - bound);
  const double high = rounded(output, exact.value + bound);
  const double allowed = std::max(std::fabs(high - exact.value), std::fabs(exact.value - low));
  if (right && !std::isfinite(allowed)) return 0;
  const double ratio = std::fabs(got - exact.value) / allowed;
  if (right) return std::min(ratio, 1.0);
  if (std::isnan(ratio)) return kInfinity;
  return std::max(ratio, 1 + 0x1p-52);
}

/// The elements to compare: all of them, or those of a sample, in memory order.
class Elements {
 public:
  Elements(const Problem& problem, std::vector<Coordinate> sample)
      : layout_(problem.desc().layout),
        extents_(problem.output_extents()),
        whole_(sample.empty()),
        sample_(std::move(sample)) {
    const Strides order = dense_strides(layout_, extents_);
    std::ranges::sort(sample_, {},
                      [&](const Coordinate& at) { return order.offset(at.n, at.p, at.q, at.k); });
  }
  int64_t size() const { return whole_ ? extents_.count() : static_cast<int64_t>(sample_.size()); }
  Coordinate operator[](int64_t i) const {
    if (!whole_) return sample_[static_cast<std::size_t>(i)];
    const Extents& e = extents_;
    if (layout_ == Layout::nhwc) {
      return {i / e.c / e.w / e.h, i / e.c / e.w % e.h, i / e.c % e.w, i % e.c};
    }
    return {i / e.w / e.h / e.c, i / e.w % e.h, i % e.w, i / e.w / e.h % e.c};
  }

 private:
  Layout layout_;
  Extents extents_;
  bool whole_;
  std::vector<Coordinate> sample_;
};

/// What a run of elements came to. Merging runs in any order gives the same.
struct Tally {
  int64_t checked = 0, mismatches = 0;
  double largest_bound = 0;
  int64_t first_index = -1, worst_index = -1;  ///< of the first mismatch; of the worst element
  double worst_ratio = -1;

  void add(int64_t index, const Verdict& element) {
    ++checked;
    largest_bound = std::max(largest_bound, element.bound);
    if (!element.right && mismatches++ == 0) first_index = index;
    if (element.ratio > worst_ratio) worst_ratio = element.ratio, worst_index = index;
  }
  void merge(const Tally& other) {
    checked += other.checked;
    largest_bound = std::max(largest_bound, other.largest_bound);
    if (other.mismatches > 0 && (mismatches == 0 || other.first_index < first_index)) {
      first_index = other.first_index;
    }
    mismatches += other.mismatches;
    const bool earlier = other.worst_ratio == worst_ratio && other.worst_index < worst_index;
    if (other.worst_ratio > worst_ratio || earlier) {
      worst_ratio = other.worst_ratio, worst_index = other.worst_index;
    }
  }
};

class Comparison {
 public:
  Comparison(const Problem& problem, const Tensors& tensors, const Elements& elements, Math math)
      : problem_(problem), tensors_(tensors), elements_(elements), math_(math) {}

  Verdict check(int64_t index) const {
    const ProblemDesc& d = problem_.desc();
    const auto [n, p, q, k] = elements_[index];
    const ExactElement exact = exact_element(problem_, tensors_, n, p, q, k);
    Verdict result;
    result.expected = exact.value;
    result.got = load(d.output_dtype, tensors_.output, d.output_strides.offset(n, p, q, k));
    result.bound = error_bound(problem_, exact, math_);
    result.right = acceptable(d.output_dtype, result.got, exact, result.bound);
    result.ratio = ratio_of(d.output_dtype, result.got, exact, result.bound, result.right);
    return result;
  }

  /// All elements, by `threads` threads that wake up once: where cores are shared, waking them for
  /// every report of progress took a hundred times as long as the comparison.
  Tally check_all(int threads, const VerifyOptions& options) const {
    const auto& progress = options.progress;
    const int64_t size = elements_.size(), block = std::clamp<int64_t>(size / 1000, 1, 1024);
    std::vector<Tally> tallies(static_cast<std::size_t>(threads));
    if (options.callers_threads.parallel_for == nullptr) start_threads(threads);
    const int64_t blocks = ceil_div(size, block);
    for_each_task(blocks, threads, options.callers_threads, [&](int64_t task, int thread) {
      const int64_t end = std::min((task + 1) * block, size);
      Tally tally;
      for (int64_t i = task * block; i < end; ++i) tally.add(i, check(i));
      tallies[static_cast<std::size_t>(thread)].merge(tally);
      if (progress && thread == 0) progress(static_cast<double>(end) / static_cast<double>(size));
    });
    Tally all;
    for (const Tally& tally : tallies) all.merge(tally);
    if (progress) progress(1);
    return all;
  }

 private:
  const Problem& problem_;
  const Tensors& tensors_;
  const Elements& elements_;
  const Math math_;
};

// ---- How much of it is affordable. --------------------------------------------------------------

// Cost in multiply-adds of exact_element in f32, measured with g++ 12 -O2 on one core of an AMD
// EPYC (Zen 5): 1.5 ns each, 2.2 ns where the operands leave the caches. f16 costs 4.8 ns (widening
// by hand), a tap that is only looked at 4.3 ns, an element 86 ns for coordinates, bound and
// comparison.
constexpr double kMacsPerHalfMac = 3, kMacsPerTapLookedAt = 3, kMacsPerElement = 60;
// What one thread does in 1.2 to 2 s there.
constexpr double kAffordableMacs = 8e8;
// Starting threads, or waking them on shared cores, takes up to 20 ms.
constexpr double kWorthThreads = 2e7;
// A sample never has fewer elements than its guarantees need, however long the sums are, nor more
// than are quickly sorted.
constexpr int64_t kSmallestSample = 512, kLargestSample = int64_t{1} << 17;

double cost(const ProblemDesc& d, double elements, double macs) {
  const auto rows = static_cast<double>(d.h.kernel);
  const auto rows_reached = static_cast<double>(ceil_div(d.h.kernel, d.h.stride));
  const auto columns = static_cast<double>(d.w.kernel);
  return macs * (d.dtype == DType::f16 ? kMacsPerHalfMac : 1) +
         elements * (kMacsPerElement + kMacsPerTapLookedAt * (rows + rows_reached * columns));
}

double cost_of_whole(const Problem& problem) {
  const auto elements = static_cast<double>(problem.output_extents().count());
  return cost(problem.desc(), elements, problem.useful_macs());
}

int64_t affordable_sample(const Problem& problem, int threads) {
  const double each = cost(problem.desc(), 1, static_cast<double>(problem.longest_sum()));
  return static_cast<int64_t>(std::clamp(kAffordableMacs * threads / each,
                                         static_cast<double>(kSmallestSample),
                                         static_cast<double>(kLargestSample)));
}

Elements choose_elements(const Problem& problem, const VerifyOptions& options, int threads) {
  const bool whole =
      options.scope == VerifyScope::whole || (options.scope == VerifyScope::automatic &&
                                              cost_of_whole(problem) <= kAffordableMacs * threads);
  if (whole || problem.empty_output()) return {problem, {}};
  return {problem, stratified_sample(problem, options.seed, affordable_sample(problem, threads))};
}

}  // namespace

VerifyReport verify(const Problem& problem, const Tensors& tensors, const VerifyOptions& options) {
  const int threads = thread_count(options.threads);
  const Elements elements = choose_elements(problem, options, threads);
  const Comparison comparison(problem, tensors, elements, options.math);
  const Tally tally =
      comparison.check_all(cost_of_whole(problem) < kWorthThreads ? 1 : threads, options);
  const int64_t total = problem.output_extents().count();
  VerifyReport report{.whole = tally.checked == total,
                      .checked = tally.checked,
                      .total = total,
                      .mismatches = tally.mismatches,
                      .largest_bound = tally.largest_bound,
                      .worst_ratio = std::max(tally.worst_ratio, 0.0)};
  const int64_t shown = tally.mismatches > 0 ? tally.first_index : tally.worst_index;
  if (shown < 0) return report;
  const auto [n, p, q, k] = elements[shown];
  const Verdict element = comparison.check(shown);
  report.n = n, report.p = p, report.q = q, report.k = k;
  report.expected = element.expected, report.got = element.got, report.bound = element.bound;
  return report;
}

std::string describe_mismatch(const Problem& problem, const VerifyReport& report) {
  const DType output = problem.desc().output_dtype;
  std::ostringstream text;
  text.precision(output == DType::f64 ? 17 : 9);
  text << "output[n=" << report.n << ", p=" << report.p << ", q=" << report.q << ", k=" << report.k
       << "] = " << report.got << ", but it must be " << rounded(output, report.expected)
       << " (exactly " << report.expected << ", error at most " << report.bound
       << " before the rounding to " << name_of(output) << ")";
  const double relative = std::fabs(report.got - report.expected) / std::fabs(report.expected);
  if (relative > 0 && relative < 1) {
    text << "; " << static_cast<int>(-std::log10(relative)) << " decimal digits are right";
  }
  text.precision(3);
  const double share =
      100.0 * static_cast<double>(report.mismatches) / static_cast<double>(report.checked);
  text << ". " << report.mismatches << " of " << report.checked
       << (report.whole ? " elements" : " sampled elements") << " are wrong (" << share
       << " %), this is the first in memory order; the worst is " << report.worst_ratio
       << " times as far off as the bound allows.";
  return text.str();
}

}  // namespace tconv::host
