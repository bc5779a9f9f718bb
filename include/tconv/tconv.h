// SPDX-License-Identifier: Apache-2.0
//
// tconv.h: 2-D transposed convolution, the C++17 face. Header-only over tconv_c.h.
//
//   tconv::TensorFlowArgs args;                        // or PyTorchArgs, OnnxArgs, ProblemDesc
//   args.input_shape = {1, 4, 4, 8};
//   args.filter_shape = {3, 3, 16, 8};
//   args.strides = {2};
//   tconv::Problem problem(args);                      // validates
//   tconv::Plan plan(problem);                         // chooses a kernel
//   tconv::Tensors tensors;
//   tensors.input = x; tensors.filters = f; tensors.output = y;
//   plan.run(tensors);                                 // enqueues (on the CPU: computes)
//
// Every failing call throws tconv::Error. With TCONV_NO_EXCEPTIONS defined (or -fno-exceptions) the
// constructors are absent and each class has `static Status create(..., T&)`; calls return Status.
#ifndef TCONV_TCONV_H_
#define TCONV_TCONV_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "status.h"
#include "tconv_c.h"
#include "to_c.h"
#include "types.h"

namespace tconv {

// ---- The problem -------------------------------------------------------------------------------

namespace detail {

template <auto destroy>
struct Destroyer {
  template <typename Handle>
  void operator()(Handle* handle) const {
    destroy(handle);
  }
};

/// The text that `call` hands over, freed here.
template <typename Call>
std::string text_of(Call&& call, Status& status) {
  char* text = nullptr;
  status = Status(call(&text));
  const std::unique_ptr<char, Destroyer<tconv_text_free>> owner(text);
  return text == nullptr ? std::string() : std::string(text);
}

}  // namespace detail

using ProblemInfo = tconv_problem_info;

/// A validated, immutable request. Copies share it.
class Problem {
 public:
  /// An empty handle; only create() makes it usable.
  Problem() = default;

  /// `request`: ProblemDesc, TensorFlowArgs, PyTorchArgs or OnnxArgs. Code::invalid names field,
  /// value and what would be legal.
  template <typename Request>
  static Status create(const Request& request, Problem& problem) {
    tconv_problem_desc desc = detail::to_c(static_cast<const Details&>(request));
    Status status(detail::fill(request, desc));
    if (!status.ok()) return status;
    tconv_problem* handle = nullptr;
    status = Status(tconv_problem_create(&desc, &handle));
    if (status.ok()) problem.handle_.reset(handle, tconv_problem_destroy);
    return status;
  }
  /// From the one-line text that key() gives.
  static Status create(const std::string& key, Problem& problem) {
    tconv_problem* handle = nullptr;
    Status status(tconv_problem_from_key(key.c_str(), &handle));
    if (status.ok()) problem.handle_.reset(handle, tconv_problem_destroy);
    return status;
  }
#ifndef TCONV_NO_EXCEPTIONS
  template <typename Request>
  explicit Problem(const Request& request) {
    detail::check(create(request, *this));
  }
#endif

  std::string key() const { return tconv_problem_key(handle_.get()); }
  /// Buffer sizes in bytes, useful multiply-adds, least bytes moved; all 0 for an empty handle.
  ProblemInfo info() const {
    auto info = detail::sized<ProblemInfo>();
    (void)tconv_problem_get_info(handle_.get(), &info);
    return info;
  }
  /// Sizes, strides and types with the defaults filled in; `name` lives as long as this problem.
  tconv_problem_desc desc() const {
    auto desc = detail::sized<tconv_problem_desc>();
    (void)tconv_problem_get_desc(handle_.get(), &desc);
    return desc;
  }
  /// [batch, out_h, out_w, out_c], whatever the layout; output_shape(args) has the original's rank.
  Numbers output_shape() const {
    const tconv_problem_desc d = desc();
    return {d.batch, d.h.out, d.w.out, d.out_c};
  }
  const tconv_problem* c_handle() const { return handle_.get(); }

