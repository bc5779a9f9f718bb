// SPDX-License-Identifier: Apache-2.0
// image.cpp: see image.h.
#include "src/cli/image.h"

#include <algorithm>
#include <cctype>
#include <climits>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "src/cli/failure.h"
#include "src/cli/picture_file.h"
#include "src/cli/png_writer.h"
#include "src/cli/stb.h"

namespace tconv::cli {
namespace {

constexpr std::size_t kLargestFile = INT_MAX;  // the decoder counts bytes in an int

std::vector<uint8_t> read_file(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) refuse("picture", path, "a file that exists");
  const auto size = std::filesystem::file_size(path, error);
  if (!error && size > kLargestFile) refuse("picture", path, "a file of less than 2 GiB");
  std::ifstream file(path, std::ios::binary);
  std::vector<uint8_t> bytes{std::istreambuf_iterator<char>(file), {}};
  if (!file) refuse("picture", path, "a file that can be read");
  return bytes;
}

/// Turned so that it is upright.
Image upright(Image image, int orientation) {
  image.orientation = orientation;
  if (orientation == 1) return image;
  Image turned = image;
  if (orientation >= 5) std::swap(turned.width, turned.height);
  const std::size_t pixel = image.row_bytes() / static_cast<std::size_t>(image.width);
  uint8_t* to = turned.bytes.data();
  for (int y = 0; y < turned.height; ++y) {
    for (int x = 0; x < turned.width; ++x, to += pixel) {
      const Place from = stored_place(orientation, {x, y}, image.width, image.height);
      std::memcpy(to,
                  &image.bytes[static_cast<std::size_t>(from.y) * image.row_bytes() +
                               static_cast<std::size_t>(from.x) * pixel],
                  pixel);
    }
  }
  return turned;
}

}  // namespace

Image read_image(const std::string& path) {
  const std::vector<uint8_t> file = read_file(path);
  try {
    check_picture_is_whole(file);
  } catch (const Failure& failure) {
    refuse("picture = " + path + ": " + failure.what());
  }
  return upright(decode_with_stb(path, file), exif_orientation(file));
}

ImageFormat image_format(const std::string& path) {
  std::string extension = std::filesystem::path(path).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (extension == ".png") return ImageFormat::png;
  if (extension == ".jpg" || extension == ".jpeg") return ImageFormat::jpeg;
  refuse("the picture to write", path, "a name that ends in .png, .jpg or .jpeg");
}

void check_image_size(int64_t width, int64_t height, const Image& like) {
  // The encoders count (bytes of a row + 1) * height in an int.
  const int64_t row = width * like.channels * like.bits / 8 + 1;
  if (width > INT_MAX / 16 || height > INT_MAX / 16 || row > INT_MAX / height) {
    refuse("the enlarged picture",
           std::to_string(width) + " x " + std::to_string(height) + " pixels", "less than 2 GiB");
  }
}

void write_image(OutputFile& file, ImageFormat format, const Image& image) {
  if (format == ImageFormat::png) return write_png(file, image);
  const std::vector<uint8_t> bytes = jpeg_of_stb(image);
  if (bytes.empty()) throw Failure(TCONV_DEVICE_ERROR, "the picture cannot be encoded");
  file.write(bytes.data(), bytes.size());
}

}  // namespace tconv::cli
