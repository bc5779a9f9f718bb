// SPDX-License-Identifier: Apache-2.0
// picture_file.h: what the decoder does not look at: is the file whole, and how was the camera
// held?
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tconv::cli {

using FileBytes = std::span<const uint8_t>;

/// Refuses, with a sentence that does not name the file, a PNG whose chunks are cut off or do not
/// have their check sums, and a JPEG without an end. Anything else is left to the decoder.
void check_picture_is_whole(FileBytes file);

/// The EXIF orientation of a PNG or JPEG, 1 to 8; 1, upright, where there is none.
int exif_orientation(FileBytes file);

/// The check sum of a PNG's chunk, of its type and data; `crc` continues that of what came before.
uint32_t png_crc(FileBytes bytes, uint32_t crc = 0);

/// The pixel of the stored picture, of `width` x `height`, that is shown at (x, y) of the upright
/// one. Orientations from 5 on exchange width and height.
struct Place {
  int x = 0, y = 0;
};
Place stored_place(int orientation, Place shown, int width, int height);

}  // namespace tconv::cli
