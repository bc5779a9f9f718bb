// SPDX-License-Identifier: Apache-2.0
// compare.cu: two buffers against each other: one reduction (CUB) over element indices, in f64,
// which holds every type exactly. Limited by memory: both buffers are read once. Not yet run on a
// GPU.
#include <thrust/iterator/counting_iterator.h>

#include <cub/device/device_reduce.cuh>
#include <string>

#include "src/cuda/dtype.cuh"
#include "src/host/compare.h"
#include "src/host/device_memory.h"
#include "src/host/errors.h"
#include "src/host/gpu_words.h"

namespace tconv::cuda {
namespace {

using host::CompareResult;

/// What element `i` adds to the result.
struct Difference {
  DType type;
  const void *a, *b;

  __device__ CompareResult operator()(int64_t i) const {
    const auto x = load_value<double>(type, a, i), y = load_value<double>(type, b, i);
    if (x == y || (isnan(x) && isnan(y))) return {};
    const double distance = fabs(x - y);
    return {1, isnan(distance) ? static_cast<double>(INFINITY) : distance, i};
  }
};

/// Any order and grouping gives the same result.
struct Join {
  __device__ CompareResult operator()(const CompareResult& x, const CompareResult& y) const {
    const int64_t first = x.first < 0   ? y.first
                          : y.first < 0 ? x.first
                                        : (x.first < y.first ? x.first : y.first);
    return {x.differ + y.differ, fmax(x.worst, y.worst), first};
  }
};

void check(cudaError_t status) {
  if (status == cudaSuccess) return;
  throw host::DeviceError(host::failed_call_words(
      "cub::DeviceReduce",
      std::string(cudaGetErrorName(status)) + ": " + cudaGetErrorString(status),
      "the comparison of two buffers"));
}

}  // namespace
}  // namespace tconv::cuda

namespace tconv::host {

CompareResult compare_buffers(const void* a, const void* b, DType type, int64_t count,
                              Stream stream) {
  CompareResult result;
  if (count == 0) return result;
  const DeviceMemory on_device(sizeof result);
  const auto reduce = [&](void* workspace, std::size_t& bytes) {
    return cub::DeviceReduce::TransformReduce(
        workspace, bytes, thrust::counting_iterator<int64_t>(0),
        static_cast<CompareResult*>(on_device.data()), count, cuda::Join{},
        cuda::Difference{type, a, b}, CompareResult{}, static_cast<cudaStream_t>(stream));
  };
  std::size_t bytes = 0;
  cuda::check(reduce(nullptr, bytes));  // without a workspace it only says how much it needs
  const DeviceMemory workspace(bytes);
  cuda::check(reduce(workspace.data(), bytes));
  gpu().copy(&result, on_device.data(), sizeof result, Copy::to_host, stream);
  gpu().synchronise(stream);
  return result;
}

}  // namespace tconv::host