 private:
  std::shared_ptr<const tconv_problem> handle_;
};

/// The output's shape with the original's rank and in its order, of TensorFlowArgs, PyTorchArgs or
/// OnnxArgs.
template <typename Args>
Status output_shape(const Args& args, Numbers& shape) {
  int64_t numbers[4] = {};
  int32_t rank = 0;
  Status status(detail::output_shape(args, numbers, rank));
  if (status.ok()) shape.assign(numbers, numbers + rank);
  return status;
}
#ifndef TCONV_NO_EXCEPTIONS
template <typename Args>
Numbers output_shape(const Args& args) {
  Numbers shape;
  detail::check(output_shape(args, shape));
  return shape;
}
#endif

// ---- The plan ---------------------------------------------------------------------------------

/// What the caller allows. See tconv_options.
struct Options {
  Device device = Device::automatic;
  std::string kernels;                     ///< "name[,name]"; empty: all
  std::string tile;                        ///< empty: all
  std::optional<int64_t> workspace_limit;  ///< bytes; absent: none
  Math math = Math::strict;
  bool allow_nondeterministic = false;
  bool prepacked_filters = false;
  bool verify = false;
  int32_t threads = 0;  ///< of the CPU's families; 0: one per core
  tconv_log_function log = nullptr;
  void* log_user = nullptr;
  std::string device_model;  ///< plan for this GPU, which is not here; empty: for one that is
  tconv_parallel_for parallel_for = nullptr;  ///< the caller's own threads; null: the library's
  void* parallel_user = nullptr;
  tconv_progress_function progress = nullptr;  ///< of each run on the CPU, between its tasks
  void* progress_user = nullptr;
};

/// The caller's memory; the *_bytes are checked where they are not 0. See tconv_tensors.
struct Tensors : tconv_tensors {
  Tensors() : tconv_tensors{} { struct_size = sizeof(tconv_tensors); }
};

/// The chosen kernel and everything prepared for it. Copies share it; threads may, too.
class Plan {
 public:
  /// An empty handle; only create() makes it usable.
  Plan() = default;

  /// Code::unsupported has every family's reason.
  static Status create(const Problem& problem, const Options& options, Plan& plan) {
    auto c = detail::sized<tconv_options>();
    c.device = static_cast<int32_t>(options.device);
    c.kernels = options.kernels.empty() ? nullptr : options.kernels.c_str();
    c.tile = options.tile.empty() ? nullptr : options.tile.c_str();
    if (options.workspace_limit) {
      c.workspace_limit = *options.workspace_limit == 0 ? static_cast<int64_t>(TCONV_NO_WORKSPACE)
                                                        : *options.workspace_limit;
    }
    c.math = static_cast<int32_t>(options.math);
    c.allow_nondeterministic = options.allow_nondeterministic;
    c.prepacked_filters = options.prepacked_filters;
    c.verify = options.verify;
    c.threads = options.threads;
    c.log = options.log;
    c.log_user = options.log_user;
    c.device_model = options.device_model.empty() ? nullptr : options.device_model.c_str();
    c.parallel_for = options.parallel_for;
    c.parallel_user = options.parallel_user;
    c.progress = options.progress;
    c.progress_user = options.progress_user;
    tconv_plan* handle = nullptr;
    Status status(tconv_plan_create(problem.c_handle(), &c, &handle));
    if (status.ok()) plan.handle_.reset(handle, tconv_plan_destroy);
    return status;
  }
#ifndef TCONV_NO_EXCEPTIONS
  explicit Plan(const Problem& problem, const Options& options = {}) {
    detail::check(create(problem, options, *this));
  }
#endif

  /// The same family, packed filters and pads for `n` images of `h` x `w` pixels, in microseconds.
  /// Code::unsupported has the reason where the family or the tensors do not allow it.
  Status resized(int64_t n, int64_t h, int64_t w, Plan& plan) const {
    tconv_plan* handle = nullptr;
    Status status(tconv_plan_resized(handle_.get(), n, h, w, &handle));
    if (status.ok()) plan.handle_.reset(handle, tconv_plan_destroy);
    return status;
  }
  /// Bytes of workspace that no plan resized to these sizes or less needs more than.
  Status workspace_bytes_upto(int64_t n, int64_t h, int64_t w, std::size_t& bytes) const {
    return Status(tconv_plan_workspace_bytes_upto(handle_.get(), n, h, w, &bytes));
  }
#ifndef TCONV_NO_EXCEPTIONS
  Plan resized(int64_t n, int64_t h, int64_t w) const {
    Plan plan;
    detail::check(resized(n, h, w, plan));
    return plan;
  }
  std::size_t workspace_bytes_upto(int64_t n, int64_t h, int64_t w) const {
    std::size_t bytes = 0;
    detail::check(workspace_bytes_upto(n, h, w, bytes));
    return bytes;
  }
#endif

