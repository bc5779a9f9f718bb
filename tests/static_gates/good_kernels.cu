// SPDX-License-Identifier: Apache-2.0
// good_kernels.cu: kernels that keep the rules of tests/static_gates/static_gates; with -DCHANGED
// one has other loads than before.
#include "src/cuda/ptx/ldmatrix.cuh"
#include "src/cuda/ptx/mma_sm80.cuh"

// Divides, but not in the loop.
__global__ void sums(const float4* x, float* y, int n, int m) {
  float sum = float(n / m);
  for (int i = 0; i < n; ++i) {
#ifdef CHANGED
    sum += x[i].x;
#else
    sum += x[i].x + x[i].y + x[i].z + x[i].w;
#endif
  }
  y[threadIdx.x] = sum;
}

// The main loop: two ldmatrix of 512 bytes and four products in an iteration.
__global__ void multiplies(float* y, int n) {
  using namespace tconv::cuda::ptx;
  extern __shared__ char smem[];
  auto address = static_cast<uint32_t>(__cvta_generic_to_shared(smem)) + threadIdx.x % 32 * 16;
  float sum[4][4] = {};
#pragma unroll 1
  for (int k = 0; k < n; ++k, address += 1024) {
    uint32_t a[4], b[4];
    ldmatrix_x4(a, address);
    ldmatrix_x4(b, address + 512);
#pragma unroll
    for (int i = 0; i < 4; ++i) mma_m16n8k16_f16(sum[i], a, {b[i], b[(i + 1) % 4]});
  }
  for (int i = 0; i < 16; ++i) y[i * 32 + threadIdx.x] = sum[i / 4][i % 4];
}
