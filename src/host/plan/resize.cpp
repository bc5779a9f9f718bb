// SPDX-License-Identifier: Apache-2.0
// resize.cpp: a plan for other sizes with the same family and the same packed filters.
#include "src/host/plan/on_device.h"
#include "src/host/plan/plan.h"
#include "src/host/problem/errors.h"

namespace tconv::host {
namespace {

[[noreturn]] void decline(const Plan& plan, const std::string& why) {
  throw Unsupported("the plan for " + plan.problem().key() + " cannot be resized: " + why);
}

/// Other sizes have other strides, and only dense ones follow from the sizes.
bool is_dense(const Strides& strides, Layout layout, const Extents& extents) {
  return extents.count() == 0 || strides == dense_strides(layout, extents);
}

bool is_dense(const Problem& problem) {
  const ProblemDesc& d = problem.desc();
  return is_dense(d.input_strides, d.layout, problem.input_extents()) &&
         is_dense(d.output_strides, d.layout, problem.output_extents()) &&
         (!d.has_residual || is_dense(d.residual_strides, d.layout, problem.output_extents()));
}

/// The same pads at begin and end around `in` elements.
void resize(Axis& axis, const char* name, int64_t in) {
  const int64_t pad_end = axis.pad_end();
  axis.in = in;
  // Problem proves that these sums do not overflow; it has not seen this axis yet.
  int64_t reach = 0, full = 0;
  if (in < 0 || __builtin_mul_overflow(in - 1, axis.stride, &reach) ||
      __builtin_add_overflow(reach, axis.keff(), &full)) {
    refuse(name, in, "at least 0 and such that the output's size fits 64 bits");
  }
  axis.out = full - axis.pad_begin - pad_end;
  if (axis.out < 0) {
    refuse(name, in, "such that the output, cut by the plan's pads, has at least 0 elements");
  }
}

Problem resized_problem(const Problem& problem, int64_t n, int64_t h, int64_t w) {
  ProblemDesc desc = problem.desc();
  desc.batch = n;
  resize(desc.h, "h", h);
  resize(desc.w, "w", w);
  desc.input_strides = desc.output_strides = desc.residual_strides = {};
  return Problem(std::move(desc));
}

void check_workspace(const Plan& plan, std::size_t bytes) {
  const int64_t limit = plan.options().workspace_limit;
  if (limit < 0 || bytes <= static_cast<std::size_t>(limit)) return;
  decline(plan, "the new sizes need " + std::to_string(bytes) +
                    " bytes of workspace, the limit is " + std::to_string(limit));
}

}  // namespace

Plan resized(const Plan& plan, int64_t n, int64_t h, int64_t w) {
  const Kernel& kernel = plan.kernel();
  if (kernel.fixed_size != nullptr) {
    decline(plan, "the row " + std::string(kernel.name) + ": " + kernel.fixed_size);
  }
  if (!is_dense(plan.problem())) decline(plan, "it has tensors with strides of their own");
  if (plan.device().is_here()) check_device(plan);
  Plan result(resized_problem(plan.problem(), n, h, w), plan.options());
  // A row may decline an empty output where it is chosen; here it was, and nothing is computed.
  const bool computes = !result.problem().empty_output();
  const std::string reason =
      computes ? kernel.declines(result.problem(), plan.options(), plan.device()) : "";
  if (!reason.empty()) decline(plan, "the row " + std::string(kernel.name) + ": " + reason);
  result.kernel_ = plan.kernel_;
  result.tile_ = plan.tile_;
  result.device_ = plan.device_;
  result.device_note_ = plan.device_note_;
  result.passes_over_gpu_ = plan.passes_over_gpu_;
  result.resized_from_ = plan.problem().key();
  const Considered made =
      computes ? kernel.consider(result.problem(), plan.tile_, plan.options(), plan.device())
               : Considered{};
  if (!made.reason.empty()) {
    decline(plan,
            "the row " + std::string(kernel.name) + ", tile " + plan.tile() + ": " + made.reason);
  }
  result.estimate_us_ = made.estimate_us;
  result.state_ = naming_the_problem(result, [&] {
    return kernel.prepare(result.problem(), plan.tile_, plan.options(), plan.device());
  });
  result.packed_header_ = plan.packed_header_;
  check_workspace(plan, result.workspace_bytes());
  result.candidates_ = {{.kernel = plan.kernel_,
                         .tile = plan.tile_,
                         .estimate_us = result.estimate_us_,
                         .reason = ""}};
  return result;
}

std::size_t workspace_bytes_upto(const Plan& plan, int64_t n, int64_t h, int64_t w) {
  const Plan largest = resized(plan, n, h, w);
  if (largest.problem().empty_output()) return largest.workspace_bytes();
  auto* const bound = plan.kernel().workspace_upto;
  // Without a bound the row promises that the largest sizes need the most: see Kernel::fixed_size.
  return bound == nullptr ? largest.workspace_bytes()
                          : bound(largest.problem(), plan.tile_, plan.options(), plan.device());
}

}  // namespace tconv::host
