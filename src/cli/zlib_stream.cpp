// SPDX-License-Identifier: Apache-2.0
// zlib_stream.cpp: see zlib_stream.h.
#include "src/cli/zlib_stream.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "src/cli/failure.h"

#ifdef TCONV_WITH_ZLIB
#include <zlib.h>
#else
#include "src/cli/stb.h"
#endif

namespace tconv::cli {
namespace {

[[noreturn]] void fail() {
  throw Failure(TCONV_DEVICE_ERROR, "the picture cannot be compressed: out of memory");
}

}  // namespace

#ifdef TCONV_WITH_ZLIB

struct ZlibStream::State {
  explicit State(Sink to) : sink(std::move(to)), out(std::size_t{1} << 18) {
    constexpr int kFastest = 1, kLargestWindow = 15, kMostMemory = 9;
    if (deflateInit2(&stream, kFastest, Z_DEFLATED, kLargestWindow, kMostMemory, Z_RLE) != Z_OK) {
      fail();
    }
    rewind();
  }
  ~State() { deflateEnd(&stream); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void rewind() { stream.next_out = out.data(), stream.avail_out = static_cast<uInt>(out.size()); }
  void flush_piece() {
    const std::size_t made = out.size() - stream.avail_out;
    if (made > 0) sink({out.data(), made});
    rewind();
  }
  /// Compresses what is there; passes on what is full.
  int step(int flush) {
    const int status = deflate(&stream, flush);
    if (status == Z_STREAM_ERROR) fail();
    if (stream.avail_out == 0) flush_piece();
    return status;
  }

  Sink sink;
  std::vector<uint8_t> out;
  z_stream stream{};
};

void ZlibStream::write(std::span<const uint8_t> bytes) {
  constexpr std::size_t kMost = std::size_t{1} << 30;  // zlib counts in an unsigned int
  while (!bytes.empty()) {
    const std::size_t count = std::min(bytes.size(), kMost);
    state_->stream.next_in = const_cast<Bytef*>(bytes.data());  // zlib does not write there
    state_->stream.avail_in = static_cast<uInt>(count);
    while (state_->stream.avail_in > 0) state_->step(Z_NO_FLUSH);
    bytes = bytes.subspan(count);
  }
}

void ZlibStream::finish() {
  while (state_->step(Z_FINISH) != Z_STREAM_END) {
  }
  state_->flush_piece();
}

#else

struct ZlibStream::State {
  explicit State(Sink to) : sink(std::move(to)) {}
  Sink sink;
  std::vector<uint8_t> all;
};

void ZlibStream::write(std::span<const uint8_t> bytes) {
  state_->all.insert(state_->all.end(), bytes.begin(), bytes.end());
}

void ZlibStream::finish() {
  const std::vector<uint8_t> compressed = zlib_of_stb(state_->all);
  if (compressed.empty()) fail();
  state_->sink(compressed);
}

#endif

ZlibStream::ZlibStream(Sink sink) : state_(std::make_unique<State>(std::move(sink))) {}
ZlibStream::~ZlibStream() = default;

}  // namespace tconv::cli
