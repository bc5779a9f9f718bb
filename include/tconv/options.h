// SPDX-License-Identifier: Apache-2.0
// options.h: what the caller allows of a plan, and of a verification. Part of tconv.h.
#ifndef TCONV_OPTIONS_H_
#define TCONV_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "tconv_c_plan.h"
#include "tconv_c_verify.h"
#include "to_c.h"
#include "types.h"

namespace tconv {

/// How a function says what it knows.
enum class Format : int32_t { text = TCONV_TEXT, json = TCONV_JSON };

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

/// How much of a result is compared.
enum class Scope : int32_t {
  automatic = TCONV_VERIFY_AUTO,  ///< whole where the reference needs under about 2 s
  whole = TCONV_VERIFY_WHOLE,
  sample = TCONV_VERIFY_SAMPLE,
};

/// See tconv_verify_options.
struct VerifyOptions {
  Scope scope = Scope::automatic;
  int32_t threads = 0;  ///< 0: one per core
  uint64_t seed = 0;    ///< of the random part of a sample
  Math math = Math::strict;
  tconv_progress_function progress = nullptr;
  void* progress_user = nullptr;
};

namespace detail {

/// Points into `o`.
inline tconv_options to_c(const Options& o) {
  auto c = sized<tconv_options>();
  c.device = static_cast<int32_t>(o.device);
  c.kernels = o.kernels.empty() ? nullptr : o.kernels.c_str();
  c.tile = o.tile.empty() ? nullptr : o.tile.c_str();
  if (o.workspace_limit) {
    c.workspace_limit =
        *o.workspace_limit == 0 ? static_cast<int64_t>(TCONV_NO_WORKSPACE) : *o.workspace_limit;
  }
  c.math = static_cast<int32_t>(o.math);
  c.allow_nondeterministic = o.allow_nondeterministic;
  c.prepacked_filters = o.prepacked_filters;
  c.verify = o.verify;
  c.threads = o.threads;
  c.log = o.log;
  c.log_user = o.log_user;
  c.device_model = o.device_model.empty() ? nullptr : o.device_model.c_str();
  c.parallel_for = o.parallel_for;
  c.parallel_user = o.parallel_user;
  c.progress = o.progress;
  c.progress_user = o.progress_user;
  return c;
}

inline tconv_verify_options to_c(const VerifyOptions& o) {
  auto c = sized<tconv_verify_options>();
  c.scope = static_cast<int32_t>(o.scope);
  c.threads = o.threads;
  c.seed = o.seed;
  c.progress = o.progress;
  c.progress_user = o.progress_user;
  c.math = static_cast<int32_t>(o.math);
  return c;
}

}  // namespace detail
}  // namespace tconv

#endif  // TCONV_OPTIONS_H_
