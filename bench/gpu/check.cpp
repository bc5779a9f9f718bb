// SPDX-License-Identifier: Apache-2.0
// check.cpp: see check.h.
#include "bench/gpu/check.h"

#include <cmath>
#include <cstdio>

namespace tconv::bench {
namespace {

using host::Copy;
using host::Extents;
using host::load;
using host::size_of;

std::string format(const char* pattern, auto... values) {
  char text[256];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

/// The distance of two neighbours of magnitude `x`.
double unit_in_last_place(host::DType type, double x) {
  const int bits = type == host::DType::f16    ? 10
                   : type == host::DType::bf16 ? 7
                   : type == host::DType::f32  ? 23
                                               : 52;
  const double smallest = type == host::DType::f16 ? 0x1p-24 : 0;
  return x == 0 ? smallest : std::max(smallest, std::ldexp(1.0, std::ilogb(x) - bits));
}

}  // namespace

OutputCheck::OutputCheck(const host::Problem& problem, const HostData& data, Compare compare,
                         host::Stream stream)
    : problem_(problem),
      compare_(std::move(compare)),
      stream_(stream),
      at_(stratified_sample(problem, 1, kSample)),
      exact_(at_.size()) {
  const host::Tensors tensors = data.tensors();
  for (std::size_t i = 0; i < at_.size(); ++i) {
    const auto [n, p, q, k] = at_[i];
    exact_[i] = exact_element(problem, tensors, n, p, q, k);
  }
  largest_sum_ =
      static_cast<double>(problem.longest_sum()) * data.largest_input * data.largest_filter +
      (problem.desc().has_bias ? data.largest_bias : 0);
}

double OutputCheck::bound_anywhere(bool no_bound) const {
  if (no_bound) return kLoose * largest_sum_;
  // Both sides may be off by the bound of the worst element there can be, and round once each.
  const host::ExactElement worst{
      .value = largest_sum_, .magnitude = largest_sum_, .terms = problem_.longest_sum()};
  const double bound = error_bound(problem_, worst);
  return 2 * bound + unit_in_last_place(problem_.desc().output_dtype, largest_output_ + 2 * bound);
}

void OutputCheck::check_sample(const void* output, bool no_bound, Verdict& verdict) const {
  const host::ProblemDesc& d = problem_.desc();
  const std::size_t size = size_of(d.output_dtype);
  std::vector<std::byte> got(at_.size() * size);
  for (std::size_t i = 0; i < at_.size(); ++i) {
    const auto [n, p, q, k] = at_[i];
    const auto offset = static_cast<std::size_t>(d.output_strides.offset(n, p, q, k)) * size;
    host::gpu().copy(got.data() + i * size, static_cast<const std::byte*>(output) + offset, size,
                     Copy::to_host, stream_);
  }
  host::gpu().synchronise(stream_);
  verdict.sampled = static_cast<int64_t>(at_.size());
  for (std::size_t i = 0; i < at_.size(); ++i) {
    const double value = load(d.output_dtype, got.data(), static_cast<int64_t>(i));
    const double bound = no_bound ? kLoose * exact_[i].magnitude : error_bound(problem_, exact_[i]);
    const double allowed = bound + unit_in_last_place(d.output_dtype, exact_[i].value + bound) / 2;
    const double ratio = std::fabs(value - exact_[i].value) / allowed;
    if (!(ratio <= verdict.sample_ratio)) verdict.sample_ratio = ratio;  // NaN counts
    if (acceptable(d.output_dtype, value, exact_[i], bound) || !verdict.right) continue;
    verdict.right = false;
    verdict.words = format("output[n=%lld, p=%lld, q=%lld, k=%lld] = %.9g, exactly %.9g +- %.3g",
                           static_cast<long long>(at_[i].n), static_cast<long long>(at_[i].p),
                           static_cast<long long>(at_[i].q), static_cast<long long>(at_[i].k),
                           value, exact_[i].value, bound);
  }
}

Verdict OutputCheck::keep_expected(const void* output, void* scratch) {
  Verdict verdict{.right = true};
  check_sample(output, false, verdict);
  if (!verdict.right) return verdict;
  // Against zeros the largest distance is the largest magnitude, and infinite where NaN is left.
  const auto bytes = static_cast<std::size_t>(problem_.output_bytes());
  const int64_t count = problem_.output_extents().count();
  expected_ = host::DeviceMemory(bytes);
  host::gpu().copy(expected_.data(), output, bytes, Copy::on_device, stream_);
  host::gpu().fill(scratch, 0, bytes, stream_);
  const auto zeros =
      compare_(expected_.data(), scratch, problem_.desc().output_dtype, count, stream_);
  largest_output_ = zeros.distance;
  if (std::isfinite(largest_output_)) return verdict;
  verdict.right = false;
  verdict.words = "an element of gather's output is NaN or infinite";
  return verdict;
}

Verdict OutputCheck::check(const void* output, bool no_bound) const {
  Verdict verdict{.right = true};
  check_sample(output, no_bound, verdict);
  if (expected_.data() != nullptr) check_whole(output, no_bound, verdict);
  return verdict;
}

void OutputCheck::check_whole(const void* output, bool no_bound, Verdict& verdict) const {
  const auto whole = compare_(expected_.data(), output, problem_.desc().output_dtype,
                              problem_.output_extents().count(), stream_);
  verdict.whole_worst = whole.distance;
  verdict.whole_bound = bound_anywhere(no_bound);
  if (!verdict.right || whole.distance <= verdict.whole_bound) return;
  verdict.right = false;
  verdict.words = format(
      "%.3g away from gather's output somewhere (%.3g allowed; %lld elements "
      "differ, the first in memory is number %lld)",
      whole.distance, verdict.whole_bound, static_cast<long long>(whole.differ),
      static_cast<long long>(whole.first));
}

}  // namespace tconv::bench
