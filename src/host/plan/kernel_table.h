// SPDX-License-Identifier: Apache-2.0
// kernel_table.h: what the planner knows of a family of kernels, and the table of all of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "src/host/device/device.h"
#include "src/host/device/gpu.h"
#include "src/host/plan/prediction.h"
#include "src/host/problem/problem.h"

namespace tconv::host {

enum class Math : int32_t { strict, tf32, tf32x3 };

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
  int threads = 0;           ///< of CPU rows; 0: one per core
  std::string device_model;  ///< plan for this GPU, which is not here; empty: for one that is
  std::function<void(const std::string& line)> log;  ///< see log.h
};

/// The caller's memory; host or device pointers as the row wants them.
struct Tensors {
  const void* input = nullptr;
  const void* filters = nullptr;
  const void* bias = nullptr;
  const void* slopes = nullptr;
  const void* residual = nullptr;
  void* output = nullptr;
  void* workspace = nullptr;
};

/// What a row prepared for one problem: tile tables, a vendor's primitive. Immutable, shared by
/// threads; derived by each row.
struct KernelState {
  std::size_t workspace_bytes = 0;
  std::size_t packed_filter_bytes = 0;  ///< 0: reads the filters as they are
  std::size_t device_bytes = 0;         ///< held beside the caller's memory
  std::string tile_name;                ///< of a row that chooses its tile in prepare; else empty
  virtual ~KernelState() = default;
};

/// What a vendor's library proposes for one problem: a tile that options.tile may name.
struct Proposal {
  std::string tile;
  std::string from;      ///< which of the vendor's heuristics
  std::string notes;     ///< what the vendor says of it
  std::string excluded;  ///< why the options exclude it; empty if they admit it
};

/// One family of kernels: a row of the table. The planner sees nothing else of it.
struct Kernel {
  const char* name;
  DeviceKind device;
  std::span<const char* const> tiles;  ///< names, at least one
  std::span<const DType> dtypes;       ///< for `tconv kernels`; `declines` decides
  /// Why this family cannot run `problem`; empty if it can. Cheap and pure.
  std::string (*declines)(const Problem& problem, const Options& options,
                          const DeviceFacts& device);
  /// Why one tile of a row that takes `problem` does not; null: all do. Cheap and pure.
  std::string (*tile_declines)(const Problem& problem, int tile, const Options& options,
                               const DeviceFacts& device) = nullptr;
  /// Predicted microseconds, of a tile that is not declined. Only the order matters.
  double (*estimate_us)(const Problem& problem, int tile, const Options& options,
                        const DeviceFacts& device);
  /// Everything that can be done before the first run. Throws Unsupported where a vendor refuses:
  /// the planner then takes the next row and keeps the reason. A device that is not here is only
  /// planned for: nothing of it is touched. `device` lives as long as the call.
  std::shared_ptr<const KernelState> (*prepare)(const Problem& problem, int tile,
                                                const Options& options, const DeviceFacts& device);
  /// Enqueues. Tensors are checked, the output is not empty. Neither allocates device memory nor
  /// synchronises.
  void (*launch)(const Problem& problem, const KernelState& state, const Tensors& tensors,
                 Stream stream);
  /// Filters in the problem's order -> state.packed_filter_bytes in the row's; null: never packs.
  void (*prepack)(const Problem& problem, const KernelState& state, const void* filters,
                  void* packed, Stream stream);
  /// Why a plan of this row cannot be resized; null if it can. Then `prepare` costs microseconds
  /// once it has been called for the row, the packed filters do not depend on N, H and W, and
  /// workspace_bytes does not fall where N, H or W grow.
  const char* fixed_size = nullptr;
  /// Of a row whose tiles a vendor's library names, for each problem anew: what these names begin
  /// with, and the library's proposals, its best first (first_only: of its first heuristic alone).
  /// Throws Unsupported where there are none. Null otherwise.
  const char* proposed_tiles = nullptr;
  std::vector<Proposal> (*proposals)(const Problem& problem, const Options& options,
                                     const DeviceFacts& device, bool first_only) = nullptr;
  /// What one run of a prepared plan will do on `device`. Null: this row predicts nothing.
  PlanCounters (*counters)(const Problem& problem, const KernelState& state,
                           const DeviceFacts& device) = nullptr;
  /// Adds to the facts of a GPU that is here what a vendor's library says of it. Null: nothing.
  void (*describe_device)(DeviceFacts& device) = nullptr;
};

/// Preferred first where estimates tie. The last row of each device takes everything.
std::span<const Kernel* const> kernel_table();

}  // namespace tconv::host
