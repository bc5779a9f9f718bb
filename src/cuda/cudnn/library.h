// SPDX-License-Identifier: Apache-2.0
// library.h: cuDNN's library behind plain types: what its heuristics propose for a graph, and
// plans made of that. Only library.cpp includes headers of cuDNN. Not yet run on a GPU.
//
// A GPU that is not here can be asked for, too: where it was, cuDNN described it
// (cudnn_device_properties), and with that text the heuristics answer without a handle and without
// a device. Such plans are made as far as cuDNN makes them, and never executed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "src/cuda/cudnn/engine_choice.h"
#include "src/cuda/cudnn/graph.h"
#include "src/host/device/gpu.h"

namespace tconv::host {

/// Opens cuDNN once and keeps it: why it cannot be used, empty if it can.
const std::string& cudnn_absence();
/// "9.19.0"; empty where it cannot be used.
std::string cudnn_version();

/// What cuDNN says of a GPU that is here, in its own words (JSON). Empty where cuDNN cannot be used
/// or cannot say it (before 9.8).
std::string cudnn_device_properties(int ordinal);

/// A plan of cuDNN's.
class CudnnPlan {
 public:
  virtual ~CudnnPlan() = default;
  virtual int64_t workspace_bytes() const = 0;
  /// Enqueues; pointers by id, in any order. Throws DeviceError.
  virtual void execute(std::span<const int64_t> ids, std::span<void* const> pointers,
                       void* workspace, Stream stream) const = 0;
};

/// The heuristics, the preferred first.
inline constexpr int kCudnnHeuristics = 3;
inline constexpr const char* kCudnnHeuristicNames[kCudnnHeuristics] = {"A", "B", "FALLBACK"};

/// One graph on one device. Holds the device's planning lock: plan one graph at a time.
class CudnnQuery {
 public:
  /// Throws Unsupported where cuDNN cannot be started; whatever cuDNN says against the graph is a
  /// std::exception.
  CudnnQuery(const DeviceFacts& device, const CudnnGraph& graph);
  ~CudnnQuery();
  CudnnQuery(const CudnnQuery&) = delete;
  CudnnQuery& operator=(const CudnnQuery&) = delete;

  /// Asks one heuristic: what it proposes, the best first, is appended to configs(). A heuristic
  /// that fails proposes nothing.
  void ask(int heuristic);
  const std::vector<EngineConfig>& configs() const;
  /// Makes a plan of configs()[i]; null with cuDNN's words in `refusal`, if it makes none.
  std::unique_ptr<CudnnPlan> build(std::size_t i, std::string& refusal) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tconv::host
