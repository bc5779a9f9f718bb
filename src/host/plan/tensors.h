// SPDX-License-Identifier: Apache-2.0
// tensors.h: the caller's memory, and what he says of its sizes.
#pragma once

#include <cstddef>

namespace tconv::host {

/// The caller's memory; host or device pointers as the family wants them.
struct Tensors {
  const void* input = nullptr;
  const void* filters = nullptr;
  const void* bias = nullptr;
  const void* slopes = nullptr;
  const void* residual = nullptr;
  void* output = nullptr;
  void* workspace = nullptr;
};

/// Sizes as the caller stated them, 0 where not stated. See tconv_tensors.
struct StatedBytes {
  std::size_t input = 0, filters = 0, bias = 0, slopes = 0, residual = 0, output = 0, workspace = 0;
};

}  // namespace tconv::host
