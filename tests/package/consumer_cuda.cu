// SPDX-License-Identifier: Apache-2.0
// consumer_cuda.cu: a C++17 program with CUDA of its own that uses the installed library: its
// memory, its stream, its kernel before the library's. The same vector as consumer.cpp. On a
// machine without a GPU, or with a library without CUDA, the plan must be refused with the reason.
#include <cuda_runtime.h>
#include <tconv/tconv.h>

#include <cstdio>
#include <string>

namespace {

__global__ void arange(float* data, int count) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) data[i] = static_cast<float>(i + 1);
}

void check(cudaError_t status) {
  if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
}

float* allocate(int count) {
  void* data = nullptr;
  check(cudaMalloc(&data, static_cast<std::size_t>(count) * sizeof(float)));
  return static_cast<float*>(data);
}

bool right(const float* output) {
  double sum = 0, weighted = 0;
  for (int i = 0; i < 16; ++i) {
    sum += output[i];
    weighted += (i + 1) * static_cast<double>(output[i]);
  }
  return sum == 3860 && weighted == 42500;
}

bool compute(const tconv::Plan& plan) {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreate(&stream));
  float* const input = allocate(16);
  float* const filters = allocate(9);
  float* const output = allocate(16);
  arange<<<1, 32, 0, stream>>>(input, 16);
  arange<<<1, 32, 0, stream>>>(filters, 9);
  check(cudaGetLastError());
  tconv::Tensors tensors;
  tensors.input = input;
  tensors.filters = filters;
  tensors.output = output;
  void* workspace = nullptr;
  if (plan.workspace_bytes() != 0) check(cudaMalloc(&workspace, plan.workspace_bytes()));
  tensors.workspace = workspace;
  tensors.workspace_bytes = plan.workspace_bytes();
  plan.run(tensors, stream);
  float result[16];
  check(cudaMemcpyAsync(result, output, sizeof result, cudaMemcpyDeviceToHost, stream));
  check(cudaStreamSynchronize(stream));
  for (void* memory : {static_cast<void*>(input), static_cast<void*>(filters),
                       static_cast<void*>(output), workspace}) {
    check(cudaFree(memory));
  }
  check(cudaStreamDestroy(stream));
  return right(result);
}

/// Then the library must see it, too.
bool there_is_a_gpu() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

}  // namespace

int main() {
  try {
    tconv::TensorFlowArgs args;
    args.input_shape = {1, 4, 4, 1};
    args.filter_shape = {3, 3, 1, 1};
    const tconv::Problem problem(args);
    tconv::Options options;
    options.device = tconv::Device::cuda;
    tconv::Plan plan;
    const tconv::Status status = tconv::Plan::create(problem, options, plan);
    if (status.code() == tconv::Code::unsupported && !status.message().empty() &&
        !there_is_a_gpu()) {
      std::printf("consumer with CUDA: refused as it should be: %s\n", status.message().c_str());
      return 0;
    }
    if (!status.ok()) throw std::runtime_error(status.message());
    if (!compute(plan)) throw std::runtime_error("wrong checksums");
    std::printf("consumer with CUDA: row %s: right\n", plan.kernel().c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "consumer with CUDA: %s\n", error.what());
    return 1;
  }
  return 0;
}
