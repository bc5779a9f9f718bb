// SPDX-License-Identifier: Apache-2.0
// png_writer.h: PNG with 8 or 16 bits a channel, written for speed.
#pragma once

#include "src/cli/output_file.h"
#include "src/cli/picture.h"

namespace tconv::cli {

void write_png(OutputFile& file, const Image& image);

}  // namespace tconv::cli
