// SPDX-License-Identifier: Apache-2.0
// plan.h: Problem -> Plan -> run. The planner walks the table; run enqueues.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "src/host/plan/kernel_table.h"
#include "src/host/problem/errors.h"
#include "src/host/problem/problem.h"

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
  const char* tile() const {
    return state_->tile_name.empty() ? kernel_->tiles[static_cast<std::size_t>(tile_)]
                                     : state_->tile_name.c_str();
  }
  const KernelState& state() const { return *state_; }
  const DeviceFacts& device() const { return device_; }
  /// Why device `auto` is the CPU here; empty if nobody asked, or if it is not.
  const std::string& device_note() const { return device_note_; }
  /// The key of the problem that this plan's row was chosen for; empty if it is this plan's own.
  const std::string& resized_from() const { return resized_from_; }
  double estimate_us() const { return estimate_us_; }
  /// 0 for an empty output.
  std::size_t workspace_bytes() const { return state_->workspace_bytes; }
  const std::vector<Candidate>& candidates() const { return candidates_; }

  /// The whole decision as text or JSON.
  std::string explain(bool json) const;

 private:
  friend Plan make_plan(const Problem&, const Options&, const DeviceFacts&,
                        std::span<const Kernel* const>);
  friend Plan make_plan(const Problem&, const Options&, std::span<const Kernel* const>);
  friend Plan resized(const Plan&, int64_t, int64_t, int64_t);
  Plan(Problem problem, Options options)
      : problem_(std::move(problem)), options_(std::move(options)) {}

  Problem problem_;
  Options options_;
  const Kernel* kernel_ = nullptr;
  int tile_ = 0;
  double estimate_us_ = 0;
  std::shared_ptr<const KernelState> state_;
  DeviceFacts device_;
  std::string device_note_, resized_from_;
  std::vector<Candidate> candidates_;
};

/// A pure function of its arguments. Throws Unsupported with every row's reason, InvalidProblem if
/// an option names a row or tile that does not exist.
Plan make_plan(const Problem& problem, const Options& options, const DeviceFacts& device,
               std::span<const Kernel* const> table);
/// With the device that `options` asks for: a device model; the CPU; the GPU that is current on
/// this thread; or (automatic) that GPU if this build can use it, else the CPU, and device_note()
/// says why. Where all rows that `options` name are the CPU's, automatic is the CPU.
Plan make_plan(const Problem& problem, const Options& options,
               std::span<const Kernel* const> table = kernel_table());

/// The same row, packed filters and pads for `n` images of `h` x `w` pixels. Throws Unsupported
/// with the reason where the row or the tensors do not allow it, InvalidProblem where a size does
/// not.
Plan resized(const Plan& plan, int64_t n, int64_t h, int64_t w);
/// No plan.resized(n', h', w') with sizes up to these needs more. Throws as resized does.
std::size_t workspace_bytes_upto(const Plan& plan, int64_t n, int64_t h, int64_t w);

/// Sizes as the caller stated them, 0 where not stated. See tconv_tensors.
struct StatedBytes {
  std::size_t input = 0, filters = 0, bias = 0, slopes = 0, residual = 0, output = 0, workspace = 0;
};

/// "row gather on KEY: " and what failed: the seam to a device knows only its own call.
std::string with_problem(const Plan& plan, const char* error);
/// Calls `body`; a DeviceError leaves it as a RunError. May be nested.
template <typename Body>
decltype(auto) naming_the_problem(const Plan& plan, Body&& body) {
  try {
    return body();
  } catch (const RunError&) {
    throw;
  } catch (const DeviceError& error) {
    throw RunError(with_problem(plan, error.what()));
  }
}

/// Refuses a plan whose device is not here or not current, and a CUDA error that was pending.
void check_device(const Plan& plan);

/// Checks device and pointers, then enqueues. Throws before anything is enqueued.
void run(const Plan& plan, const Tensors& tensors, const StatedBytes& stated, Stream stream);

/// run's checks of one problem's pointers, for callers that have no plan (verify, diagnose).
void check_tensors(const Problem& problem, const Tensors& tensors, const StatedBytes& stated,
                   bool packed_filters = false);

void prepack(const Plan& plan, const void* filters, void* packed, std::size_t packed_bytes,
             Stream stream);

/// `samples` times `runs` runs on tensors in host memory, whatever the device: memory of the device
/// and the workspace are allocated for this call, filters are in the problem's order and packed
/// here if the plan wants that, the output is copied back at the end. Writes the microseconds of
/// one run, copies not counted, for each sample, if `us_per_run` is not null.
void run_host(const Plan& plan, const Tensors& tensors, const StatedBytes& stated, int samples,
              int runs, double* us_per_run);

/// The time below which no kernel can go on this model of the device.
double roofline_us(const Plan& plan);
/// What a run of the plan will do, as its row predicts it: text or JSON.
std::string explain_counters(const Plan& plan, bool json);
/// The taps and products that make one output element; input and filters may be null together.
std::string explain_at(const Plan& plan, const void* input, const void* filters, int64_t n,
                       int64_t p, int64_t q, int64_t k, bool json);

}  // namespace tconv::host
