// SPDX-License-Identifier: Apache-2.0
// prediction.h: what a plan predicts that its run will do, before anything runs.
#pragma once

#include <string>

#include "src/host/device/device.h"

namespace tconv::host {

/// Bytes between L2 and the SMs, in whole sectors, by what they are of.
struct L2Bytes {
  double input = 0, filters = 0;
  double output = 0;  ///< written; a residual and partial sums that are read, too

  double sum() const { return input + filters + output; }
};

/// Sums over one run: multiply-adds and blocks as they will be, the rest model numbers.
struct Prediction {
  std::string mode;  ///< how the problem is cut; empty: this family predicts nothing
  std::string box;   ///< output positions of a block, "images x rows x columns"
  double blocks = 0, waves = 0;
  double issued_macs = 0;
  L2Bytes l2;             ///< all 0: not predicted. At most: some of it L1 may have
  double dram_bytes = 0;  ///< under the order of the blocks
};

/// Bytes that all SMs together read from and write to L2: a model number, 5.5 TB/s on an H200.
inline double l2_bytes_per_us(const DeviceFacts& device) {
  constexpr double kPerClock = 5.5e6 / (132 * 1980);
  return kPerClock * device.cores * device.clock_mhz;
}

/// What the launch of a kernel adds to any roofline: a model number.
inline constexpr double kModelLaunchUs = 2.3;

}  // namespace tconv::host
