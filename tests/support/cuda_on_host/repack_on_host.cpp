// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cuda_on_host/repack_on_host.h"

#include <stdexcept>

#include "tests/support/cuda_on_host/cuda_on_host.h"
#include "tests/support/cuda_on_host/run_threads.h"

// The library may have the functions already, made by nvcc.
#define load_repack load_repack_made_here
#define load_epilogue load_epilogue_made_here
#define enqueue_repack enqueue_repack_made_here
#define enqueue_epilogue enqueue_epilogue_made_here
#include "src/cuda/runtime/repack.cu"

namespace tconv::test {

void load_repack_on_host(const host::Problem& problem) { host::load_repack(problem); }
void load_epilogue_on_host(const host::Problem& problem) { host::load_epilogue(problem); }

void repack_on_host(const host::Problem& problem, const host::FilterStrides& order,
                    const void* filters, void* to) {
  host::enqueue_repack(problem, order, filters, to, nullptr);
}

void epilogue_on_host(const host::Problem& problem, const void* sums,
                      const host::Strides& sums_strides, const host::Tensors& tensors) {
  host::enqueue_epilogue(problem, sums, sums_strides, tensors, nullptr);
}

void run_repack_on_host(const host::Launch& launch) {
  const auto run_with = [&]<typename Index>() {
    return run_if(cuda::repack<uint16_t, Index>, launch) ||
           run_if(cuda::repack<uint32_t, Index>, launch) ||
           run_if(cuda::repack<uint64_t, Index>, launch) ||
           run_if(cuda::finish_sums<float, Index>, launch) ||
           run_if(cuda::finish_sums<double, Index>, launch);
  };
  if (run_with.template operator()<int32_t>() || run_with.template operator()<int64_t>()) return;
  throw std::invalid_argument("launch: not a kernel of repack.cu");
}

void run_repack_made_by_nvcc(const host::Launch& launch, host::DType dtype, bool is_epilogue) {
  if (is_epilogue) {
    cuda::with_sum(dtype,
                   [&]<typename Sum>() { run_threads(cuda::finish_sums<Sum, int32_t>, launch); });
  } else {
    cuda::with_width(dtype, [&]<typename T>() { run_threads(cuda::repack<T, int32_t>, launch); });
  }
}

}  // namespace tconv::test
