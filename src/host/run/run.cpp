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

// ---- Packed filters. ----------------------------------------------------------------------------

/// `header` is in host memory.
void check_packing(const Plan& plan, const void* header) {
  if (std::memcmp(header, plan.packed_header(), sizeof(PackedHeader)) == 0) return;
  const std::string key = packed_key_at(header, sizeof(PackedHeader));
  refuse("tensors.filters", key.empty() ? "no packed filters" : "packed filters of the key " + key,
         "what a plan of the packed key " + std::string(plan.packed_key()) + " packed");
}

/// Filters in host memory that should be in the problem's order and are in a family's.
void check_not_packed(const char* name, const Problem& problem, const void* filters) {
  const auto bytes = static_cast<std::size_t>(problem.filter_bytes());
  const std::string key = packed_key_at(filters, bytes);
  if (key.empty()) return;
  refuse(name, "packed filters of the key " + key,
         "filters in the problem's order, " + std::string(name_of(problem.desc().filter_order)));
}

const void* past_header(const void* packed) {
  return static_cast<const std::byte*>(packed) + sizeof(PackedHeader);
}

/// Everything that can be known of tensors.filters without a copy from the device.
void check_filters(const Plan& plan, const Tensors& tensors, std::size_t stated) {
  const bool on_host = plan.device().kind != DeviceKind::cuda;
  if (!plan.options().prepacked_filters) {
    if (on_host) check_not_packed("tensors.filters", plan.problem(), tensors.filters);
    return;
  }
  const std::size_t bytes = plan.packed_filter_bytes();
  check_buffer("filters", tensors.filters, static_cast<int64_t>(bytes), kPackedAlignment, stated);
  if (bytes > 0 && on_host) check_packing(plan, tensors.filters);
}

// ---- Runs. --------------------------------------------------------------------------------------

void launch(const Plan& plan, const Tensors& tensors, Stream stream) {
  naming_the_problem(plan, [&] {
    if (plan.device().kind == DeviceKind::cuda) gpu().begin_run(plan.problem());
    Tensors of_kernel = tensors;
    if (plan.packed_filter_bytes() > 0) of_kernel.filters = past_header(tensors.filters);
    plan.kernel().launch(plan.problem(), plan.state(), of_kernel, stream);
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

/// Progress is that of the run.
CallersThreads threads_alone(CallersThreads threads) {
  threads.progress = nullptr;
  return threads;
}

void verify_copies(const Plan& plan, const Tensors& host) {
  const Options& options = plan.options();
  const VerifyReport report = verify(plan.problem(), host,
                                     {.threads = options.threads,
                                      .callers_threads = threads_alone(options.callers_threads),
                                      .math = options.math});
  if (!report.right()) throw Mismatch(describe_mismatch(plan.problem(), report));
}

/// Runs, then compares; the residual may be the output itself, so its values are kept.
void run_verified_on_cpu(const Plan& plan, const Tensors& tensors) {
  Tensors kept = tensors;
  const HostCopy residual =
      copied(plan, tensors.residual, plan.problem().residual_bytes(), nullptr);
  if (!residual.empty()) kept.residual = residual.data();
  HostCopy filters;
  if (plan.packed_filter_bytes() > 0) {
    filters = unpack(plan.problem(), plan.kernel(), plan.state(), past_header(tensors.filters));
    kept.filters = filters.data();
  }
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
  const auto packed_bytes = static_cast<int64_t>(plan.packed_filter_bytes());
  HostCopy filters = copied(plan, tensors.filters,
                            packed_bytes > 0 ? packed_bytes : problem.filter_bytes(), stream);
  if (packed_bytes > 0) {
    check_packing(plan, filters.data());
    filters = unpack(problem, plan.kernel(), plan.state(), past_header(filters.data()));
  }
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

void check_host_tensors(const Problem& problem, const Tensors& tensors, const StatedBytes& stated) {
  check_tensors(problem, tensors, stated);
  check_not_packed("tensors.filters", problem, tensors.filters);
}

void run(const Plan& plan, const Tensors& tensors, const StatedBytes& stated, Stream stream) {
  check_device(plan);
  check_tensors(plan.problem(), tensors, stated, plan.options().prepacked_filters);
  check_filters(plan, tensors, stated.filters);
  check_workspace(plan, tensors, stated.workspace);
  if (plan.problem().empty_output()) return;
  if (!plan.options().verify && !environment().verify) return launch(plan, tensors, stream);
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
  if (plan.device().kind != DeviceKind::cuda) {
    check_not_packed("filters", plan.problem(), filters);
  }
  const auto needed = static_cast<int64_t>(plan.packed_filter_bytes());
  check_buffer("packed", packed, needed, kPackedAlignment, packed_bytes);
  if (packed_bytes < static_cast<std::size_t>(needed)) {
    refuse("packed_bytes", static_cast<long long>(packed_bytes),
           "at least " + std::to_string(needed));
  }
  if (needed == 0) return;
  naming_the_problem(plan, [&] {
    auto* to = static_cast<std::byte*>(packed);
    if (plan.device().kind == DeviceKind::cuda) {
      // From the plan's memory: what is captured into a graph reads it again.
      gpu().copy(to, plan.packed_header(), sizeof(PackedHeader), Copy::to_device, stream);
    } else {
      std::memcpy(to, plan.packed_header(), sizeof(PackedHeader));
    }
    plan.kernel().prepack(plan.problem(), plan.state(), filters, to + sizeof(PackedHeader), stream);
  });
}

}  // namespace tconv::host
