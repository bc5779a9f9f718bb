// SPDX-License-Identifier: Apache-2.0
// commands.h: one function a command; each returns the exit code or throws Failure.
#pragma once

#include "src/cli/arguments.h"

namespace tconv::cli {

int run_command(const RunArgs& args);
int verify_command(const VerifyArgs& args);
int explain_command(const ExplainArgs& args);
int shape_command(const ShapeArgs& args);
int upscale_command(const UpscaleArgs& args);
int bench_command(const BenchArgs& args);
int kernels_command(const ListArgs& args);
int devices_command(const ListArgs& args);

}  // namespace tconv::cli
