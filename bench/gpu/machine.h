// SPDX-License-Identifier: Apache-2.0
// machine.h: what a figure holds for: the machine, its software, the commit.
#pragma once

#include <string>

#include "bench/gpu/result_lines.h"
#include "src/host/device/device.h"

namespace tconv::bench {

/// The line of kind `head`: GPU (all its facts, cuDNN's properties among them), driver, CUDA,
/// cuDNN, clocks as found, commit, date. What a machine does not tell is "unknown".
Json head_line(const host::DeviceFacts& device, const std::string& commit);

/// The commit of the working tree in the current folder, "-dirty" if it was changed, or "unknown".
std::string commit_of_folder();

}  // namespace tconv::bench
