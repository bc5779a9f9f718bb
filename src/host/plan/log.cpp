// SPDX-License-Identifier: Apache-2.0
#include "src/host/plan/log.h"

#include <cstdio>

#include "src/host/plan/environment.h"
#include "tconv/printable.h"

namespace tconv::host {

bool log_is_heard(const Options& options) { return options.log || environment().log; }

void log_line(const Options& options, const std::string& line) {
  if (options.log) {
    options.log(printable(line));
  } else if (environment().log) {
    std::fprintf(stderr, "%s\n", printable(line).c_str());
  }
}

}  // namespace tconv::host
