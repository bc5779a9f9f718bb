// SPDX-License-Identifier: Apache-2.0
// environment.h: the environment variables of the library, read once, when the first plan is made.
#pragma once

namespace tconv::host {

struct Environment {
  bool verify = false;  ///< TCONV_VERIFY=1: every run compares its result with the reference
  bool log = false;     ///< TCONV_LOG=1: one line per plan on stderr
};

/// Always the defaults in a build with TCONV_READ_ENVIRONMENT=OFF.
const Environment& environment();

}  // namespace tconv::host
