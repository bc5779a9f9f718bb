// SPDX-License-Identifier: Apache-2.0
// npy.h: NumPy's .npy files: f16, f32, f64, ml_dtypes' bf16 and integers, little-endian, in C or
// Fortran order, versions 1 to 3.
#pragma once

#include <tconv/tconv_c.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "src/cli/convert.h"

namespace tconv::cli {

struct NpyHeader {
  tconv_dtype dtype = TCONV_F32;  ///< of the elements as they are read: of integers TCONV_F64
  std::string integer;            ///< "<i4"; empty: the file holds floating-point numbers
  bool fortran_order = false;     ///< the first dimension is the innermost
  std::vector<int64_t> shape;     ///< empty: a scalar
  int64_t count = 0;              ///< elements
  uint64_t data_offset = 0;       ///< bytes before the first element

  std::size_t file_element_bytes() const;
};

/// A header longer than this is refused: the shape of a tensor needs 128 bytes.
inline constexpr std::size_t kNpyHeaderLimit = 65536;

/// Parses the header from the first bytes of a file (all of it, or at least kNpyHeaderLimit) and
/// checks that a file of `file_bytes` holds exactly the data that it announces. Allocates nothing
/// larger than `start`. Throws Failure with a sentence that does not name the file.
NpyHeader parse_npy(std::span<const std::byte> start, uint64_t file_bytes);

/// A file whose header has been read and checked, and whose data has not.
class NpyReader {
 public:
  /// Messages begin with `option` (as "--input") and `path`.
  NpyReader(std::string option, const std::string& path);
  const NpyHeader& header() const { return header_; }
  const std::string& option() const { return option_; }

  /// Calls `sink(first, count, elements)` for consecutive pieces of the data, from the beginning,
  /// in the file's order. Integers arrive as f64: beyond 2^53 rounded.
  using Sink = std::function<void(int64_t first, int64_t count, const void* elements)>;
  void read(const Sink& sink);
  /// Converts every element to `dtype` and puts it where `grid`, of the header's shape, has it.
  void read_to(const Grid& grid, tconv_dtype dtype, void* to);

 private:
  std::string option_, path_;
  std::ifstream file_;
  NpyHeader header_;
};

/// The header of a version 1.0 file, padded so that the data is 64-byte aligned.
std::string npy_header(tconv_dtype dtype, const std::vector<int64_t>& shape);

}  // namespace tconv::cli
