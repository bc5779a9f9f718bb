// SPDX-License-Identifier: Apache-2.0
// measure.h: one unit of work: poison, verify, then time our rows and proposals of cuDNN against
// each other on one layer, and append the results.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "bench/gpu/check.h"
#include "bench/gpu/launcher.h"
#include "bench/gpu/result_lines.h"
#include "bench/gpu/timing.h"
#include "bench/gpu/work.h"
#include "src/host/device/device.h"

namespace tconv::bench {

/// What was measured of the machine: the roofline of every row.
struct Ceilings {
  double bytes_per_us = 0;  ///< of a copy of 1 GiB, read and written counted; 0: not known
  double f16_macs_per_us = 0, f32_macs_per_us = 0;  ///< of a large matrix product
  /// 0 where a ceiling is not known.
  double roofline_us(const host::Problem& problem) const;
};

/// What a measurement needs of the world.
struct Machine {
  Launcher& launcher;
  Compare compare;
  host::DeviceFacts device;
  std::span<const host::Kernel* const> table;  ///< `gather`, more rows of ours, `cudnn` if built
  std::vector<Contender> anchors;
  Ceilings ceilings;
  RoundSettings rounds;
  /// Whether this many more seconds may be spent.
  std::function<bool(double seconds)> has_time;
};

struct UnitResult {
  bool complete = true;  ///< false: out of time; what is there is in the file
  int mismatches = 0;    ///< plans that failed verification
};

/// Measures what `results` lack. Appends `begin` and, if complete, `end`. Throws host::DeviceError
/// where the device can no longer be used; the plan that did it has a line by then.
UnitResult measure(const Machine& machine, const Unit& unit, ResultLines& results);

/// The id of a row's or plan's result on a problem, but for cold or warm.
std::string result_id(const host::Problem& problem, const std::string& row,
                      const std::string& plan);

}  // namespace tconv::bench
