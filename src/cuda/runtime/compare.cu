// SPDX-License-Identifier: Apache-2.0
// compare.cu: two tensors in device memory against each other: one reduction (CUB) over element
// numbers, in f64, which holds every type exactly. Limited by memory where the tensors are dense:
// each is read once. Not yet run on a GPU.
#include <thrust/iterator/counting_iterator.h>

#include <cub/device/device_reduce.cuh>
#include <string>

#include "src/cuda/common/dtype.cuh"
#include "src/cuda/runtime/compare.h"
#include "src/host/device/device_memory.h"
#include "src/host/device/gpu_messages.h"
#include "src/host/problem/errors.h"

namespace tconv::cuda {
namespace {

using host::Compared;
using host::CompareResult;

/// What element number `i` adds to the result. Strides cost four divisions an element; whether
/// there are any is the same for all threads.
struct Difference {
  Compared what;
  bool dense;

  __device__ CompareResult operator()(int64_t i) const {
    const int64_t at = dense ? i : what.region.offset(i);
    const double magnitude = what.magnitudes == nullptr
                                 ? 0
                                 : load_value<double>(what.magnitude_type, what.magnitudes, i);
    return host::difference(load_value<double>(what.region.type, what.a, at),
                            load_value<double>(what.region.type, what.b, at), magnitude,
                            what.tolerance, i);
  }
};

struct Join {
  __device__ CompareResult operator()(const CompareResult& x, const CompareResult& y) const {
    return host::joined(x, y);
  }
};

void check(cudaError_t status) {
  if (status == cudaSuccess) return;
  (void)cudaGetLastError();  // it is ours: not left behind
  throw host::DeviceError(host::failed_call_message(
      "cub::DeviceReduce",
      std::string(cudaGetErrorName(status)) + ": " + cudaGetErrorString(status),
      "the comparison of two buffers"));
}

}  // namespace
}  // namespace tconv::cuda

namespace tconv::host {

CompareResult compare_buffers(const Compared& what, Stream stream) {
  const Region& region = what.region;
  if (region.count() == 0) return {};
  if (const std::string pending = gpu().pending_error(); !pending.empty()) {
    // CUB would report it as its own, and clear it.
    throw DeviceError("a CUDA error was pending before a comparison: " + pending);
  }
  CompareResult result;
  const DeviceMemory on_device(sizeof result);
  const auto reduce = [&](void* workspace, std::size_t& bytes) {
    return cub::DeviceReduce::TransformReduce(
        workspace, bytes, thrust::counting_iterator<int64_t>(0),
        static_cast<CompareResult*>(on_device.data()), region.count(), cuda::Join{},
        cuda::Difference{what, region.is_dense()}, CompareResult{},
        static_cast<cudaStream_t>(stream));
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
