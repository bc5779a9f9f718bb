// SPDX-License-Identifier: Apache-2.0
// runner.cpp: see runner.h.
#include "src/cli/runner.h"

#include <algorithm>

#include "src/cli/text.h"

namespace tconv::cli {

std::string Verification::sentence() const {
  if (!right()) return mismatch;
  const auto total = static_cast<long long>(report.total);
  const auto checked = static_cast<long long>(report.checked);
  const std::string what = report.whole != 0
                               ? format("all %lld elements", total)
                               : format("a sample of %lld of %lld elements", checked, total);
  std::string text = "verified: " + what + format(", bound %.2g", report.largest_bound);
  if (report.overflowed > 0) {
    text +=
        format("; %lld infinite or NaN: their sums overflow on the way in some order (inf - inf)",
               static_cast<long long>(report.overflowed));
  }
  return text;
}

std::string Verification::brief() const {
  const auto total = static_cast<long long>(report.total);
  const auto checked = static_cast<long long>(report.checked);
  const std::string what =
      report.whole != 0 ? format("all %lld", total) : format("%lld of %lld", checked, total);
  return what + format(", bound %.2g", report.largest_bound);
}

void Verification::describe(Record& record) const {
  record.set("verified", right())
      .set("bound", report.largest_bound)
      .set("whole", report.whole != 0)
      .set("checked", report.checked)
      .set("total", report.total)
      .set("mismatches", report.mismatches)
      .set("worst_ratio", report.worst_ratio)
      .set("overflowed", report.overflowed)
      .set("zero_padded", report.zero_padded);
  if (right()) return;
  record.set("at", std::vector<int64_t>{report.n, report.p, report.q, report.k})
      .set("expected", report.expected)
      .set("got", report.got)
      .set("bound_there", report.bound);
}

Verification verify_output(const Request& request, Operands& operands,
                           const tconv_verify_options& options) {
  Verification result;
  result.report = sized<tconv_verify_report>();
  const tconv_tensors tensors = operands.tensors();
  const tconv_status status =
      tconv_verify(request.problem.get(), &tensors, &options, &result.report);
  if (status == TCONV_MISMATCH) {
    result.mismatch = tconv_last_error();
  } else {
    check(status);
  }
  return result;
}

std::string Comparison::sentence() const {
  if (!right()) return mismatch;
  const auto total = static_cast<long long>(report.total);
  if (report.differ == 0) return format("agrees: all %lld elements are the same", total);
  std::string text =
      format("agrees: %lld of %lld elements differ, at worst by %.2g (allowed there: %.2g)",
             static_cast<long long>(report.differ), total, report.worst, report.allowed);
  if (report.unbounded > 0) {
    text += format("; %lld of them may overflow on the way, where nothing bounds them",
                   static_cast<long long>(report.unbounded));
  }
  return text;
}

std::string Comparison::brief() const {
  const auto total = static_cast<long long>(report.total);
  if (report.differ == 0) return format("all %lld", total);
  return format("all %lld, %lld differ, by %.2g", total, static_cast<long long>(report.differ),
                report.worst);
}

void Comparison::describe(Record& record) const {
  record.set("agrees", right())
      .set("total", report.total)
      .set("differ", report.differ)
      .set("wrong", report.wrong)
      .set("one_nan", report.one_nan)
      .set("unbounded", report.unbounded)
      .set("worst", report.worst)
      .set("allowed", report.allowed);
  if (report.differ == 0) return;
  record.set("at", std::vector<int64_t>{report.n, report.p, report.q, report.k})
      .set("got", report.got)
      .set("other", report.other);
}

tconv_verify_options verify_options(const tconv_options& options, Progress& progress) {
  auto result = sized<tconv_verify_options>();
  result.threads = options.threads;
  result.math = options.math;
  result.progress = Progress::callback;
  result.progress_user = &progress;
  return result;
}

tconv_options Runner::reporting(tconv_options options, std::atomic<double>* share) {
  options.progress = [](double done, void* to) {
    static_cast<std::atomic<double>*>(to)->store(done, std::memory_order_relaxed);
  };
  options.progress_user = share;
  return options;
}

Runner::Runner(const Request& request, const tconv_options& options)
    : plan_(make_plan(request.problem.get(), reporting(options, share_.get()))),
      prepacked_(options.prepacked_filters != 0) {
  double bytes = operand_bytes(request);
  if (!on_gpu()) {
    bytes += static_cast<double>(workspace_bytes()) +
             static_cast<double>(tconv_plan_packed_filter_bytes(plan_.get()));
  }
  require_memory(bytes);
}

const char* Runner::device() const { return on_gpu() ? "cuda" : "cpu"; }

void Runner::describe(Record& record) const {
  record.set("device", device())
      .set("kernel", kernel())
      .set("tile", tile())
      .set("estimate_us", estimate_us())
      .set("workspace_bytes", workspace_bytes());
}

void Runner::bind(const tconv_tensors& tensors) {
  tensors_ = tensors;
  if (on_gpu()) return;
  workspace_ = Buffer(workspace_bytes(), "workspace");
  tensors_.workspace = workspace_.data();
  tensors_.workspace_bytes = workspace_.size();
  const std::size_t packed_bytes = tconv_plan_packed_filter_bytes(plan_.get());
  if (!prepacked_ || packed_bytes == 0) return;
  packed_ = Buffer(packed_bytes, "packed filters");
  check(tconv_prepack(plan_.get(), tensors.filters, packed_.data(), packed_.size(), nullptr));
  tensors_.filters = packed_.data();
  tensors_.filters_bytes = 0;  // packed filters may be smaller or larger than the problem's
}

void Runner::run() const {
  check(on_gpu() ? tconv_run_host(plan_.get(), &tensors_)
                 : tconv_run(plan_.get(), &tensors_, nullptr));
}

Comparison Runner::compare(const tconv_plan* other, Operands& operands) const {
  // The other's output, and the magnitudes, in f32 or f64, with the operands they are of.
  const auto bytes = [](const Buffer& buffer) { return static_cast<double>(buffer.size()); };
  if (!on_gpu()) {
    require_memory(4 * bytes(operands.output) + 2 * bytes(operands.residual) +
                   bytes(operands.input) + bytes(operands.filters));
  }
  Comparison result;
  result.report = sized<tconv_comparison>();
  const tconv_tensors tensors = operands.tensors();
  const tconv_status status = tconv_compare_host(plan_.get(), other, &tensors, &result.report);
  if (status == TCONV_MISMATCH) {
    result.mismatch = tconv_last_error();
  } else {
    check(status);
  }
  return result;
}

double Runner::sample_us(int64_t runs) const {
  double us = 0;
  const auto count = static_cast<int32_t>(std::min<int64_t>(runs, INT32_MAX));
  check(on_gpu() ? tconv_time_host(plan_.get(), &tensors_, 1, count, &us)
                 : tconv_time(plan_.get(), &tensors_, nullptr, 1, count, &us));
  return us;
}

std::vector<double> Runner::timed_runs(int64_t repeat, Progress& progress) const {
  std::vector<double> times;
  if (on_gpu()) {  // one call, so that the tensors are copied once
    const Ticker ticker(progress, [] { return 0; });
    times.resize(static_cast<std::size_t>(repeat));
    const auto count = static_cast<int32_t>(repeat);
    check(tconv_time_host(plan_.get(), &tensors_, count, 1, times.data()));
    return times;
  }
  while (static_cast<int64_t>(times.size()) < repeat) {
    share_->store(0, std::memory_order_relaxed);
    const Ticker ticker(progress, [this, done = static_cast<double>(times.size()), repeat] {
      return (done + share_->load(std::memory_order_relaxed)) / static_cast<double>(repeat);
    });
    times.push_back(sample_us(1));
  }
  return times;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

}  // namespace tconv::cli
