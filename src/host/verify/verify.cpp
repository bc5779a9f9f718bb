// SPDX-License-Identifier: Apache-2.0
// verify.cpp: is a result right? The comparison with the reference, whole or on the stratified
// sample of sample.cpp.
#include "src/host/verify/verify.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <vector>

#include "src/host/cpu/threads.h"
#include "src/host/device/device.h"
#include "src/host/plan/kernel_table.h"
#include "src/host/problem/decomposition.h"
#include "tconv/printable.h"

namespace tconv::host {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// What one output element came to.
struct Verdict {
  double expected = 0, got = 0, bound = 0, ratio = 0;
  bool right = true;
  bool overflowed = false, zero_padded = false;  ///< see VerifyReport
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

/// Whether tap `r` of output `p` meets a pixel, be it beyond the border.
bool is_on_grid(const Axis& axis, int64_t p, int64_t r) {
  return floor_mod(p + axis.pad_begin - r * axis.dilation, axis.stride) == 0;
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
  int64_t checked = 0, mismatches = 0, overflowed = 0, zero_padded = 0;
  double largest_bound = 0;
  int64_t first_index = -1, worst_index = -1;  ///< of the first mismatch; of the worst element
  double worst_ratio = -1;

  void add(int64_t index, const Verdict& element) {
    ++checked;
    largest_bound = std::max(largest_bound, element.bound);
    if (!element.right && mismatches++ == 0) first_index = index;
    overflowed += element.overflowed ? 1 : 0;
    zero_padded += element.zero_padded ? 1 : 0;
    if (element.ratio > worst_ratio) worst_ratio = element.ratio, worst_index = index;
  }
  void merge(const Tally& other) {
    checked += other.checked;
    largest_bound = std::max(largest_bound, other.largest_bound);
    if (other.mismatches > 0 && (mismatches == 0 || other.first_index < first_index)) {
      first_index = other.first_index;
    }
    mismatches += other.mismatches;
    overflowed += other.overflowed;
    zero_padded += other.zero_padded;
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
    if (!result.right) {
      result.overflowed = result.right = explained_by_overflow(d, result.got, exact, math_);
    }
    if (!result.right) result.zero_padded = is_of_zero_padding(result.got, exact, elements_[index]);
    result.ratio = ratio_of(d.output_dtype, result.got, exact, result.bound, result.right);
    return result;
  }

  /// True for NaN where a weight that is infinite or NaN would meet a pixel beyond the border: a
  /// kernel that multiplies zeros there gets NaN, where the definition has no product.
  bool is_of_zero_padding(double got, const ExactElement& exact, const Coordinate& at) const {
    if (!std::isnan(got) || std::isnan(exact.value)) return false;
    const ProblemDesc& d = problem_.desc();
    // Kernels see these: where there is one pixel, the stride is as good as 1.
    const Axis h = normalise(d.h), w = normalise(d.w);
    const FilterStrides filter = problem_.filter_strides();
    const int64_t channels = problem_.in_c_per_group(), k = at.k % problem_.out_c_per_group();
    const int64_t first_c = at.k / problem_.out_c_per_group() * channels;
    for (int64_t r = 0; r < d.h.kernel; ++r) {
      for (int64_t s = 0; s < d.w.kernel; ++s) {
        if (!is_on_grid(h, at.p, r) || !is_on_grid(w, at.q, s)) continue;
        const bool is_inside =
            input_index(h, at.p, r) != kNoInput && input_index(w, at.q, s) != kNoInput;
        for (int64_t c = first_c; !is_inside && c < first_c + channels; ++c) {
          if (!std::isfinite(load(d.dtype, tensors_.filters, filter.offset(r, s, k, c)))) {
            return true;
          }
        }
      }
    }
    return false;
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
                      .worst_ratio = std::max(tally.worst_ratio, 0.0),
                      .overflowed = tally.overflowed,
                      .zero_padded = tally.zero_padded};
  const int64_t shown = tally.mismatches > 0 ? tally.first_index : tally.worst_index;
  if (shown < 0) return report;
  const auto [n, p, q, k] = elements[shown];
  const Verdict element = comparison.check(shown);
  report.n = n, report.p = p, report.q = q, report.k = k;
  report.expected = element.expected, report.got = element.got, report.bound = element.bound;
  return report;
}

namespace {

/// " (igemm_sm80)", of those that this build has.
std::string rows_that_multiply_zeros() {
  std::string names;
  for (const Kernel* kernel : kernel_table()) {
    if (kernel->border != Border::zeros) continue;
    names += (names.empty() ? " (" : ", ") + std::string(kernel->name);
  }
  return names.empty() ? "" : names + ")";
}

}  // namespace

std::string describe_mismatch(const Problem& problem, const VerifyReport& report) {
  const DType output = problem.desc().output_dtype;
  const auto number = [&](double x) { return number_text(x, output == DType::f64 ? 17 : 9); };
  std::ostringstream text;
  text << "output[n=" << report.n << ", p=" << report.p << ", q=" << report.q << ", k=" << report.k
       << "] = " << number(report.got) << ", but it must be "
       << number(rounded(output, report.expected)) << " (exactly " << number(report.expected)
       << ", error at most " << number(report.bound) << " before the rounding to "
       << name_of(output) << ")";
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
  if (report.zero_padded > 0) {
    text << " In " << report.zero_padded
         << " of them a weight that is infinite or NaN meets pixels beyond the border: rows that "
            "multiply zeros there give NaN"
         << rows_that_multiply_zeros() << ", the definition has no product.";
  }
  return text.str();
}

}  // namespace tconv::host
