// SPDX-License-Identifier: Apache-2.0
// epilogue.cpp: one pass over memory, in tiles that stay in the first-level cache.
//
// A row of output pixels is a matrix: `inner` is the dimension that is contiguous in the output
// (channels for NHWC, pixels for NCHW), `outer` the other. Tiles of it are gathered into a buffer
// of f32, finished there, and rounded once into the output.
#include "src/host/cpu/onednn/epilogue.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "src/host/cpu/onednn/convert.h"
#include "src/host/cpu/reference.h"

namespace tconv::host {
namespace {

constexpr int64_t kTileFloats = 1024;  // 4 KiB: with residual and output far below 32 KiB

/// Output elements (n, p, first_q .. + pixels, first_k .. + channels).
struct Tile {
  int64_t n, p, first_q, pixels, first_k, channels;
};

/// Extents and strides of a tile in the buffer, which has the output's order.
struct TileOrder {
  int64_t outer, inner;
  bool channels_inner;

  TileOrder(const Tile& tile, Layout layout)
      : outer(layout == Layout::nhwc ? tile.pixels : tile.channels),
        inner(layout == Layout::nhwc ? tile.channels : tile.pixels),
        channels_inner(layout == Layout::nhwc) {}
  int64_t pixel_stride() const { return channels_inner ? inner : 1; }
  int64_t channel_stride() const { return channels_inner ? 1 : inner; }
  /// The stride of `outer` in a tensor.
  int64_t outer_stride(const Strides& strides) const {
    return channels_inner ? strides.w : strides.c;
  }
};

/// Calls row(buffer, tensor offset, count) for the contiguous rows of a tile in a tensor that has
/// the output's layout: one row where the tile is contiguous.
template <typename Row>
void for_each_row(const Tile& tile, TileOrder order, const Strides& strides, float* buffer,
                  Row&& row) {
  const int64_t first = strides.offset(tile.n, tile.p, tile.first_q, tile.first_k);
  const int64_t stride = order.outer_stride(strides);
  if (stride == order.inner) {
    row(buffer, first, order.outer * order.inner);
    return;
  }
  for (int64_t i = 0; i < order.outer; ++i) {
    row(buffer + i * order.inner, first + i * stride, order.inner);
  }
}

/// buffer = sums, zero outside their rectangle.
void gather(const Sums& sums, const Tile& tile, const TileOrder& order, float* buffer) {
  const int64_t row = tile.p - sums.first_p;
  const int64_t begin = std::clamp<int64_t>(sums.first_q - tile.first_q, 0, tile.pixels);
  const int64_t end =
      std::clamp<int64_t>(sums.first_q + sums.columns - tile.first_q, begin, tile.pixels);
  const bool inside = 0 <= row && row < sums.rows && begin < end;
  if (!inside || begin > 0 || end < tile.pixels) {
    std::fill_n(buffer, tile.pixels * tile.channels, 0.0f);
  }
  if (!inside) return;
  const float* from =
      sums.data +
      sums.strides.offset(tile.n, row, tile.first_q + begin - sums.first_q, tile.first_k);
  float* to = buffer + begin * order.pixel_stride();
  if (order.channels_inner && sums.strides.c == 1) {
    for (int64_t j = 0; j < end - begin; ++j) {
      std::copy_n(from + j * sums.strides.w, tile.channels, to + j * order.inner);
    }
    return;
  }
  for (int64_t k = 0; k < tile.channels; ++k) {
    for (int64_t j = 0; j < end - begin; ++j) {
      to[k * order.channel_stride() + j * order.pixel_stride()] =
          from[k * sums.strides.c + j * sums.strides.w];
    }
  }
}

void add_bias(const ProblemDesc& d, const void* bias, const Tile& tile, const TileOrder& order,
              float* buffer) {
  for (int64_t i = 0; i < order.outer; ++i) {
    float* row = buffer + i * order.inner;
    if (order.channels_inner) {
      add_row(d.bias_dtype, element(d.bias_dtype, bias, tile.first_k), order.inner, row);
    } else {
      const auto value = static_cast<float>(load(d.bias_dtype, bias, tile.first_k + i));
      for (int64_t j = 0; j < order.inner; ++j) row[j] += value;
    }
  }
}

void apply_prelu(const float* slopes, const Tile& tile, const TileOrder& order, float* buffer) {
  for (int64_t i = 0; i < order.outer; ++i) {
    float* row = buffer + i * order.inner;
    for (int64_t j = 0; j < order.inner; ++j) {
      const float scaled = slopes[tile.first_k + (order.channels_inner ? j : i)] * row[j];
      row[j] = select(row[j] < 0, scaled, row[j]);
    }
  }
}

/// The activations that treat all channels alike.
void apply_pointwise(const ProblemDesc& d, int64_t count, float* buffer) {
  const auto each = [&](auto&& function) {
    for (int64_t i = 0; i < count; ++i) buffer[i] = function(buffer[i]);
  };
  switch (d.activation) {
    case Activation::identity: return;
    case Activation::relu: return each([](float x) { return x < 0 ? 0 : x; });
    case Activation::leaky_relu:
      return each(
          [a = d.activation_a](float x) { return select(x < 0, static_cast<float>(a * x), x); });
    case Activation::clamp:
      return each([low = static_cast<float>(d.activation_a),
                   high = static_cast<float>(d.activation_b)](float x) {
        return x < low ? low : x > high ? high : x;
      });
    default:  // f64 inside: a fused f32 form would lose the small values of gelu to cancellation
      return each([&](float x) { return static_cast<float>(activate(d, x, 0)); });
  }
}

void finish(const Problem& problem, const Sums& sums, const Tensors& tensors, const Tile& tile) {
  const ProblemDesc& d = problem.desc();
  const TileOrder order(tile, d.layout);
  alignas(64) std::array<float, kTileFloats> storage;
  float* buffer = storage.data();
  gather(sums, tile, order, buffer);
  if (d.has_bias) add_bias(d, tensors.bias, tile, order, buffer);
  if (d.has_residual) {
    for_each_row(
        tile, order, d.residual_strides, buffer, [&](float* row, int64_t offset, int64_t count) {
          add_row(d.output_dtype, element(d.output_dtype, tensors.residual, offset), count, row);
        });
  }
  if (d.activation == Activation::prelu) {
    apply_prelu(static_cast<const float*>(tensors.slopes), tile, order, buffer);
  } else {
    apply_pointwise(d, tile.pixels * tile.channels, buffer);
  }
  for_each_row(
      tile, order, d.output_strides, buffer, [&](const float* row, int64_t offset, int64_t count) {
        narrow_row(d.output_dtype, row, count, element(d.output_dtype, tensors.output, offset));
      });
}

}  // namespace

void apply_epilogue(const Problem& problem, const Sums& sums, const Tensors& tensors,
                    [[maybe_unused]] int threads) {
  const ProblemDesc& d = problem.desc();
  // Whole pixels where the channels fit the buffer, so that rows of it are long.
  const int64_t channels = std::min(d.out_c, d.layout == Layout::nhwc ? kTileFloats : 16);
  const int64_t pixels = std::min(d.w.out, kTileFloats / channels);
  const int64_t q_tiles = ceil_div(d.w.out, pixels), k_tiles = ceil_div(d.out_c, channels);
  const int64_t tiles = d.batch * d.h.out * q_tiles * k_tiles;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t k = i % k_tiles * channels, q = i / k_tiles % q_tiles * pixels;
    const int64_t p = i / k_tiles / q_tiles % d.h.out, n = i / k_tiles / q_tiles / d.h.out;
    finish(problem, sums, tensors,
           {n, p, q, std::min(pixels, d.w.out - q), k, std::min(channels, d.out_c - k)});
  }
}

