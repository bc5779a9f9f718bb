// SPDX-License-Identifier: Apache-2.0
// picture_file.cpp: see picture_file.h.
#include "src/cli/picture_file.h"

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <string_view>

#include "src/cli/failure.h"

namespace tconv::cli {
namespace {

constexpr std::string_view kPngStart = "\x89PNG\r\n\x1a\n";

bool begins_with(FileBytes bytes, std::string_view start) {
  return bytes.size() >= start.size() &&
         std::equal(start.begin(), start.end(), bytes.begin(),
                    [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
}

/// A number of `bytes` bytes; the caller knows that they are there.
uint32_t number(FileBytes at, int bytes, bool little_endian = false) {
  uint32_t value = 0;
  for (int i = 0; i < bytes; ++i) {
    value = value << 8 | at[static_cast<std::size_t>(little_endian ? bytes - 1 - i : i)];
  }
  return value;
}

// ---- PNG: chunks of length, type, data, check sum.
// -----------------------------------------------

struct Chunk {
  std::string_view type;
  FileBytes data;
  bool intact = false;
};

/// Calls `visit(chunk)` until it returns false. Returns false if the chunks do not end as they
/// must.
bool for_each_chunk(FileBytes file, const std::function<bool(const Chunk&)>& visit) {
  constexpr std::size_t kFrame = 12;
  std::size_t at = kPngStart.size();
  while (file.size() - at >= kFrame) {
    const std::size_t length = number(file.subspan(at), 4);
    if (length > file.size() - at - kFrame) return false;
    const FileBytes named = file.subspan(at + 4, 4 + length);
    Chunk chunk;
    chunk.type = {reinterpret_cast<const char*>(named.data()), 4};
    chunk.data = named.subspan(4);
    chunk.intact = png_crc(named) == number(file.subspan(at + 8 + length), 4);
    if (!visit(chunk) || chunk.type == "IEND") return true;
    at += kFrame + length;
  }
  return false;
}

void check_png(FileBytes file) {
  const bool ended = for_each_chunk(file, [](const Chunk& chunk) {
    if (chunk.intact) return true;
    refuse("damaged: the check sum of its chunk " + std::string(chunk.type) + " is wrong");
  });
  if (!ended) refuse("damaged: it is cut off before its end (IEND)");
}

// ---- JPEG: segments of marker, length, data, up to the start of the scan.
// ------------------------

constexpr uint8_t kStartOfScan = 0xda, kEndOfImage = 0xd9, kApp1 = 0xe1;

/// Calls `visit(marker, data)` until it returns false. Returns what follows the segments: the scan.
FileBytes for_each_segment(FileBytes file,
                           const std::function<bool(uint8_t marker, FileBytes data)>& visit) {
  std::size_t at = 2;
  while (at + 4 <= file.size() && file[at] == 0xff) {
    const uint8_t marker = file[at + 1];
    if (marker == 0xff) {  // fill
      ++at;
      continue;
    }
    const std::size_t length = number(file.subspan(at + 2), 2);
    if (length < 2 || length > file.size() - at - 2) return {};
    if (marker == kStartOfScan) return file.subspan(at);
    if (!visit(marker, file.subspan(at + 4, length - 2))) return {};
    at += 2 + length;
  }
  return {};
}

void check_jpeg(FileBytes file) {
  const FileBytes scan = for_each_segment(file, [](uint8_t, FileBytes) { return true; });
  constexpr std::array<uint8_t, 2> kEnd = {0xff, kEndOfImage};
  const bool ended = std::search(scan.begin(), scan.end(), kEnd.begin(), kEnd.end()) != scan.end();
  if (!ended) refuse("damaged: it is cut off before its end (marker D9)");
}

bool is_png(FileBytes file) { return begins_with(file, kPngStart); }
bool is_jpeg(FileBytes file) { return begins_with(file, "\xff\xd8\xff"); }

/// The orientation in a TIFF structure, which is what EXIF is made of.
int orientation_of(FileBytes tiff) {
  constexpr std::size_t kHeader = 8, kEntry = 12;
  constexpr uint32_t kOrientation = 0x0112, kShort = 3;
  const bool little = begins_with(tiff, std::string_view("II*\0", 4));
  if (!little && !begins_with(tiff, std::string_view("MM\0*", 4))) return 1;
  if (tiff.size() < kHeader) return 1;
  std::size_t at = number(tiff.subspan(4), 4, little);
  if (at > tiff.size() || tiff.size() - at < 2) return 1;
  const uint32_t entries = number(tiff.subspan(at), 2, little);
  at += 2;
  for (uint32_t i = 0; i < entries && tiff.size() - at >= kEntry; ++i, at += kEntry) {
    const FileBytes entry = tiff.subspan(at, kEntry);
    if (number(entry, 2, little) != kOrientation) continue;
    const uint32_t value = number(entry.subspan(8), 2, little);
    const bool legal = number(entry.subspan(2), 2, little) == kShort && value >= 1 && value <= 8;
    return legal ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace

uint32_t png_crc(FileBytes bytes, uint32_t crc) {
  static constexpr auto kTable = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < table.size(); ++i) {
      uint32_t rest = i;
      for (int bit = 0; bit < 8; ++bit) rest = rest >> 1 ^ (rest & 1 ? 0xedb88320u : 0);
      table[i] = rest;
    }
    return table;
  }();
  crc = ~crc;
  for (const uint8_t byte : bytes) crc = kTable[(crc ^ byte) & 0xff] ^ crc >> 8;
  return ~crc;
}

void check_picture_is_whole(FileBytes file) {
  if (is_png(file)) check_png(file);
  if (is_jpeg(file)) check_jpeg(file);
}

int exif_orientation(FileBytes file) {
  int orientation = 1;
  constexpr std::string_view kExif("Exif\0\0", 6);
  if (is_png(file)) {
    for_each_chunk(file, [&](const Chunk& chunk) {
      if (chunk.type == "eXIf") orientation = orientation_of(chunk.data);
      return true;
    });
  } else if (is_jpeg(file)) {
    for_each_segment(file, [&](uint8_t marker, FileBytes data) {
      const bool exif = marker == kApp1 && begins_with(data, kExif);
      if (exif) orientation = orientation_of(data.subspan(kExif.size()));
      return !exif;
    });
  }
  return orientation;
}

Place stored_place(int orientation, Place shown, int width, int height) {
  const auto [x, y] = shown;
  switch (orientation) {
    case 2: return {width - 1 - x, y};
    case 3: return {width - 1 - x, height - 1 - y};
    case 4: return {x, height - 1 - y};
    case 5: return {y, x};
    case 6: return {y, height - 1 - x};
    case 7: return {width - 1 - y, height - 1 - x};
    case 8: return {width - 1 - y, x};
    default: return shown;
  }
}

}  // namespace tconv::cli
