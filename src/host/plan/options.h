// SPDX-License-Identifier: Apache-2.0
// options.h: what the caller allows of a plan.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "src/host/device/device.h"
#include "tconv/types.h"

namespace tconv::host {

using tconv::Math;

/// The caller's own threads and who is told how far they are. See tconv_options.
struct CallersThreads {
  void (*parallel_for)(void* user, int32_t count, void (*body)(void* context, int32_t index),
                       void* context) = nullptr;  ///< null: the library's own
  void* user = nullptr;
  void (*progress)(double done, void* user) = nullptr;  ///< null: nobody
  void* progress_user = nullptr;
};

/// What the caller allows. See tconv_options.
struct Options {
  DeviceKind device = DeviceKind::automatic;
  std::vector<std::string> kernels;  ///< empty: all
  std::string tile;                  ///< empty: all
  int64_t workspace_limit = -1;      ///< bytes; -1: none given
  Math math = Math::strict;
  bool deterministic = true;
  bool prepacked_filters = false;
  bool verify = false;
  /// Also engines of a vendor's whose error no bound covers (FFT, Winograd, narrow sums): for
  /// benchmarks, which must not hide a rival's fastest.
  bool unbounded_error = false;
  int threads = 0;  ///< of the CPU's families; 0: one per core
  CallersThreads callers_threads;
  std::string device_model;  ///< plan for this GPU, which is not here; empty: for one that is
  std::function<void(const std::string& line)> log;  ///< see log.h
};

}  // namespace tconv::host
