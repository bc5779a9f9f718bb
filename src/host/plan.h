// SPDX-License-Identifier: Apache-2.0
// plan.h: Problem -> Plan -> run. The planner walks the table; run enqueues.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernel_table.h"
#include "problem.h"

namespace tconv::host {

/// One row (or one of its tiles) as the planner saw it.
struct Candidate {
  const Kernel* kernel = nullptr;
  int tile = 0;
  double estimate_us = 0;
  std::string reason;  ///< why not; empty for the one that was chosen
};

/// The decision and everything prepared for it. Immutable; shared by threads.
class Plan {
 public:
  const Problem& problem() const { return problem_; }
  const Options& options() const { return options_; }
  const Kernel& kernel() const { return *kernel_; }
  const char* tile() const { return kernel_->tiles[static_cast<std::size_t>(tile_)]; }
  const KernelState& state() const { return *state_; }
  const DeviceFacts& device() const { return *device_; }
  double estimate_us() const { return estimate_us_; }
  /// 0 for an empty output.
  std::size_t workspace_bytes() const { return state_->workspace_bytes; }
  const std::vector<Candidate>& candidates() const { return candidates_; }

  /// The whole decision as text or JSON.
  std::string explain(bool json) const;

 private:
  friend Plan make_plan(const Problem&, const Options&, const DeviceFacts&,
                        std::span<const Kernel* const>);
  Plan(Problem problem, Options options)
      : problem_(std::move(problem)), options_(std::move(options)) {}

  Problem problem_;
  Options options_;
  const Kernel* kernel_ = nullptr;
  int tile_ = 0;
  double estimate_us_ = 0;
  std::shared_ptr<const KernelState> state_;
  const DeviceFacts* device_ = nullptr;  // lives as long as the process
  std::vector<Candidate> candidates_;
};

/// A pure function of its arguments. Throws Unsupported with every row's reason, InvalidProblem if
/// an option names a row or tile that does not exist.
Plan make_plan(const Problem& problem, const Options& options, const DeviceFacts& device,
               std::span<const Kernel* const> table);
/// With the device that `options` asks for and the whole table.
Plan make_plan(const Problem& problem, const Options& options);

/// Sizes as the caller stated them, 0 where not stated. See tconv_tensors.
struct StatedBytes {
  std::size_t input = 0, filters = 0, bias = 0, slopes = 0, residual = 0, output = 0, workspace = 0;
};

/// Checks the pointers, then enqueues. Throws before anything is enqueued.
void run(const Plan& plan, const Tensors& tensors, const StatedBytes& stated, Stream stream);

/// run's checks of one problem's pointers, for callers that have no plan (verify, diagnose).
void check_tensors(const Problem& problem, const Tensors& tensors, const StatedBytes& stated,
                   bool packed_filters = false);

void prepack(const Plan& plan, const void* filters, void* packed, std::size_t packed_bytes,
             Stream stream);

/// The taps and products that make one output element; input and filters may be null together.
std::string explain_at(const Plan& plan, const void* input, const void* filters, int64_t n,
                       int64_t p, int64_t q, int64_t k, bool json);

}  // namespace tconv::host
