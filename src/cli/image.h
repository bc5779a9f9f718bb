// SPDX-License-Identifier: Apache-2.0
// image.h: pictures with 8 bits a channel, PNG and JPEG.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/cli/output_file.h"

namespace tconv::cli {

struct Image {
  int width = 0, height = 0, channels = 0;  ///< 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA
  std::vector<uint8_t> pixels;              ///< [height, width, channels]
};

/// Throws Failure (TCONV_INVALID) if the file is missing, broken, or none of these formats.
Image read_image(const std::string& path);

enum class ImageFormat { png, jpeg };
/// By the extension of `path`: .png, .jpg or .jpeg.
ImageFormat image_format(const std::string& path);
/// Refuses sizes that the encoders cannot hold.
void check_image_size(int64_t width, int64_t height, int64_t channels);
/// JPEG has no alpha: it is left out.
void write_image(OutputFile& file, ImageFormat format, const Image& image);

}  // namespace tconv::cli
