// SPDX-License-Identifier: Apache-2.0
// convert.cpp: see convert.h.
#include "src/cli/convert.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

namespace tconv::cli {
namespace {

/// A 16-bit float: as IEEE's, with fewer bits. bf16 has 7 fraction bits and f32's exponents.
template <int kFraction, int kMinExponent>
struct Small {
  uint16_t bits;

  static constexpr uint16_t kInfinity = (0x7fff >> kFraction) << kFraction;

  explicit operator double() const {
    const double sign = bits & 0x8000 ? -1 : 1;
    const int exponent = (bits & 0x7fff) >> kFraction;
    const uint64_t fraction = bits & ((1u << kFraction) - 1);
    if ((bits & 0x7fff) >= kInfinity) {
      const uint64_t payload = fraction << (52 - kFraction);
      return sign * std::bit_cast<double>(uint64_t{0x7ff} << 52 | payload);
    }
    constexpr double kUnit =  // of the last place of the subnormals
        std::bit_cast<double>(static_cast<uint64_t>(kMinExponent - kFraction + 1023) << 52);
    if (exponent == 0) return sign * static_cast<double>(fraction) * kUnit;
    const int biased = exponent - 1 + kMinExponent + 1023;
    return sign * std::bit_cast<double>(static_cast<uint64_t>(biased) << 52 |
                                        fraction << (52 - kFraction));
  }

  /// Integer rounding of the 53-bit significand: to nearest, ties to even.
  static Small rounded(double x) {
    const auto all = std::bit_cast<uint64_t>(x);
    const auto sign = static_cast<uint16_t>(all >> 63 << 15);
    const int exponent = static_cast<int>(all >> 52 & 0x7ff) - 1023;
    const uint64_t fraction = all & ((uint64_t{1} << 52) - 1);
    if (exponent == 1024 && fraction != 0) {
      return {static_cast<uint16_t>(sign | kInfinity | 1 << (kFraction - 1))};
    }
    const int below = exponent < kMinExponent ? kMinExponent - exponent : 0;
    const int shift = 52 - kFraction + below;
    if (shift > 53) return {sign};  // less than half of the least subnormal
    if (exponent > 127) return {static_cast<uint16_t>(sign | kInfinity)};
    const uint64_t significand = fraction | uint64_t{1} << 52;
    uint64_t units = significand >> shift;
    const uint64_t rest = significand & ((uint64_t{1} << shift) - 1);
    const uint64_t half = uint64_t{1} << (shift - 1);
    units += rest > half || (rest == half && (units & 1) != 0);
    // The hidden bit, or a carry, moves into the exponent field by itself.
    const auto base = static_cast<uint64_t>(below > 0 ? 0 : exponent - kMinExponent) << kFraction;
    const uint64_t result = base + units;
    return {static_cast<uint16_t>(sign | (result < kInfinity ? result : kInfinity))};
  }
};
using F16 = Small<10, -14>;
using BF16 = Small<7, -126>;

template <typename To, typename From>
To converted(From x) {
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else if constexpr (std::is_arithmetic_v<To>) {
    return static_cast<To>(static_cast<double>(x));
  } else {
    return To::rounded(static_cast<double>(x));
  }
}

template <typename Body>
void with_type(tconv_dtype dtype, Body&& body) {
  switch (dtype) {
    case TCONV_F16: return body.template operator()<F16>();
    case TCONV_BF16: return body.template operator()<BF16>();
    case TCONV_F64: return body.template operator()<double>();
    default: return body.template operator()<float>();
  }
}

/// Calls `line(offset, index, length)` for the runs of elements that share all but the last
/// coordinate: `index` counts from `first`, `offset` is where the run begins.
template <typename Line>
void for_each_line(const Grid& grid, int64_t first, int64_t count, Line&& line) {
  const std::size_t rank = grid.shape.size();
  const int64_t inner = rank == 0 ? 1 : grid.shape[rank - 1];
  for (int64_t done = 0; done < count;) {
    int64_t rest = first + done;
    const int64_t column = rest % inner;
    rest /= inner;
    int64_t offset = rank == 0 ? 0 : column * grid.strides[rank - 1];
    for (std::size_t d = rank - 1; rank > 0 && d-- > 0;) {
      offset += rest % grid.shape[d] * grid.strides[d];
      rest /= grid.shape[d];
    }
    const int64_t length = std::min(inner - column, count - done);
    line(offset, done, length);
    done += length;
  }
}

/// Which of the two memories lies on the grid; the other is dense.
enum class Side { source, target };

void convert_lines(tconv_dtype from_type, const void* from, tconv_dtype to_type, void* to,
                   const Grid& grid, int64_t first, int64_t count, Side on_grid) {
  const int64_t step = grid.strides.empty() ? 1 : grid.strides.back();
  const int64_t from_step = on_grid == Side::source ? step : 1;
  const int64_t to_step = on_grid == Side::target ? step : 1;
  with_type(from_type, [&]<typename From>() {
    with_type(to_type, [&]<typename To>() {
      for_each_line(grid, first, count, [&](int64_t offset, int64_t index, int64_t length) {
        const From* source =
            static_cast<const From*>(from) + (on_grid == Side::source ? offset : index);
        To* target = static_cast<To*>(to) + (on_grid == Side::target ? offset : index);
        for (int64_t i = 0; i < length; ++i) {
          target[i * to_step] = converted<To>(source[i * from_step]);
        }
      });
    });
  });
}

}  // namespace

const char* dtype_name(tconv_dtype dtype) {
  return dtype == TCONV_F16    ? "f16"
         : dtype == TCONV_BF16 ? "bf16"
         : dtype == TCONV_F64  ? "f64"
                               : "f32";
}

int64_t Grid::count() const {
  int64_t result = 1;
  for (const int64_t extent : shape) result *= extent;
  return result;
}

bool Grid::dense() const {
  int64_t expected = 1;
  for (std::size_t d = shape.size(); d-- > 0;) {
    if (shape[d] != 1 && strides[d] != expected) return false;
    expected *= shape[d];
  }
  return true;
}

void scatter(tconv_dtype from_type, const void* from, int64_t first, int64_t count,
             tconv_dtype to_type, void* to, const Grid& grid) {
  if (from_type == to_type && grid.dense()) {
    const std::size_t bytes = element_bytes(to_type);
    std::memcpy(static_cast<char*>(to) + static_cast<std::size_t>(first) * bytes, from,
                static_cast<std::size_t>(count) * bytes);
    return;
  }
  convert_lines(from_type, from, to_type, to, grid, first, count, Side::target);
}

void gather(tconv_dtype from_type, const void* from, const Grid& grid, int64_t first, int64_t count,
            tconv_dtype to_type, void* to) {
  if (from_type == to_type && grid.dense()) {
    const std::size_t bytes = element_bytes(to_type);
    std::memcpy(to, static_cast<const char*>(from) + static_cast<std::size_t>(first) * bytes,
                static_cast<std::size_t>(count) * bytes);
    return;
  }
  convert_lines(from_type, from, to_type, to, grid, first, count, Side::source);
}

}  // namespace tconv::cli
