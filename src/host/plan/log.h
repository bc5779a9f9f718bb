// SPDX-License-Identifier: Apache-2.0
// log.h: the library's one voice: the caller's function, else stderr if TCONV_LOG=1, else nothing.
#pragma once

#include <string>

#include "src/host/plan/kernel_table.h"

namespace tconv::host {

bool log_is_heard(const Options& options);
/// One line, without a newline.
void log_line(const Options& options, const std::string& line);

}  // namespace tconv::host
