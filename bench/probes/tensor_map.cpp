// SPDX-License-Identifier: Apache-2.0
#include "bench/probes/tensor_map.h"

#include <cudaTypedefs.h>

#include <stdexcept>
#include <string>

#include "bench/probes/probe.h"

namespace tconv::probes {
namespace {

template <typename Function>
Function driver_function(const char* name) {
  void* address = nullptr;
  cudaDriverEntryPointQueryResult found{};
  check(cudaGetDriverEntryPointByVersion(name, &address, 12000, cudaEnableDefault, &found), name);
  if (found != cudaDriverEntryPointSuccess || address == nullptr) {
    throw std::runtime_error(std::string("the driver has no ") + name);
  }
  return reinterpret_cast<Function>(address);
}

void check_map(CUresult status, const char* name) {
  if (status != CUDA_SUCCESS) {
    throw std::runtime_error(std::string(name) + " refused: CUresult " + std::to_string(status));
  }
}

}  // namespace

Tensor dense(CUtensorMapDataType type, unsigned bytes, void* address,
             const std::vector<cuuint64_t>& sizes) {
  Tensor tensor{type, address, sizes, {}};
  cuuint64_t stride = bytes;
  for (std::size_t i = 0; i + 1 < sizes.size(); ++i) {
    stride *= sizes[i];
    tensor.strides_in_bytes.push_back(stride);
  }
  return tensor;
}

CUtensorMap tiled_map(const Tensor& tensor, const std::vector<cuuint32_t>& box,
                      CUtensorMapSwizzle swizzle) {
  static const auto encode =
      driver_function<PFN_cuTensorMapEncodeTiled_v12000>("cuTensorMapEncodeTiled");
  const std::vector<cuuint32_t> steps(box.size(), 1);
  CUtensorMap map{};
  check_map(encode(&map, tensor.type, static_cast<cuuint32_t>(box.size()), tensor.address,
                   tensor.sizes.data(), tensor.strides_in_bytes.data(), box.data(), steps.data(),
                   CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle, CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
                   CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE),
            "cuTensorMapEncodeTiled");
  return map;
}

CUtensorMap im2col_map(const Tensor& tensor, const std::vector<int>& lower,
                       const std::vector<int>& upper, unsigned channels, unsigned pixels,
                       CUtensorMapSwizzle swizzle) {
  static const auto encode =
      driver_function<PFN_cuTensorMapEncodeIm2col_v12000>("cuTensorMapEncodeIm2col");
  const std::vector<cuuint32_t> steps(tensor.sizes.size(), 1);
  CUtensorMap map{};
  check_map(encode(&map, tensor.type, static_cast<cuuint32_t>(tensor.sizes.size()), tensor.address,
                   tensor.sizes.data(), tensor.strides_in_bytes.data(), lower.data(), upper.data(),
                   channels, pixels, steps.data(), CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle,
                   CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE),
            "cuTensorMapEncodeIm2col");
  return map;
}

}  // namespace tconv::probes
