// SPDX-License-Identifier: Apache-2.0
// fuzz_npy.cpp: any bytes as a .npy file: refused in words, or a header that the data agrees with.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/cli/convert.h"
#include "src/cli/failure.h"
#include "src/cli/npy.h"

namespace {

using namespace tconv::cli;

/// A crash that the fuzzer keeps.
void require(bool condition) {
  if (!condition) std::abort();
}

std::optional<NpyHeader> parse(std::span<const std::byte> start, uint64_t file_bytes) {
  try {
    return parse_npy(start, file_bytes);
  } catch (const Failure& failure) {
    require(failure.exit_code() == TCONV_INVALID && failure.what()[0] != '\0');
    return std::nullopt;
  }
}

void check(std::span<const std::byte> file, const NpyHeader& header) {
  const auto count = static_cast<std::size_t>(header.count);
  require(header.count >= 0 && header.data_offset <= file.size());
  require(count * header.file_element_bytes() == file.size() - header.data_offset);
  if (!header.integer.empty() || header.dtype == TCONV_BF16) return;  // never written
  // All the data can be read where the header says it is.
  std::vector<double> values(count);
  scatter(header.dtype, file.data() + header.data_offset, 0, header.count, TCONV_F64, values.data(),
          {{header.count}, {1}});
  // What the writer makes of this header is read as the same header.
  const std::string written = npy_header(header.dtype, header.shape);
  const uint64_t data_bytes = file.size() - header.data_offset;
  const auto again = parse(std::as_bytes(std::span(written)), written.size() + data_bytes);
  if (header.shape.size() > 1000) return;  // the writer's version 1.0 is for tensors
  require(again && again->shape == header.shape && again->dtype == header.dtype);
}

/// A file whose frame is right, so that every run reaches the dictionary: the first two bytes
/// choose version and data size, the rest is the dictionary.
std::string framed(std::span<const std::byte> bytes) {
  const auto version = static_cast<char>(std::to_integer<int>(bytes[0]) % 3 + 1);
  const auto data_bytes = std::to_integer<std::size_t>(bytes[1]);
  const auto text = bytes.subspan(2);
  std::string file = "\x93NUMPY";
  file += {version, '\0', static_cast<char>(text.size() & 255),
           static_cast<char>(text.size() >> 8 & 255)};
  if (version > 1) file += {static_cast<char>(text.size() >> 16), '\0'};
  file.append(reinterpret_cast<const char*>(text.data()), text.size());
  return file + std::string(data_bytes, '\1');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::span file(reinterpret_cast<const std::byte*>(data), size);
  if (const auto header = parse(file, size)) check(file, *header);
  parse(file.first(size / 2), size);  // the reader may hold less than the header announces
  if (size >= 2) {
    const std::string frame = framed(file);
    const auto bytes = std::as_bytes(std::span(frame));
    if (const auto header = parse(bytes, bytes.size())) check(bytes, *header);
  }
  return 0;
}
