// SPDX-License-Identifier: Apache-2.0
// fuzz_picture.cpp: what the program reads of a PNG or JPEG before the decoder does: whole or not,
// and how the camera was held. Never beyond the bytes, and always an orientation that exists.
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

#include "src/cli/failure.h"
#include "src/cli/picture_file.h"

using namespace tconv::cli;

/// A crash that the fuzzer keeps.
static void require(bool condition) {
  if (!condition) std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // The first byte chooses a beginning, so that most runs are behind it.
  const std::string starts[] = {"", "\x89PNG\r\n\x1a\n", "\xff\xd8\xff\xe1",
                                std::string("\xff\xd8\xff\xe1\x40\0Exif\0\0MM\0*", 16)};
  std::string file = starts[data[0] % 4];
  file.append(reinterpret_cast<const char*>(data + 1), size - 1);
  const FileBytes bytes(reinterpret_cast<const uint8_t*>(file.data()), file.size());
  try {
    check_picture_is_whole(bytes);
  } catch (const Failure& failure) {
    require(failure.exit_code() == TCONV_INVALID && failure.what()[0] != '\0');
  }
  const int orientation = exif_orientation(bytes);
  require(orientation >= 1 && orientation <= 8);
  const int width = 5, height = 3;
  const bool turned = orientation >= 5;
  for (int y = 0; y < (turned ? width : height); ++y) {
    for (int x = 0; x < (turned ? height : width); ++x) {
      const Place place = stored_place(orientation, {x, y}, width, height);
      require(place.x >= 0 && place.x < width && place.y >= 0 && place.y < height);
    }
  }
  return 0;
}
