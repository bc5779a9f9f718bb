// SPDX-License-Identifier: Apache-2.0
// bad_kernels.cu: each breaks a rule of tests/static_gates/static_gates; test_fires.py demands that
// it speaks.

// 96 live sums a thread, and 64 registers.
__global__ void __launch_bounds__(1024) spills(const float* x, float* y, int n) {
  float sum[96];
#pragma unroll
  for (int i = 0; i < 96; ++i) sum[i] = x[i * n + threadIdx.x];
  for (int k = 0; k < n; ++k) {
#pragma unroll
    for (int i = 0; i < 96; ++i) sum[i] = sum[i] * sum[(i + 7) % 96] + x[k];
  }
#pragma unroll
  for (int i = 0; i < 96; ++i) y[i * n + threadIdx.x] = sum[i];
}

// An index that is known only when it runs: no register can hold the array.
__global__ void has_local_array(const int* x, float* y, int n) {
  float values[32];
  for (int i = 0; i < 32; ++i) values[x[i] & 31] = i;
  float sum = 0;
  for (int i = 0; i < n; ++i) sum += values[x[i] & 31];
  y[threadIdx.x] = sum;
}

__global__ void divides(const int* x, int* y, int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) sum += x[i] / x[i + n];
  y[threadIdx.x] = sum;
}

// ptxas computes the reciprocal before the loop.
__global__ void divides_by_the_same(const unsigned* x, unsigned* y, int n, unsigned divisor) {
  unsigned sum = 0;
  for (int i = 0; i < n; ++i) sum += x[i] % divisor;
  y[threadIdx.x] = sum;
}

__global__ void divides_64(const long long* x, long long* y, int n) {
  long long sum = 0;
  for (int i = 0; i < n; ++i) sum += x[i] % x[i + n];
  y[threadIdx.x] = sum;
}

__device__ __noinline__ int quotient(int a, int b) { return a / b; }
__global__ void divides_in_a_call(const int* x, int* y, int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) sum += quotient(x[i], x[i + n]);
  y[threadIdx.x] = sum;
}

// C7508: no bound says how many registers there are at the start.
__global__ void loses(float* y) {
#if __CUDA_ARCH__ >= 900
  asm volatile("setmaxnreg.inc.sync.aligned.u32 240;");
#endif
  y[threadIdx.x] = 1;
}
