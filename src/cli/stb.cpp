// SPDX-License-Identifier: Apache-2.0
// stb.cpp: see stb.h. The only file that compiles stb.
#include "src/cli/stb.h"

#include <cstdlib>
#include <cstring>
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

std::vector<uint8_t> high_bytes(const Image& image) {
  std::vector<uint8_t> values(image.count());
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<uint8_t>((image.value(i) * 255 + 32767) / 65535);
  }
  return values;
}

}  // namespace

Image decode_with_stb(const std::string& path, const std::vector<uint8_t>& file) {
  const auto size = static_cast<int>(file.size());
  Image image;
  image.bits = stbi_is_16_bit_from_memory(file.data(), size) != 0 ? 16 : 8;
  const auto load = [&](auto&& function) -> void* {
    return function(file.data(), size, &image.width, &image.height, &image.channels, 0);
  };
  const std::unique_ptr<void, decltype(&stbi_image_free)> pixels(
      image.bits == 16 ? load(stbi_load_16_from_memory) : load(stbi_load_from_memory),
      stbi_image_free);
  if (pixels == nullptr) {
    const char* why = stbi_failure_reason();
    refuse("picture", path, std::string("a PNG or JPEG picture: ") + (why ? why : "unreadable"));
  }
  image.bytes.resize(image.row_bytes() * static_cast<std::size_t>(image.height));
  std::memcpy(image.bytes.data(), pixels.get(), image.bytes.size());
  return image;
}

std::vector<uint8_t> jpeg_of_stb(const Image& image) {
  const std::vector<uint8_t> values = image.bits == 16 ? high_bytes(image) : std::vector<uint8_t>();
  const uint8_t* from = values.empty() ? image.bytes.data() : values.data();
  std::vector<uint8_t> bytes;
  if (stbi_write_jpg_to_func(append, &bytes, image.width, image.height, image.channels, from,
                             kJpegQuality) == 0) {
    return {};
  }
  return bytes;
}

std::vector<uint8_t> zlib_of_stb(const std::vector<uint8_t>& bytes) {
  constexpr int kFastest = 5;  // the least that stb knows
  int size = 0;
  const std::unique_ptr<uint8_t, decltype(&std::free)> made(
      stbi_zlib_compress(const_cast<uint8_t*>(bytes.data()), static_cast<int>(bytes.size()), &size,
                         kFastest),
      std::free);
  return made == nullptr ? std::vector<uint8_t>()
                         : std::vector<uint8_t>(made.get(), made.get() + size);
}

}  // namespace tconv::cli
