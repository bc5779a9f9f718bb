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
#include <type_traits>

#include "options.h"
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

/// Present for ProblemDesc, TensorFlowArgs, PyTorchArgs and OnnxArgs: no key is taken for one.
template <typename Request>
using IfRequest = std::enable_if_t<std::is_base_of_v<Details, Request>, int>;

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
  template <typename Request, detail::IfRequest<Request> = 0>
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
  template <typename Request, detail::IfRequest<Request> = 0>
  explicit Problem(const Request& request) {
    detail::check(create(request, *this));
  }
  explicit Problem(const std::string& key) { detail::check(create(key, *this)); }
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
  /// The problem in the words of TensorFlow, PyTorch and ONNX, and its window classes; "" for an
  /// empty handle.
  std::string describe(Format format = Format::text) const {
    Status status;
    return detail::text_of(
        [&](char** text) {
          return tconv_problem_describe(handle_.get(), static_cast<int32_t>(format), text);
        },
        status);
  }
  const tconv_problem* c_handle() const { return handle_.get(); }

 private:
  friend class Plan;
  std::shared_ptr<const tconv_problem> handle_;
};

using OutputSizes = tconv_output_sizes;

/// The legal output sizes of TensorFlowArgs, PyTorchArgs or OnnxArgs, inclusive, {H, W}.
template <typename Args, detail::IfRequest<Args> = 0>
Status output_sizes(const Args& args, OutputSizes& sizes) {
  sizes = detail::sized<OutputSizes>();
  return Status(detail::output_sizes(args, sizes));
}
#ifndef TCONV_NO_EXCEPTIONS
template <typename Args, detail::IfRequest<Args> = 0>
OutputSizes output_sizes(const Args& args) {
  OutputSizes sizes;
  detail::check(output_sizes(args, sizes));
  return sizes;
}
#endif

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
    const tconv_options c = detail::to_c(options);
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

  /// The plan that save() wrote. `callbacks`: log and parallel_for alone. Code::unsupported: it is
  /// stale, and the message has each field that differs.
  static Status load(const std::string& text, Plan& plan, const Options& callbacks = {}) {
    const tconv_options c = detail::to_c(callbacks);
    tconv_plan* handle = nullptr;
    Status status(tconv_plan_load(text.c_str(), &c, &handle));
    if (status.ok()) plan.handle_.reset(handle, tconv_plan_destroy);
    return status;
  }
#ifndef TCONV_NO_EXCEPTIONS
  static Plan load(const std::string& text, const Options& callbacks = {}) {
    Plan plan;
    detail::check(load(text, plan, callbacks));
    return plan;
  }
#endif
  /// The decision as text, for load(); "" for an empty handle.
  std::string save() const {
    Status status;
    return detail::text_of([&](char** text) { return tconv_plan_save(handle_.get(), text); },
                           status);
  }

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

  /// Of a resized plan: its own. Empty for an empty handle.
  Problem problem() const {
    Problem problem;
    tconv_problem* handle = nullptr;
    if (tconv_plan_problem(handle_.get(), &handle) == TCONV_OK) {
      problem.handle_.reset(handle, tconv_problem_destroy);
    }
    return problem;
  }
  std::string kernel() const { return tconv_plan_kernel(handle_.get()); }
  std::string tile() const { return tconv_plan_tile(handle_.get()); }
  Device device() const { return static_cast<Device>(tconv_plan_device(handle_.get())); }
  /// Model time; its order matters, not its value. 0: the family knows none.
  double estimate_us() const { return tconv_plan_estimate_us(handle_.get()); }
  /// Bytes, 256-byte aligned, of the caller's, for each run in flight.
  std::size_t workspace_bytes() const { return tconv_plan_workspace_bytes(handle_.get()); }
  /// Bytes that prepack writes, 64-byte aligned; 0: the family reads the filters as they are.
  std::size_t packed_filter_bytes() const { return tconv_plan_packed_filter_bytes(handle_.get()); }
  /// Plans with the same key take each other's packed filters. See tconv_plan_packed_key.
  std::string packed_key() const { return tconv_plan_packed_key(handle_.get()); }
  std::size_t device_bytes() const { return tconv_plan_device_bytes(handle_.get()); }
  /// The whole decision; "" for an empty handle.
  std::string explain(Format format = Format::text) const {
    return said_by(tconv_plan_explain, format);
  }
  /// What a run will do, as far as the family predicts it; "" for an empty handle.
  std::string counters(Format format = Format::text) const {
    return said_by(tconv_plan_counters, format);
  }
  /// The taps that make output (n, p, q, k); with `input` and `filters` (host memory, in the
  /// problem's order) the products, too. See tconv_plan_explain_at.
  Status explain_at(int64_t n, int64_t p, int64_t q, int64_t k, std::string& text,
                    Format format = Format::text, const void* input = nullptr,
                    const void* filters = nullptr) const {
    Status status;
    text = detail::text_of(
        [&](char** out) {
          return tconv_plan_explain_at(handle_.get(), input, filters, n, p, q, k,
                                       static_cast<int32_t>(format), out);
        },
        status);
    return status;
  }
