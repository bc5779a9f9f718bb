// SPDX-License-Identifier: Apache-2.0
// patterns.cpp: see patterns.h. Regions of the result that hold nothing but zeros, NaN or one
// number; then factors and narrow sums.
#include "src/host/verify/patterns.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

namespace tconv::host {
namespace {

constexpr std::array kAxes = {&Coordinate::p, &Coordinate::q, &Coordinate::n, &Coordinate::k};
constexpr std::array kAxisNames = {"rows", "columns", "images", "output channels"};

std::string number_text(double x) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6g", x);
  return text.data();
}

/// Elements that hold what memory holds that nobody wrote: zero, NaN, or one other number.
class Blank {
 public:
  Blank(const Reader& reader, double value) : reader_(reader), value_(value) {}

  bool is(double got) const { return std::isnan(value_) ? std::isnan(got) : got == value_; }
  bool zero() const { return value_ == 0; }
  bool one_number() const { return value_ != 0 && !std::isnan(value_); }
  std::string text() const {
    return zero() ? "zeros" : std::isnan(value_) ? "NaN" : number_text(value_);
  }

  /// True if all elements with begin <= coordinate < end are so.
  bool fills(const Coordinate& begin, const Coordinate& end) const {
    for (int64_t n = begin.n; n < end.n; ++n) {
      for (int64_t p = begin.p; p < end.p; ++p) {
        for (int64_t q = begin.q; q < end.q; ++q) {
          for (int64_t k = begin.k; k < end.k; ++k) {
            if (!is(reader_.got({n, p, q, k}))) return false;
          }
        }
      }
    }
    return true;
  }
  /// The elements from `first` to `last` along one axis, the whole of the others.
  bool fills(int64_t Coordinate::*axis, int64_t first, int64_t last) const {
    Coordinate begin{}, end = ends();
    begin.*axis = first, end.*axis = last + 1;
    return fills(begin, end);
  }
  Coordinate ends() const {
    const Extents e = reader_.problem().output_extents();
    return {e.n, e.h, e.w, e.c};
  }

