// SPDX-License-Identifier: Apache-2.0
// image.cpp: see image.h. The only file that compiles stb.
#include "src/cli/image.h"

#include <algorithm>
#include <cctype>
#include <climits>
#include <filesystem>
#include <memory>

#include "src/cli/failure.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#include <stb_image.h>
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb_image_write.h>
#pragma GCC diagnostic pop

namespace tconv::cli {
namespace {

constexpr int kJpegQuality = 95;

/// The encoders call back with pieces, through C, which no exception may cross.
void append(void* bytes, void* data, int size) {
  auto* target = static_cast<std::vector<uint8_t>*>(bytes);
  const auto* source = static_cast<const uint8_t*>(data);
  target->insert(target->end(), source, source + size);
}

}  // namespace

Image read_image(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) refuse("picture", path, "a file that exists");
  Image image;
  const std::unique_ptr<stbi_uc, decltype(&stbi_image_free)> pixels(
      stbi_load(path.c_str(), &image.width, &image.height, &image.channels, 0), stbi_image_free);
  if (pixels == nullptr) {
    const char* why = stbi_failure_reason();
    refuse("picture", path, std::string("a PNG or JPEG picture: ") + (why ? why : "unreadable"));
  }
  const std::size_t bytes = static_cast<std::size_t>(image.width) *
                            static_cast<std::size_t>(image.height) *
                            static_cast<std::size_t>(image.channels);
  image.pixels.assign(pixels.get(), pixels.get() + bytes);
  return image;
}

ImageFormat image_format(const std::string& path) {
  std::string extension = std::filesystem::path(path).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (extension == ".png") return ImageFormat::png;
  if (extension == ".jpg" || extension == ".jpeg") return ImageFormat::jpeg;
  refuse("the picture to write", path, "a name that ends in .png, .jpg or .jpeg");
}

void check_image_size(int64_t width, int64_t height, int64_t channels) {
  // The PNG encoder counts (width * channels + 1) * height bytes in an int.
  const int64_t row = width * channels + 1;
  if (width > INT_MAX / 8 || height > INT_MAX / 8 || row > INT_MAX / height) {
    refuse("the enlarged picture",
           std::to_string(width) + " x " + std::to_string(height) + " pixels", "less than 2 GiB");
  }
}

void write_image(OutputFile& file, ImageFormat format, const Image& image) {
  std::vector<uint8_t> bytes;
  const int row_bytes = image.width * image.channels;
  const int encoded =
      format == ImageFormat::png
          ? stbi_write_png_to_func(append, &bytes, image.width, image.height, image.channels,
                                   image.pixels.data(), row_bytes)
          : stbi_write_jpg_to_func(append, &bytes, image.width, image.height, image.channels,
                                   image.pixels.data(), kJpegQuality);
  if (encoded == 0) throw Failure(TCONV_DEVICE_ERROR, "the picture cannot be encoded");
  file.write(bytes.data(), bytes.size());
}

}  // namespace tconv::cli
