// SPDX-License-Identifier: Apache-2.0
// image.h: pictures in files, PNG and JPEG.
#pragma once

#include <cstdint>
#include <string>

#include "src/cli/output_file.h"
#include "src/cli/picture.h"

namespace tconv::cli {

/// The picture as it is looked at: turned as its EXIF orientation says. Throws Failure
/// (TCONV_INVALID) if the file is missing, damaged, or none of these formats.
Image read_image(const std::string& path);

enum class ImageFormat { png, jpeg };
/// By the extension of `path`: .png, .jpg or .jpeg.
ImageFormat image_format(const std::string& path);
/// Refuses sizes that the encoders cannot hold.
void check_image_size(int64_t width, int64_t height, const Image& like);
/// JPEG has no alpha and 8 bits: the rest is left out.
void write_image(OutputFile& file, ImageFormat format, const Image& image);

}  // namespace tconv::cli
