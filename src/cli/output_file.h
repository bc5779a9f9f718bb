// SPDX-License-Identifier: Apache-2.0
// output_file.h: a file that exists whole or not at all.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

#include "src/cli/convert.h"

namespace tconv::cli {

/// Writes beside the target under a temporary name and renames at commit(). Until then, and after
/// any failure or interrupt, the target is as it was and the temporary file is gone. One such file
/// is open at a time. A target that is no regular
/// file (/dev/stdout, a pipe) is written directly. Failures are TCONV_DEVICE_ERROR.
class OutputFile {
 public:
  explicit OutputFile(std::string path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(const void* data, std::size_t bytes);
  void commit();

 private:
  [[noreturn]] void fail(const char* doing) const;
  std::string path_, written_path_;
  std::FILE* file_ = nullptr;
};

/// The tensor on `grid` as .npy in the order of grid.shape; bf16 becomes f32.
void write_npy(OutputFile& file, tconv_dtype dtype, const void* data, const Grid& grid);

}  // namespace tconv::cli
