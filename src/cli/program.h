// SPDX-License-Identifier: Apache-2.0
// program.h: the program as a function, for the programs that are it.
#pragma once

namespace tconv::cli {

/// Everything that `tconv` does with its arguments; the exit code.
int run_program(int argc, char** argv);

}  // namespace tconv::cli
