// SPDX-License-Identifier: Apache-2.0
// runner.h: a plan with the memory that its runs need, and the verification of what it wrote.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "src/cli/arguments.h"
#include "src/cli/operands.h"
#include "src/cli/progress.h"
#include "src/cli/record.h"

namespace tconv::cli {

/// What a comparison with the reference found.
struct Verification {
  tconv_verify_report report{};
  std::string mismatch;  ///< the library's message; empty: right

  bool right() const { return mismatch.empty(); }
  /// "verified: all 49152 elements, bound 1.2e-06" or the mismatch.
  std::string sentence() const;
  /// "all 49152, bound 1.2e-06": a cell of a table, of a right result.
  std::string brief() const;
  /// Sets verified, whole, checked, total, mismatches, bound, worst_ratio, overflowed, zero_padded.
  void describe(Record& record) const;
};

/// Compares operands.output with the reference.
Verification verify_output(const Request& request, Operands& operands,
                           const tconv_verify_options& options);
/// What a comparison with another row found.
struct Comparison {
  tconv_comparison report{};
  std::string mismatch;  ///< the library's message; empty: right

  bool right() const { return mismatch.empty(); }
  /// "agrees: all 49152 elements are the same" or the mismatch.
  std::string sentence() const;
  /// "all 49152, 3 differ, by 1.2e-06": a cell of a table, where they agree.
  std::string brief() const;
  /// Sets agrees, total, differ, wrong, one_nan, unbounded, worst, allowed.
  void describe(Record& record) const;
};

/// With the options' threads, and `progress` as the listener.
tconv_verify_options verify_options(const tconv_options& options, Progress& progress);

class Runner {
 public:
  /// Makes the plan; refuses (TCONV_DEVICE_ERROR) what does not fit the memory that is left.
  Runner(const Request& request, const tconv_options& options);

  const tconv_plan* plan() const { return plan_.get(); }
  const char* kernel() const { return tconv_plan_kernel(plan_.get()); }
  const char* tile() const { return tconv_plan_tile(plan_.get()); }
  const char* device() const;
  std::size_t workspace_bytes() const { return tconv_plan_workspace_bytes(plan_.get()); }
  double estimate_us() const { return tconv_plan_estimate_us(plan_.get()); }
  /// Sets device, kernel, tile, estimate_us, workspace_bytes.
  void describe(Record& record) const;

  /// Allocates workspace and packed filters, and packs. `operands` must outlive the runs. A GPU's
  /// memory is the library's to allocate, for each call of the following.
  void bind(Operands& operands) { bind(operands.tensors()); }
  void bind(const tconv_tensors& tensors);
  void run() const;
  /// Runs this plan and `other` on `operands`, whose output stays as it is, and compares the two
  /// results where the device keeps them.
  Comparison compare(const tconv_plan* other, Operands& operands) const;
  /// Runs `repeat` times and returns the microseconds of each.
  std::vector<double> timed_runs(int64_t repeat, Progress& progress) const;
  /// The microseconds of one run, where `runs` follow each other.
  double sample_us(int64_t runs) const;

 private:
  static tconv_options reporting(tconv_options options, std::atomic<double>* share);
  bool on_gpu() const { return tconv_plan_device(plan_.get()) == TCONV_DEVICE_CUDA; }

  /// How much of the run that is going on is done, as the library says.
  std::unique_ptr<std::atomic<double>> share_ = std::make_unique<std::atomic<double>>(0);
  Plan plan_;
  bool prepacked_;
  Buffer workspace_, packed_;
  tconv_tensors tensors_{};
};

double median(std::vector<double> values);

}  // namespace tconv::cli
