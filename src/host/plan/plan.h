// SPDX-License-Identifier: Apache-2.0
// plan.h: Problem -> Plan. The planner walks the table.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "src/host/plan/kernel_table.h"
#include "src/host/plan/packing.h"
#include "src/host/problem/problem.h"

namespace tconv::host {

/// One family (or one of its tiles) as the planner saw it.
struct Candidate {
  const Kernel* kernel = nullptr;
  int tile = 0;
  double estimate_us = 0;  ///< infinite where the family knows none: it is tried last
  std::string reason;      ///< why not; empty for the one that was chosen
  bool failed = false;     ///< the reason is a DeviceError
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
  /// Whether a GPU seems to be here nevertheless, so that device_note() is news to its owner.
  bool passes_over_gpu() const { return passes_over_gpu_; }
  /// The key of the problem that this plan's family was chosen for; empty if it is this plan's own.
  const std::string& resized_from() const { return resized_from_; }
  /// 0 where the family knows none.
  double estimate_us() const { return std::isfinite(estimate_us_) ? estimate_us_ : 0; }
  /// 0 for an empty output.
  std::size_t workspace_bytes() const { return state_->workspace_bytes; }
  /// What prepack writes, header and all; 0: the family reads the filters as they are.
  std::size_t packed_filter_bytes() const {
    const std::size_t bytes = state_->packed_filter_bytes;
    return bytes == 0 ? 0 : sizeof(PackedHeader) + bytes;
  }
  /// Begins what prepack writes; null where packed_filter_bytes() is 0.
  const PackedHeader* packed_header() const { return packed_header_.get(); }
  /// See packing.h; "" where there is no header.
  const char* packed_key() const { return packed_header_ ? packed_header_->key : ""; }
  const std::vector<Candidate>& candidates() const { return candidates_; }

 private:
  friend Plan make_plan(const Problem&, const Options&, const DeviceFacts&,
                        std::span<const Kernel* const>);
  friend Plan make_plan(const Problem&, const Options&, std::span<const Kernel* const>);
  friend Plan resized(const Plan&, int64_t, int64_t, int64_t);
  friend std::size_t workspace_bytes_upto(const Plan&, int64_t, int64_t, int64_t);
  Plan(Problem problem, Options options)
      : problem_(std::move(problem)), options_(std::move(options)) {}

  Problem problem_;
  Options options_;
  const Kernel* kernel_ = nullptr;
  int tile_ = 0;
  double estimate_us_ = 0;
  std::shared_ptr<const KernelState> state_;
  std::shared_ptr<const PackedHeader> packed_header_;
  DeviceFacts device_;
  std::string device_note_, resized_from_;
  bool passes_over_gpu_ = false;
  std::vector<Candidate> candidates_;
};

/// A pure function of its arguments. Throws InvalidProblem if an option names a family or tile that
/// does not exist; where no family can be used Unsupported with every family's reason, or
/// DeviceError if that of one of them is a failure of the device.
Plan make_plan(const Problem& problem, const Options& options, const DeviceFacts& device,
               std::span<const Kernel* const> table);
/// With the device that `options` asks for: a device model; the CPU; the GPU that is current on
/// this thread; or (automatic) that GPU if this build can use it, else the CPU, and device_note()
/// says why. Where all families that `options` name are the CPU's, automatic is the CPU.
Plan make_plan(const Problem& problem, const Options& options,
               std::span<const Kernel* const> table = kernel_table());

/// The same family, packed filters and pads for `n` images of `h` x `w` pixels. Throws Unsupported
/// with the reason where the family or the tensors do not allow it, InvalidProblem where a size
/// does not.
Plan resized(const Plan& plan, int64_t n, int64_t h, int64_t w);
/// No plan.resized(n', h', w') with sizes up to these needs more. Throws as resized does.
std::size_t workspace_bytes_upto(const Plan& plan, int64_t n, int64_t h, int64_t w);

}  // namespace tconv::host
