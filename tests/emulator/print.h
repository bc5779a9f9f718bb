// SPDX-License-Identifier: Apache-2.0
// print.h: what tconv_emulated prints of its reports.
#pragma once

#include <string>
#include <vector>

#include "tests/emulator/emulator.h"

namespace tconv::emulator {

/// The counters of all launches, by kernel; text or one JSON object a kernel and line.
std::string counters_text(const std::vector<Report>& reports, bool json);
/// The synchronisation sites of all launches, each once.
std::string sites_text(const std::vector<Report>& reports, bool json);

}  // namespace tconv::emulator