void widen_tensor(const Extents& extents, Layout layout, DType type, const void* from,
                  const Strides& from_strides, float* to, const Strides& to_strides,
                  [[maybe_unused]] int threads) {
  const bool channels_inner = layout == Layout::nhwc;
  const int64_t outer = channels_inner ? extents.w : extents.c;
  const int64_t inner = channels_inner ? extents.c : extents.w;
  const int64_t to_outer = channels_inner ? to_strides.w : to_strides.c;
  const int64_t to_inner = channels_inner ? to_strides.c : to_strides.w;
  const int64_t from_outer = channels_inner ? from_strides.w : from_strides.c;
  // Blocks that stay in the first-level cache while they are turned; rows that keep their order are
  // only shared out, so that an image of height 1 is work for all threads.
  const bool turns = to_inner != 1;
  const int64_t rows = turns ? 16 : 64, columns = turns ? 64 : inner;
  const int64_t row_blocks = ceil_div(outer, rows), column_blocks = ceil_div(inner, columns);
  const int64_t blocks = row_blocks * column_blocks, tasks = extents.n * extents.h * blocks;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t task = 0; task < tasks; ++task) {
    const int64_t n = task / blocks / extents.h, h = task / blocks % extents.h;
    const int64_t begin = task % row_blocks * rows, end = std::min(outer, begin + rows);
    const int64_t column = task / row_blocks % column_blocks * columns;
    const int64_t first = from_strides.offset(n, h, 0, 0) + column;
    float* turned = to + to_strides.offset(n, h, 0, 0) + column * to_inner;
    for (int64_t i = begin; i < end; ++i) {
      widen_row(type, element(type, from, first + i * from_outer),
                std::min(columns, inner - column), turned + i * to_outer, to_inner);
    }
  }
}

}  // namespace tconv::host
