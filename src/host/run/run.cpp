// SPDX-License-Identifier: Apache-2.0
// run.cpp: checks the device and the caller's memory, then enqueues. Only the verified path
// allocates.
#include "src/host/run/run.h"

#include <cstddef>
#include <cstring>
#include <vector>

#include "src/host/device/gpu.h"
#include "src/host/plan/environment.h"
#include "src/host/plan/log.h"
#include "src/host/plan/on_device.h"
#include "src/host/problem/errors.h"
#include "src/host/verify/verify.h"

namespace tconv::host {
namespace {

constexpr std::size_t kWorkspaceAlignment = 256, kPackedAlignment = 64;

/// A buffer that the problem needs `bytes` of. Nothing is read here.
void check_buffer(const char* name, const void* data, int64_t bytes, std::size_t alignment,
                  std::size_t stated) {
  if (bytes == 0) return;
  if (data == nullptr) {
    refuse(std::string("tensors.") + name, "null",
           "a pointer to " + std::to_string(bytes) + " bytes");
  }
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  if (address % alignment != 0) {
    refuse(std::string("tensors.") + name, static_cast<long long>(address % alignment),
           "0 modulo " + std::to_string(alignment) + ", the alignment that was declared");
  }
  if (stated != 0 && stated < static_cast<std::size_t>(bytes)) {
    refuse(std::string("tensors.") + name + "_bytes", static_cast<long long>(stated),
           "at least " + std::to_string(bytes));
  }
}

/// One value per output channel: any other size is another shape.
void check_vector(const char* name, const void* data, int64_t bytes, DType type,
                  std::size_t stated) {
  check_buffer(name, data, bytes, size_of(type), stated);
  if (stated != 0 && stated != static_cast<std::size_t>(bytes)) {
    refuse(std::string("tensors.") + name + "_bytes", static_cast<long long>(stated),
           std::to_string(bytes) + ", one value per output channel");
  }
}

void check_workspace(const Plan& plan, const Tensors& tensors, std::size_t stated) {
  const std::size_t bytes = plan.workspace_bytes();
  if (bytes == 0) return;
  check_buffer("workspace", tensors.workspace, static_cast<int64_t>(bytes), kWorkspaceAlignment,
               stated);
  if (stated < bytes) {  // here 0 means 0: a workspace is always of the caller's own size
    refuse("tensors.workspace_bytes", static_cast<long long>(stated),
           "at least " + std::to_string(bytes));
  }
}

void launch(const Plan& plan, const Tensors& tensors, Stream stream) {
  naming_the_problem(plan, [&] {
    if (plan.device().kind == DeviceKind::cuda) gpu().begin_run(plan.problem());
    plan.kernel().launch(plan.problem(), plan.state(), tensors, stream);
  });
}

using HostCopy = std::vector<std::byte>;

/// The bytes of a tensor, wherever the plan's device keeps them.
HostCopy copied(const Plan& plan, const void* data, int64_t bytes, Stream stream) {
  HostCopy copy(static_cast<std::size_t>(bytes));
  if (copy.empty()) return copy;
  if (plan.device().kind == DeviceKind::cuda) {
    gpu().copy(copy.data(), data, copy.size(), Copy::to_host, stream);
    gpu().synchronise(stream);
  } else {
    std::memcpy(copy.data(), data, copy.size());
  }
  return copy;
}

void verify_copies(const Plan& plan, const Tensors& host) {
  const Options& options = plan.options();
  const VerifyReport report = verify(plan.problem(), host,
                                     {.threads = options.threads,
                                      .callers_threads = options.callers_threads,
                                      .math = options.math});
  if (!report.right()) throw Mismatch(describe_mismatch(plan.problem(), report));
}

/// Runs, then compares; the residual may be the output itself, so its values are kept.
void run_verified_on_cpu(const Plan& plan, const Tensors& tensors) {
  Tensors kept = tensors;
  const HostCopy residual =
      copied(plan, tensors.residual, plan.problem().residual_bytes(), nullptr);
  if (!residual.empty()) kept.residual = residual.data();
  launch(plan, tensors, nullptr);
  verify_copies(plan, kept);
}

/// Whole tensors are copied, even where only a sample is compared: the reference reads host memory.
void run_verified_on_cuda(const Plan& plan, const Tensors& tensors, Stream stream) {
  const Problem& problem = plan.problem();
  if (gpu().is_capturing(stream)) {
    log_line(plan.options(), "tconv: " + problem.key() +
                                 ": not verified: the stream is captured into a CUDA graph");
    return launch(plan, tensors, stream);
  }
  const HostCopy input = copied(plan, tensors.input, problem.input_bytes(), stream);
  const HostCopy filters = copied(plan, tensors.filters, problem.filter_bytes(), stream);
  const HostCopy bias = copied(plan, tensors.bias, problem.bias_bytes(), stream);
  const HostCopy slopes = copied(plan, tensors.slopes, problem.slopes_bytes(), stream);
  const HostCopy residual = copied(plan, tensors.residual, problem.residual_bytes(), stream);
  launch(plan, tensors, stream);
  HostCopy output = copied(plan, tensors.output, problem.output_bytes(), stream);
  verify_copies(plan, {.input = input.data(),
                       .filters = filters.data(),
                       .bias = bias.data(),
                       .slopes = slopes.data(),
                       .residual = residual.data(),
                       .output = output.data(),
                       .workspace = nullptr});
}

}  // namespace

void check_tensors(const Problem& problem, const Tensors& tensors, const StatedBytes& stated,
                   bool packed_filters) {
  const ProblemDesc& d = problem.desc();
  const auto alignment = static_cast<std::size_t>(d.alignment);
  check_buffer("input", tensors.input, problem.input_bytes(), alignment, stated.input);
  if (!packed_filters) {
    check_buffer("filters", tensors.filters, problem.filter_bytes(), alignment, stated.filters);
  }
  check_vector("bias", tensors.bias, problem.bias_bytes(), d.bias_dtype, stated.bias);
  check_vector("slopes", tensors.slopes, problem.slopes_bytes(), problem.slopes_dtype(),
               stated.slopes);
  check_buffer("residual", tensors.residual, problem.residual_bytes(), alignment, stated.residual);
  check_buffer("output", tensors.output, problem.output_bytes(), alignment, stated.output);
}

void run(const Plan& plan, const Tensors& tensors, const StatedBytes& stated, Stream stream) {
  const bool packed = plan.options().prepacked_filters;
  check_device(plan);
  check_tensors(plan.problem(), tensors, stated, packed);
  if (packed) {
    check_buffer("filters", tensors.filters, static_cast<int64_t>(plan.state().packed_filter_bytes),
                 kPackedAlignment, stated.filters);
  }
  check_workspace(plan, tensors, stated.workspace);
  if (plan.problem().empty_output()) return;
  // The reference cannot read a family's own filter order; make_plan refuses options.verify there.
  const bool verified = (plan.options().verify || environment().verify) && !packed;
  if (!verified) return launch(plan, tensors, stream);
  if (plan.device().kind != DeviceKind::cuda) return run_verified_on_cpu(plan, tensors);
  naming_the_problem(plan, [&] { run_verified_on_cuda(plan, tensors, stream); });
}

void prepack(const Plan& plan, const void* filters, void* packed, std::size_t packed_bytes,
             Stream stream) {
  if (!plan.options().prepacked_filters) {
    refuse("options.prepacked_filters", "0", "1 for a plan whose filters are prepacked");
  }
  check_device(plan);
  const auto alignment = static_cast<std::size_t>(plan.problem().desc().alignment);
  check_buffer("filters", filters, plan.problem().filter_bytes(), alignment, 0);
  const auto needed = static_cast<int64_t>(plan.state().packed_filter_bytes);
  check_buffer("packed", packed, needed, kPackedAlignment, packed_bytes);
  if (packed_bytes < static_cast<std::size_t>(needed)) {
    refuse("packed_bytes", static_cast<long long>(packed_bytes),
           "at least " + std::to_string(needed));
  }
  if (needed == 0) return;
  naming_the_problem(
      plan, [&] { plan.kernel().prepack(plan.problem(), plan.state(), filters, packed, stream); });
}

}  // namespace tconv::host
