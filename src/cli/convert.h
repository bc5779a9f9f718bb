// SPDX-License-Identifier: Apache-2.0
// convert.h: elements between types (one rounding, to nearest even) and between memory orders.
#pragma once

#include <tconv/tconv_c.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tconv::cli {

constexpr std::size_t element_bytes(tconv_dtype dtype) {
  return dtype == TCONV_F64 ? 8 : dtype == TCONV_F32 ? 4 : 2;
}
/// "f16", "bf16", "f32" or "f64".
const char* dtype_name(tconv_dtype dtype);

/// Where the elements of a tensor of up to 4 dimensions lie, in the order of its file's dimensions.
struct Grid {
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;  ///< in elements

  int64_t count() const;
  bool dense() const;
};

/// Elements [first, first + count) of the file's order, from dense memory of type `from` to their
/// places in `to`.
void scatter(tconv_dtype from_type, const void* from, int64_t first, int64_t count,
             tconv_dtype to_type, void* to, const Grid& grid);
/// The other way: from their places to dense memory.
void gather(tconv_dtype from_type, const void* from, const Grid& grid, int64_t first, int64_t count,
            tconv_dtype to_type, void* to);

}  // namespace tconv::cli
