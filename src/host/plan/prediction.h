// SPDX-License-Identifier: Apache-2.0
// prediction.h: what a plan predicts that its run will do, before anything runs.
#pragma once

#include <string>

#include "src/host/device/device.h"

namespace tconv::host {

/// Accesses to global memory: instructions of warps, and the 32-byte sectors that each touches.
struct PredictedRequests {
  double requests = 0, sectors = 0;

  double bytes() const { return 32 * sectors; }
};

/// Sums over one run. Each row says which of them are exact; 0 where it predicts nothing.
struct PlanCounters {
  std::string mode;  ///< how the problem is cut; empty: this row predicts nothing
  std::string box;   ///< output positions of a block, "images x rows x columns"
  double blocks = 0, waves = 0;
  double issued_macs = 0;
  PredictedRequests copies;  ///< global to shared memory, without registers
  PredictedRequests loads, stores;
  double filter_bytes = 0;       ///< of the sectors of copies and loads, those of the filters
  double shared_wavefronts = 0;  ///< cycles of shared memory for the reads of the main loop
  double dram_bytes = 0;         ///< under the order of the blocks

  /// At most: sectors that the SM has just read may come from its L1 instead.
  double l2_read_bytes() const { return copies.bytes() + loads.bytes(); }
  double l2_write_bytes() const { return stores.bytes(); }
};

/// Bytes that all SMs together read from and write to L2: a model number, 5.5 TB/s on an H200.
inline double l2_bytes_per_us(const DeviceFacts& device) {
  constexpr double kPerClock = 5.5e6 / (132 * 1980);
  return kPerClock * device.cores * device.clock_mhz;
}

/// What the launch of a kernel adds to any roofline: a model number.
inline constexpr double kModelLaunchUs = 2.3;

}  // namespace tconv::host