#ifndef TCONV_NO_EXCEPTIONS
  std::string explain_at(int64_t n, int64_t p, int64_t q, int64_t k, Format format = Format::text,
                         const void* input = nullptr, const void* filters = nullptr) const {
    std::string text;
    detail::check(explain_at(n, p, q, k, text, format, input, filters));
    return text;
  }
#endif

  /// Enqueues and returns; synchronous on the CPU. Neither allocates nor synchronises, except with
  /// options.verify or TCONV_VERIFY=1.
  Result run(const Tensors& tensors, void* stream = nullptr) const {
    return detail::finish(tconv_run(handle_.get(), &tensors, stream));
  }
  /// Runs once on tensors in host memory, whatever the device, and waits. See tconv_run_host.
  Result run_host(const Tensors& tensors) const {
    return detail::finish(tconv_run_host(handle_.get(), &tensors));
  }
  /// Times run() on the caller's memory: `samples` times `runs` runs, the microseconds of one run
  /// of each sample. Synchronous. See tconv_time.
  Result time(const Tensors& tensors, int32_t samples, int32_t runs, double* us_per_run,
              void* stream = nullptr) const {
    return detail::finish(tconv_time(handle_.get(), &tensors, stream, samples, runs, us_per_run));
  }
  /// Likewise run_host(). See tconv_time_host.
  Result time_host(const Tensors& tensors, int32_t samples, int32_t runs,
                   double* us_per_run) const {
    return detail::finish(tconv_time_host(handle_.get(), &tensors, samples, runs, us_per_run));
  }
  /// Filters in the problem's order -> the family's own, into `packed` (packed_filter_bytes()).
  Result prepack(const void* filters, void* packed, std::size_t packed_bytes,
                 void* stream = nullptr) const {
    return detail::finish(tconv_prepack(handle_.get(), filters, packed, packed_bytes, stream));
  }
  const tconv_plan* c_handle() const { return handle_.get(); }

 private:
  template <typename Call>
  std::string said_by(Call* call, Format format) const {
    Status status;
    return detail::text_of(
        [&](char** text) { return call(handle_.get(), static_cast<int32_t>(format), text); },
        status);
  }

  std::shared_ptr<const tconv_plan> handle_;
};

// ---- Trust ------------------------------------------------------------------------------------

using VerifyReport = tconv_verify_report;

/// Compares tensors.output (host memory) with the reference; Code::mismatch also fills `report`.
inline Status verify(const Problem& problem, const Tensors& tensors, VerifyReport& report,
                     const VerifyOptions& options = {}) {
  report = detail::sized<VerifyReport>();
  const tconv_verify_options c = detail::to_c(options);
  return Status(tconv_verify(problem.c_handle(), &tensors, &c, &report));
}

using Comparison = tconv_comparison;

/// Compares all elements that two plans write for tensors in host memory, on their device;
/// Code::mismatch also fills `comparison`. See tconv_compare_host.
inline Status compare_host(const Plan& plan, const Plan& other, const Tensors& tensors,
                           Comparison& comparison) {
  comparison = detail::sized<Comparison>();
  return Status(tconv_compare_host(plan.c_handle(), other.c_handle(), &tensors, &comparison));
}

/// The usual mistakes that would have produced tensors.output; what fails, as its message.
inline std::string diagnose(const Problem& problem, const Tensors& tensors,
                            Format format = Format::text, const VerifyOptions& options = {}) {
  const tconv_verify_options c = detail::to_c(options);
  Status status;
  const std::string text = detail::text_of(
      [&](char** out) {
        return tconv_diagnose(problem.c_handle(), &tensors, &c, static_cast<int32_t>(format), out);
      },
      status);
  return status.ok() ? text : status.message();
}

// ---- What is there ----------------------------------------------------------------------------

/// Of the library, "0.1.0"; TCONV_VERSION_MAJOR ... are those of the headers.
inline std::string version() { return tconv_version(); }
/// The families that are built in, and what they take. See tconv_kernels.
inline std::string kernels(Format format = Format::text) {
  Status status;
  return detail::text_of([&](char** t) { return tconv_kernels(static_cast<int32_t>(format), t); },
                         status);
}
/// The devices that are there, and why there is no GPU where there is none. See tconv_devices.
inline std::string devices(Format format = Format::text) {
  Status status;
  return detail::text_of([&](char** t) { return tconv_devices(static_cast<int32_t>(format), t); },
                         status);
}

}  // namespace tconv

#endif  // TCONV_TCONV_H_