  std::string kernel() const { return tconv_plan_kernel(handle_.get()); }
  std::string tile() const { return tconv_plan_tile(handle_.get()); }
  Device device() const { return static_cast<Device>(tconv_plan_device(handle_.get())); }
  /// Bytes, 256-byte aligned, of the caller's, for each run in flight.
  std::size_t workspace_bytes() const { return tconv_plan_workspace_bytes(handle_.get()); }
  /// Bytes that prepack writes, 64-byte aligned; 0: the family reads the filters as they are.
  std::size_t packed_filter_bytes() const { return tconv_plan_packed_filter_bytes(handle_.get()); }
  /// Plans with the same key take each other's packed filters. See tconv_plan_packed_key.
  std::string packed_key() const { return tconv_plan_packed_key(handle_.get()); }
  std::size_t device_bytes() const { return tconv_plan_device_bytes(handle_.get()); }
  /// The whole decision as text; "" for an empty handle.
  std::string explain() const {
    Status status;
    return detail::text_of(
        [&](char** text) { return tconv_plan_explain(handle_.get(), TCONV_TEXT, text); }, status);
  }

  /// What a run will do, as far as the family predicts it, as text; "" for an empty handle.
  std::string counters() const {
    Status status;
    return detail::text_of(
        [&](char** text) { return tconv_plan_counters(handle_.get(), TCONV_TEXT, text); }, status);
  }

  /// Enqueues and returns; synchronous on the CPU. Neither allocates nor synchronises, except with
  /// options.verify or TCONV_VERIFY=1.
  Result run(const Tensors& tensors, void* stream = nullptr) const {
    return detail::finish(tconv_run(handle_.get(), &tensors, stream));
  }
  /// Runs once on tensors in host memory, whatever the device, and waits. See tconv_run_host.
  Result run_host(const Tensors& tensors) const {
    return detail::finish(tconv_run_host(handle_.get(), &tensors));
  }
  /// Filters in the problem's order -> the family's own, into `packed` (packed_filter_bytes()).
  Result prepack(const void* filters, void* packed, std::size_t packed_bytes,
                 void* stream = nullptr) const {
    return detail::finish(tconv_prepack(handle_.get(), filters, packed, packed_bytes, stream));
  }
  const tconv_plan* c_handle() const { return handle_.get(); }

 private:
  std::shared_ptr<const tconv_plan> handle_;
};

// ---- Trust ------------------------------------------------------------------------------------

using VerifyReport = tconv_verify_report;

/// Compares tensors.output (host memory) with the reference; Code::mismatch also fills `report`.
inline Status verify(const Problem& problem, const Tensors& tensors, VerifyReport& report) {
  report = detail::sized<VerifyReport>();
  return Status(tconv_verify(problem.c_handle(), &tensors, nullptr, &report));
}

using Comparison = tconv_comparison;

/// Compares all elements that two plans write for tensors in host memory, on their device;
/// Code::mismatch also fills `comparison`. See tconv_compare_host.
inline Status compare_host(const Plan& plan, const Plan& other, const Tensors& tensors,
                           Comparison& comparison) {
  comparison = detail::sized<Comparison>();
  return Status(tconv_compare_host(plan.c_handle(), other.c_handle(), &tensors, &comparison));
}

/// The usual mistakes that would have produced tensors.output, as text.
inline std::string diagnose(const Problem& problem, const Tensors& tensors) {
  Status status;
  const std::string text = detail::text_of(
      [&](char** out) {
        return tconv_diagnose(problem.c_handle(), &tensors, nullptr, TCONV_TEXT, out);
      },
      status);
  return status.ok() ? text : status.message();
}

}  // namespace tconv

#endif  // TCONV_TCONV_H_
