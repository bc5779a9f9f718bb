// SPDX-License-Identifier: Apache-2.0
// tensor_map.h: CUtensorMaps, encoded by the driver, which is reached through the runtime: nothing
// links to libcuda. Sizes and coordinates innermost first.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <vector>

namespace tconv::probes {

struct Tensor {
  CUtensorMapDataType type;
  void* address;                             // aligned to 16
  std::vector<cuuint64_t> sizes;             // elements
  std::vector<cuuint64_t> strides_in_bytes;  // of all but the innermost; multiples of 16
};

/// A dense tensor of elements of `bytes` bytes.
Tensor dense(CUtensorMapDataType type, unsigned bytes, void* address,
             const std::vector<cuuint64_t>& sizes);

/// Throws (exit code 4) if the driver refuses.
CUtensorMap tiled_map(const Tensor& tensor, const std::vector<cuuint32_t>& box,
                      CUtensorMapSwizzle swizzle);

/// `lower` and `upper`: the corners of the bounding box, in the order in which the driver takes
/// them.
CUtensorMap im2col_map(const Tensor& tensor, const std::vector<int>& lower,
                       const std::vector<int>& upper, unsigned channels, unsigned pixels,
                       CUtensorMapSwizzle swizzle);

}  // namespace tconv::probes
