// SPDX-License-Identifier: Apache-2.0
// zlib_stream.h: bytes in, a zlib stream out in pieces: by zlib, or by stb where the program was
// built without it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

namespace tconv::cli {

class ZlibStream {
 public:
  /// Of every piece but the last at least 64 KiB.
  using Sink = std::function<void(std::span<const uint8_t> piece)>;
  explicit ZlibStream(Sink sink);
  ~ZlibStream();
  ZlibStream(const ZlibStream&) = delete;
  ZlibStream& operator=(const ZlibStream&) = delete;

  void write(std::span<const uint8_t> bytes);
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tconv::cli
