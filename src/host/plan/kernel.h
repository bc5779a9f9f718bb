// SPDX-License-Identifier: Apache-2.0
// kernel.h: what the planner knows of a family of kernels, and nothing else.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "src/host/device/device.h"
#include "src/host/device/gpu.h"
#include "src/host/plan/options.h"
#include "src/host/plan/prediction.h"
#include "src/host/plan/tensors.h"
#include "src/host/problem/problem.h"

namespace tconv::host {

/// What a family prepared for one problem: tile tables, a vendor's primitive. Immutable, shared by
/// threads; derived by each family.
struct KernelState {
  std::size_t workspace_bytes = 0;
  std::size_t packed_filter_bytes = 0;  ///< 0: reads the filters as they are
  std::size_t device_bytes = 0;         ///< held beside the caller's memory
  std::string tile_name;  ///< of a family that chooses its tile in prepare; else empty
  std::string vendor;     ///< library and version that the state was made with; else empty
  virtual ~KernelState() = default;
};

/// What a vendor's library proposes for one problem: a tile that options.tile may name.
struct Proposal {
  std::string tile;
  std::string from;      ///< which of the vendor's heuristics
  std::string notes;     ///< what the vendor says of it
  std::string excluded;  ///< why the options exclude it; empty if they admit it
};

/// A tile for one problem.
struct Considered {
  std::string reason;      ///< why it cannot run the problem; empty if it can
  double estimate_us = 0;  ///< predicted; only the order matters; what is no finite time ranks last
};

/// What a family makes of pixels beyond the border of the input, which no tap meets by definition.
enum class Border {
  skipped,  ///< nothing, as the definition says
  zeros,    ///< zeros that are multiplied: a weight that is infinite or NaN gives NaN there
  unknown,  ///< a vendor's secret
};

constexpr const char* name_of(Border border) {
  constexpr const char* names[] = {"skipped", "zeros", "unknown"};
  return names[static_cast<int>(border)];
}

/// One family of kernels: an entry of the table. The planner sees nothing else of it.
struct Kernel {
  const char* name;
  DeviceKind device;
  std::span<const char* const> tiles;  ///< names, at least one
  std::span<const DType> dtypes;       ///< for `tconv kernels`; `declines` decides
  /// Why this family cannot run `problem`, whatever the tile; else empty. Cheap and pure.
  std::string (*declines)(const Problem& problem, const Options& options,
                          const DeviceFacts& device);
  /// What one tile makes of a problem that the family does not decline. Cheap and pure.
  Considered (*consider)(const Problem& problem, int tile, const Options& options,
                         const DeviceFacts& device);
  /// Everything that can be done before the first run. Throws Unsupported where a vendor refuses,
  /// and DeviceError: the planner then takes the next family and keeps the reason. A device that is
  /// not here is only planned for: nothing of it is touched. `device` lives as long as the call.
  std::shared_ptr<const KernelState> (*prepare)(const Problem& problem, int tile,
                                                const Options& options, const DeviceFacts& device);
  /// Enqueues. Tensors are checked, the output is not empty. Neither allocates device memory nor
  /// synchronises.
  void (*launch)(const Problem& problem, const KernelState& state, const Tensors& tensors,
                 Stream stream);
  /// Filters in the problem's order -> state.packed_filter_bytes in the family's; null: never
  /// packs.
  void (*prepack)(const Problem& problem, const KernelState& state, const void* filters,
                  void* packed, Stream stream);
  /// Where packed filters are the problem's elements at other strides, densely: these strides.
  /// Null: elsewhere, in the problem's type or that of the sums, each element once, zeros between
  /// (of families for the CPU alone: packing.h then packs numbers to see where they go).
  FilterStrides (*packed_strides)(const Problem& problem) = nullptr;
  /// Where packed_strides is null: what alone decides where packed elements lie, beside the
  /// filters' type and extents. Null: packing.h finds out by packing.
  std::string (*packed_order)(const Problem& problem, const KernelState& state) = nullptr;
  Border border = Border::skipped;
  /// Why a plan of this family cannot be resized; null if it can. Then `prepare` takes well under a
  /// millisecond once it has been called for the family, the packed filters do not depend on N, H
  /// and W, and workspace_bytes does not fall where N, H or W grow, or workspace_upto is there.
  const char* fixed_size = nullptr;
  /// What no plan of this tile needs more than whose N, H and W are those of the problem or less.
  /// Null: what the problem's own plan needs.
  std::size_t (*workspace_upto)(const Problem& problem, int tile, const Options& options,
                                const DeviceFacts& device) = nullptr;
  /// Of a family whose tiles a vendor's library names, for each problem anew: what these names
  /// begin with, and the library's proposals, its best first (first_only: of its first heuristic
  /// alone). Throws Unsupported where there are none. Null otherwise.
  const char* proposed_tiles = nullptr;
  std::vector<Proposal> (*proposals)(const Problem& problem, const Options& options,
                                     const DeviceFacts& device, bool first_only) = nullptr;
  /// What one run of a prepared plan will do on `device`. Null: this family predicts nothing.
  Prediction (*predict)(const Problem& problem, const KernelState& state,
                        const DeviceFacts& device) = nullptr;
  /// Adds to the facts of a GPU that is here what a vendor's library says of it. Null: nothing.
  void (*describe_device)(DeviceFacts& device) = nullptr;
};

}  // namespace tconv::host
