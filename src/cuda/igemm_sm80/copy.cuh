// SPDX-License-Identifier: Apache-2.0
// copy.cuh: what a block of row.cu has in shared memory, and how a thread brings a
// piece there. producer.cuh says which pieces.
#pragma once

#include <type_traits>

#include "src/cuda/common/epilogue.cuh"
#include "src/cuda/igemm_sm80/tile.cuh"
#include "src/cuda/ptx/cp_async.cuh"

namespace tconv::cuda::igemm {

/// The block's shared memory, as a pointer and as an address. The tables of pixels and taps come
/// first.
struct Shared {
  unsigned char* memory;
  uint32_t address;
};

/// Of a block's taps, where they lie in the window, or what need not be done: lines that are
/// most_taps apart, see Tiling::kTapLines.
__device__ inline uint32_t* tap_table(const IgemmParams& d, unsigned char* memory) {
  return reinterpret_cast<uint32_t*>(memory + d.window_pixels * sizeof(Pixel));
}

/// Fills in the tables of the window's pixels and of the taps.
template <int kTileIndex>
__device__ inline void make_tables(const IgemmParams& d, const Place& place, const Corner& corner,
                                   unsigned char* memory) {
  auto* pixels = reinterpret_cast<Pixel*>(memory);
  for (int i = static_cast<int>(threadIdx.x); i < d.window_pixels;
       i += Tiling<kTileIndex>::kThreads) {
    pixels[i] = pixel_of<kTileIndex>(d, place, corner, i);
  }
  const Spans spans = spans_of(d, place, corner);
  const int taps = d.groups[place.group].iterations * Tiling<kTileIndex>::kSlots;
  for (int i = static_cast<int>(threadIdx.x); i < taps; i += Tiling<kTileIndex>::kThreads) {
    place_tap<kTileIndex>(d, place, spans, i, tap_table(d, memory) + i);
  }
}

/// `kAccess` bytes of channels, to which their source is aligned, or zeros: as rows of channels are
/// a multiple of that, it exists as a whole or not at all. So much ptxas must see: a size that is
/// one of two constants is a predicate of the copy, any other costs five instructions.
template <int kAccess>
__device__ inline void copy_piece(const Shared& shared, uint32_t target, const char* source,
                                  bool exists) {
  if constexpr (kAccess == 16) {
    ptx::cp_async_cg_16(target, source, exists ? 16 : 0);
  } else if constexpr (kAccess > 2) {
    ptx::cp_async_ca<kAccess>(target, source, exists ? kAccess : 0);
  } else {
    // No copy is that narrow: through a register. The barrier that makes the stage's copies visible
    // makes this visible too.
    *reinterpret_cast<uint16_t*>(shared.memory + (target - shared.address)) =
        exists ? *reinterpret_cast<const uint16_t*>(source) : uint16_t{0};
  }
}

/// Which piece of the rows that a warp copies at once is a lane's in turn `turn`: neighbouring
/// lanes have neighbouring pieces, so that each sector is asked for once.
template <int kRowBytes, int kAccess>
struct Piece {
  static constexpr int kTurns = 16 / kAccess;
  int row, at;  // within the warp's rows; bytes

  __device__ explicit Piece(int turn) {
    const int i = turn * 32 + static_cast<int>(threadIdx.x % 32);
    row = i / (kRowBytes / kAccess);
    at = i % (kRowBytes / kAccess) * kAccess;
  }
};

/// A 16-byte chunk of channels that lie `step` bytes apart, of which `bytes` exist.
template <typename T>
__device__ inline Bytes16 gathered_chunk(const char* source, int bytes, int64_t step) {
  using Bits = std::conditional_t<sizeof(T) == 2, uint16_t, uint32_t>;
  constexpr int kSize = sizeof(T), kCount = sizeof(Bytes16) / kSize;
  constexpr int kPerWord = sizeof(uint32_t) / kSize;
  uint32_t values[kCount], words[4] = {};
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    values[i] = i * kSize < bytes ? *reinterpret_cast<const Bits*>(source + i * step) : 0;
  }
#pragma unroll
  for (int i = 0; i < kCount; ++i) words[i / kPerWord] |= values[i] << (i % kPerWord * 16);
  return {words[0], words[1], words[2], words[3]};
}

/// The same chunk of channels of 16 bits, of two neighbouring pixels that are read together: of the
/// even pixel, then of the odd one, or the other way round.
struct ChunkPair {
  Bytes16 first, second;
};
__device__ inline ChunkPair gathered_chunks(const char* source, int bytes, int64_t step,
                                            bool odd_first) {
  uint32_t pixels[8], first[4], second[4];
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    pixels[i] = i * 2 < bytes ? *reinterpret_cast<const uint32_t*>(source + i * step) : 0;
  }
  // The lower or the upper halves of two channels.
  constexpr uint32_t kEven = 0x5410, kOdd = 0x7632;
  const uint32_t halves = odd_first ? kOdd : kEven, others = halves ^ (kEven ^ kOdd);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    first[i] = __byte_perm(pixels[2 * i], pixels[2 * i + 1], halves);
    second[i] = __byte_perm(pixels[2 * i], pixels[2 * i + 1], others);
  }
  return {{first[0], first[1], first[2], first[3]}, {second[0], second[1], second[2], second[3]}};
}

}  // namespace tconv::cuda::igemm
