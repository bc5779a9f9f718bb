// SPDX-License-Identifier: Apache-2.0
// stb.h: what stb's decoders and encoders do for us.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/cli/picture.h"

namespace tconv::cli {

/// The pixels of a PNG or JPEG as they are stored. `path` is for the refusal of anything else.
Image decode_with_stb(const std::string& path, const std::vector<uint8_t>& file);
/// Without alpha, and with 8 bits a channel; empty if there is no memory.
std::vector<uint8_t> jpeg_of_stb(const Image& image);
/// What ZlibStream is made of where there is no zlib; empty if there is no memory.
std::vector<uint8_t> zlib_of_stb(const std::vector<uint8_t>& bytes);

}  // namespace tconv::cli