 private:
  const Reader& reader_;
  double value_;
};

/// "rows 14 to 15 of 16"
std::string range_text(const char* what, int64_t first, int64_t last, int64_t extent) {
  std::string text = std::string(what) + " " + std::to_string(first);
  if (last > first) text += " to " + std::to_string(last);
  return text + " of " + std::to_string(extent);
}

/// Rows, columns, images or channels up to the last (channels also from the first) that hold
/// nothing, where everything else is right.
void find_unwritten(const Blank& blank, const std::vector<Probe>& wrong,
                    std::vector<Mistake>& mistakes) {
  for (std::size_t i = 0; i < kAxes.size(); ++i) {
    int64_t Coordinate::*const axis = kAxes[i];
    const auto of = [&](const Probe& probe) { return probe.at.*axis; };
    int64_t first = of(*std::ranges::min_element(wrong, {}, of));
    int64_t last = of(*std::ranges::max_element(wrong, {}, of));
    const int64_t extent = blank.ends().*axis;
    while (first > 0 && blank.fills(axis, first - 1, first - 1)) --first;
    while (last + 1 < extent && blank.fills(axis, last + 1, last + 1)) ++last;
    const bool channels = axis == &Coordinate::k;
    const bool tail = first > 0 && last + 1 == extent;
    const bool head = channels && first == 0 && last + 1 < extent;
    if ((!tail && !head) || !blank.fills(axis, first, last)) continue;
    mistakes.push_back({channels ? "channels_lost" : "unwritten",
                        range_text(kAxisNames[i], first, last, extent) +
                            " were never written: they hold " + blank.text()});
  }
}

/// The same of the last elements in memory order, which end in the middle of a row.
void find_unwritten_tail(const Reader& reader, const Blank& blank, const std::vector<Probe>& wrong,
                         std::vector<Mistake>& mistakes) {
  const Extents e = reader.problem().output_extents();
  const Layout layout = reader.problem().desc().layout;
  const Strides order = dense_strides(layout, e);
  const auto index = [&](const Coordinate& at) { return order.offset(at.n, at.p, at.q, at.k); };
  const auto at = [&](int64_t i) {
    return Coordinate{i / order.n, i / order.h % e.h, i / order.w % e.w, i / order.c % e.c};
  };
  int64_t first = e.count();
  for (const Probe& probe : wrong) first = std::min(first, index(probe.at));
  const auto holds_nothing = [&](int64_t i) { return blank.is(reader.got(at(i))); };
  while (first > 0 && holds_nothing(first - 1)) --first;
  if (first == 0) return;
  for (int64_t i = first; i < e.count(); ++i) {
    if (!holds_nothing(i)) return;
  }
  mistakes.push_back({"unwritten", "the last " + std::to_string(e.count() - first) + " of " +
                                       std::to_string(e.count()) +
                                       " elements in memory order were never written: they hold " +
                                       blank.text()});
}

/// The last rows and columns hold zeros, no more of them than output_padding can add.
void find_zero_output_padding(const Problem& problem, const Blank& blank,
                              const std::vector<Probe>& wrong, std::vector<Mistake>& mistakes) {
  const ProblemDesc& d = problem.desc();
  if (!blank.zero()) return;
  const auto zeros_at_end = [&](int64_t Coordinate::*axis, int64_t extent) {
    int64_t count = 0;
    while (count < extent && blank.fills(axis, extent - 1 - count, extent - 1 - count)) ++count;
    return count;
  };
  const int64_t rows = zeros_at_end(&Coordinate::p, d.h.out);
  const int64_t columns = zeros_at_end(&Coordinate::q, d.w.out);
  const bool plausible = rows < std::max(d.h.stride, d.h.dilation) && rows < d.h.out &&
                         columns < std::max(d.w.stride, d.w.dilation) && columns < d.w.out;
  const auto outside = [&](const Probe& probe) {
    return probe.at.p < d.h.out - rows && probe.at.q < d.w.out - columns;
  };
  if (!plausible || std::ranges::any_of(wrong, outside)) return;
  const std::string numbers =
      rows == columns ? std::to_string(rows)
                      : "(" + std::to_string(rows) + ", " + std::to_string(columns) + ")";
  mistakes.push_back({"output_padding_zeros",
                      "what output_padding " + numbers +
                          " adds at the end was filled with zeros: it is computed like every other "
                          "row and column"});
}

void find_blanks(const Reader& reader, const std::vector<Probe>& wrong,
                 std::vector<Mistake>& mistakes) {
  const Blank blank(reader, wrong.front().got);
  const auto holds_nothing = [&](const Probe& probe) { return blank.is(probe.got); };
  if (!std::ranges::all_of(wrong, holds_nothing)) return;
  // A number that is neither zero nor NaN may be a result: one alone shows nothing.
  constexpr std::ptrdiff_t kFewest = 8;
  if (blank.one_number() && std::ssize(wrong) < kFewest) return;
  if (blank.fills({}, blank.ends())) {
    const std::string count = std::to_string(reader.problem().output_extents().count());
    const char* name = blank.zero() ? "all_zero" : blank.one_number() ? "all_equal" : "all_nan";
    mistakes.push_back({name, "all " + count + " elements are " +
                                  (blank.zero() ? "zero" : blank.text()) +
                                  ": nothing was computed, or nothing arrived"});
    return;
  }
  find_zero_output_padding(reader.problem(), blank, wrong, mistakes);
  const std::size_t before = mistakes.size();
  find_unwritten(blank, wrong, mistakes);
  if (mistakes.size() == before) find_unwritten_tail(reader, blank, wrong, mistakes);
}

// ---- One factor everywhere.
// ----------------------------------------------------------------------

/// Numbers between which something lies.
struct Interval {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  int64_t from = 0;  ///< of how many elements
  void meet(double a, double b) {
    low = std::max(low, std::min(a, b)), high = std::min(high, std::max(a, b));
    ++from;
  }
  bool has(double x) const { return low <= x && x <= high; }
};

/// got +- half a unit = factor * (value +- bound).
void narrow(const Probe& probe, const Expected& expected, double got, double got_error,
            Interval& factor) {
  const double value = expected.exact.value, bound = expected.bound;
  if (!std::isfinite(got) || !(std::fabs(value) > 4 * bound)) return;
  if (std::fabs(got) < 4 * got_error || probe.got == 0) return;
  const double size = std::fabs(got), sign = (got < 0) == (value < 0) ? 1 : -1;
  factor.meet(sign * (size - got_error) / (std::fabs(value) + bound),
              sign * (size + got_error) / (std::fabs(value) - bound));
}

struct Factor {
  double value;
  std::string text;
};

/// Factors that have a reason, the likelier first.
std::vector<Factor> plausible_factors(const Problem& problem) {
  const ProblemDesc& d = problem.desc();
  std::vector<Factor> factors = {{2, "2"}, {0.5, "1/2"}, {-1, "-1"}};
  const auto add = [&](int64_t n, const std::string& what) {
    if (n < 2) return;
    factors.push_back({static_cast<double>(n), what});
    factors.push_back({1 / static_cast<double>(n), "1 / (" + what + ")"});
  };
  add(d.h.stride * d.w.stride, "stride_h * stride_w");
  add(d.h.kernel * d.w.kernel, "kernel_h * kernel_w");
  add(problem.in_c_per_group(), "input channels");
  add(d.groups, "groups");
  add(d.batch, "batch");
  add(255, "255");
  return factors;
}

void add_scaled(const Reader& reader, const std::vector<Probe>& probes, const Interval& interval,
                bool sum, std::vector<Mistake>& mistakes) {
  const double middle = (interval.low + interval.high) / 2;
  const double spread = (interval.high - interval.low) / 2;
  constexpr int64_t kFewest = 3;
  // Narrow and away from 1: otherwise it is rounding that is off, not a factor.
  if (interval.from < kFewest || interval.has(1) || !(spread >= 0)) return;
  if (!(spread < 0.02 * std::fabs(middle))) return;
  Reading reading = right_reading(reader.problem());
  std::string text = number_text(middle);
  double factor = middle;
  for (const Factor& known : plausible_factors(reader.problem())) {
    if (!interval.has(known.value)) continue;
    factor = known.value, text = known.text;
    break;
  }
  (sum ? reading.sum_scale : reading.result_scale) = factor;
  reading.scale_error = spread / std::fabs(factor);
  const auto fits = [&](const Probe& probe) { return matches(reading, reader, probe); };
  if (!std::ranges::all_of(probes, fits)) return;
  mistakes.push_back(
      {"scaled", sum ? "the sum of products is multiplied by " + text + " before the epilogue"
                     : "every element is multiplied by " + text});
}

/// The sum that these activations were given, where they let it through.
bool passes(Activation activation, double got) {
  if (activation == Activation::identity) return true;
  const bool one_sided = activation == Activation::relu || activation == Activation::leaky_relu ||
                         activation == Activation::prelu;
  return one_sided && got > 0;
}

void find_factor(const Reader& reader, const std::vector<Probe>& probes,
                 std::vector<Mistake>& mistakes) {
  const ProblemDesc& d = reader.problem().desc();
  const Reading right = right_reading(reader.problem());
  Reading bare = right;
  bare.bias = bare.residual = Stage::never;
  bare.desc.activation = Activation::identity;
  Interval of_result, of_sum;
  for (const Probe& probe : probes) {
    const double error = 2 * half_unit(d.output_dtype, probe.got);
    narrow(probe, reader.read(right, probe.at), probe.got, error, of_result);
    if (!passes(d.activation, probe.got)) continue;
    const double addends = reader.addends(probe.at);
    narrow(probe, reader.read(bare, probe.at), probe.got - addends,
           error + 0x1p-22 * (std::fabs(probe.got) + std::fabs(addends)), of_sum);
  }
  add_scaled(reader, probes, of_result, false, mistakes);
  if (d.has_bias || d.has_residual) add_scaled(reader, probes, of_sum, true, mistakes);
}

// ---- Sums in a narrow type.
// ----------------------------------------------------------------------

/// Adding n products in a type with unit u, one after the other, moves a sum of random signs by
/// about u/2 of the products' magnitude and a sum of one sign by sqrt(n)/3 of that; adding them in
/// blocks by less. Values that the type does not have cannot be such a sum. Sums that have stopped
/// growing, because each product is too small for them, are not recognised.
void find_narrow_sums(const Reader& reader, const std::vector<Probe>& probes, Rounding type,
                      double unit, const char* name, std::vector<Mistake>& mistakes) {
  const Reading right = right_reading(reader.problem());
  constexpr int64_t kFewestTerms = 16;
  std::vector<double> shares;
  for (const Probe& probe : probes) {
    if (!std::isfinite(probe.got) || round_as(type, probe.got) != probe.got) return;
    const ExactElement exact = reader.read(right, probe.at).exact;
    const double share = std::fabs(probe.got - exact.value) / (unit * exact.magnitude);
    const double root = std::sqrt(static_cast<double>(exact.terms));
    if (exact.terms < kFewestTerms || !(exact.magnitude > 0)) {
      if (probe.wrong) return;
      continue;
    }
    // Products that repeat are all rounded alike: up to a twentieth of the magnitude passes.
    if (share > std::max(2 * root, 0.05 / unit) || root * unit > 0.1) return;
    shares.push_back(share);
  }
  constexpr std::size_t kFewest = 16;
  if (shares.size() < kFewest) return;
  std::ranges::nth_element(shares, shares.begin() + std::ssize(shares) / 2);
  if (shares[shares.size() / 2] < 1.0 / 32) return;  // most are right: it is something else
  mistakes.push_back({std::string("arithmetic_") + name, std::string("it differs as ") + name +
                                                             " would: sums were kept in " + name +
                                                             ", the problem sums in f32"});
}

}  // namespace

std::vector<Mistake> patterns_in(const Reader& reader, const std::vector<Probe>& probes) {
  std::vector<Probe> wrong;
  std::ranges::copy_if(probes, std::back_inserter(wrong), &Probe::wrong);
  std::vector<Mistake> mistakes;
  if (wrong.empty()) return mistakes;
  find_blanks(reader, wrong, mistakes);
  if (!mistakes.empty()) return mistakes;
  find_factor(reader, probes, mistakes);
  find_narrow_sums(reader, probes, Rounding::f16, 0x1p-11, "f16", mistakes);
  find_narrow_sums(reader, probes, Rounding::bf16, 0x1p-8, "bf16", mistakes);
  return mistakes;
}

}  // namespace tconv::host
