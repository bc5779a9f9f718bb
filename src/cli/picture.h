// SPDX-License-Identifier: Apache-2.0
// picture.h: pixels with 8 or 16 bits a channel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tconv::cli {

struct Image {
  int width = 0, height = 0, channels = 0;  ///< 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA
  int bits = 8;                             ///< of a channel: 8 or 16
  int orientation = 1;                      ///< EXIF's, of the file; the pixels are upright already
  std::vector<uint8_t> bytes;  ///< [height, width, channels]; 16 bits in the machine's order

  int largest() const { return bits == 16 ? 65535 : 255; }
  bool has_alpha() const { return channels % 2 == 0; }
  std::size_t count() const {
    return static_cast<std::size_t>(width) * static_cast<std::size_t>(height) *
           static_cast<std::size_t>(channels);
  }
  std::size_t row_bytes() const {
    return static_cast<std::size_t>(width) * static_cast<std::size_t>(channels) *
           static_cast<std::size_t>(bits / 8);
  }
  int value(std::size_t i) const {
    return bits == 16 ? reinterpret_cast<const uint16_t*>(bytes.data())[i] : bytes[i];
  }
};

}  // namespace tconv::cli
