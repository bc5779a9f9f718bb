// SPDX-License-Identifier: Apache-2.0
// launcher.h: many launches as one, so that neither the host nor the gaps between launches are in a
// sample: a CUDA graph on a GPU (cuda_launcher.cpp), a loop in tests.
#pragma once

#include <functional>
#include <memory>

#include "src/host/device/gpu.h"

namespace tconv::bench {

class LaunchGraph {
 public:
  virtual ~LaunchGraph() = default;
  /// Enqueues all of it.
  virtual void launch() = 0;
};

class Launcher {
 public:
  virtual ~Launcher() = default;
  virtual host::Stream stream() const = 0;
  /// Clears an error that a vendor's library left pending: a run would refuse to begin with it.
  virtual void forget_error() = 0;
  /// What `enqueue` enqueues on stream(). Must not outlive what `enqueue` holds, the plans above
  /// all.
  virtual std::unique_ptr<LaunchGraph> capture(const std::function<void()>& enqueue) = 0;
};

/// Throws host::DeviceError where a call of the CUDA runtime fails.
std::unique_ptr<Launcher> cuda_launcher();

}  // namespace tconv::bench
