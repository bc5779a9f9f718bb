// SPDX-License-Identifier: Apache-2.0
// probe_mma_ceilings.cu: the most that mma.sync and plain multiply-adds do, from registers, on
// random data: what a kernel without wgmma can reach at best. Not yet run on a GPU.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cmath>

#include "bench/probes/device.cuh"
#include "bench/probes/launch.cuh"
#include "bench/probes/probe.h"
#include "src/cuda/ptx/fma.cuh"
#include "src/cuda/ptx/mma_sm80.cuh"
#include "src/cuda/ptx/pin.cuh"

namespace tconv::probes {
namespace {

namespace ptx = cuda::ptx;

constexpr unsigned kThreads = 256;  // two warps a scheduler
constexpr int kSteps = 2;  // of K, with other operands: a constant operand costs less power

__device__ float random_here(uint32_t i) {
  return random_normal((blockIdx.x * kThreads + threadIdx.x) * 256 + i);
}

template <typename Pair>
__device__ uint32_t random_pair(uint32_t i) {
  Pair pair;
  pair.x = random_here(2 * i);
  pair.y = random_here(2 * i + 1);
  uint32_t bits;
  memcpy(&bits, &pair, sizeof bits);
  return bits;
}

// A unit: how many multiply-adds one instruction of a warp makes, and how it runs.
struct F16 {
  static constexpr double kMultiplyAdds = 16 * 8 * 16;
  static __device__ uint32_t operand(uint32_t i) { return random_pair<__half2>(i); }
  static __device__ void multiply(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    ptx::mma_m16n8k16_f16(sum, a, b);
  }
};

struct Bf16 : F16 {
  static __device__ uint32_t operand(uint32_t i) { return random_pair<__nv_bfloat162>(i); }
  static __device__ void multiply(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    ptx::mma_m16n8k16_bf16(sum, a, b);
  }
};

struct Tf32 {
  static constexpr double kMultiplyAdds = 16 * 8 * 8;
  static __device__ uint32_t operand(uint32_t i) { return ptx::cvt_rna_tf32(random_here(i)); }
  static __device__ void multiply(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    ptx::mma_m16n8k8_tf32(sum, a, b);
  }
};

template <typename Kind, int kTilesN>
struct WarpTile {
  uint32_t a[kSteps][4][4];
  uint32_t b[kSteps][kTilesN][2];
  float sum[4][kTilesN][4] = {};

  __device__ WarpTile() {
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
#pragma unroll
      for (int i = 0; i < 16; ++i) {
        a[step][i / 4][i % 4] = Kind::operand(static_cast<uint32_t>(step * 64 + i));
      }
#pragma unroll
      for (int i = 0; i < 2 * kTilesN; ++i) {
        b[step][i / 2][i % 2] = Kind::operand(static_cast<uint32_t>(step * 64 + 16 + i));
      }
    }
  }

  __device__ float total() const {
    float all = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < kTilesN; ++j) {
        all += sum[i][j][0] + sum[i][j][1] + sum[i][j][2] + sum[i][j][3];
      }
    }
    return all;
  }
};

template <typename Kind, int kTilesN>
__global__ void __launch_bounds__(kThreads, 1) multiply(int iterations, float* out) {
  WarpTile<Kind, kTilesN> tile;
#pragma unroll 1
  for (int iteration = 0; iteration < iterations; ++iteration) {
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < kTilesN; ++j) {
          Kind::multiply(tile.sum[i][j], tile.a[step][i], tile.b[step][j]);
        }
      }
    }
  }
  out[blockIdx.x * kThreads + threadIdx.x] = tile.total();
}

// Both parts of an operand; the loop cannot keep them, for `raw` may have changed.
template <int kCount>
__device__ void split(const uint32_t (&raw)[kCount], uint32_t (&big)[kCount],
                      uint32_t (&small)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    uint32_t bits = raw[i];
    ptx::pin(bits);
    big[i] = ptx::cvt_rna_tf32(__uint_as_float(bits));
    small[i] = ptx::cvt_rna_tf32(__uint_as_float(bits) - __uint_as_float(big[i]));
  }
}

// tf32 with the operands rounded in the loop; kProducts 3: also big * small and small * big.
template <int kProducts, int kTilesN>
__global__ void __launch_bounds__(kThreads, 1) multiply_rounding(int iterations, float* out) {
  WarpTile<Tf32, kTilesN> tile;
#pragma unroll 1
  for (int iteration = 0; iteration < iterations; ++iteration) {
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      uint32_t b[kTilesN][2];
      uint32_t b_small[kTilesN][2];
#pragma unroll
      for (int j = 0; j < kTilesN; ++j) {
        split(tile.b[step][j], b[j], b_small[j]);
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        uint32_t a[4];
        uint32_t a_small[4];
        split(tile.a[step][i], a, a_small);
#pragma unroll
        for (int j = 0; j < kTilesN; ++j) {
          if constexpr (kProducts == 3) {
            ptx::mma_m16n8k8_tf32(tile.sum[i][j], a, b_small[j]);
            ptx::mma_m16n8k8_tf32(tile.sum[i][j], a_small, b[j]);
          }
          ptx::mma_m16n8k8_tf32(tile.sum[i][j], a, b[j]);
        }
      }
    }
  }
  out[blockIdx.x * kThreads + threadIdx.x] = tile.total();
}

__global__ void __launch_bounds__(kThreads, 1) multiply_f64(int iterations, float* out) {
  double a[4];
  double b[8];
  double sum[4][8][2] = {};
  for (int i = 0; i < 8; ++i) {
    a[i % 4] = random_here(static_cast<uint32_t>(i));
    b[i] = random_here(static_cast<uint32_t>(8 + i));
  }
#pragma unroll 1
  for (int iteration = 0; iteration < iterations; ++iteration) {
#pragma unroll
    for (int i = 0; i < 32; ++i) {
      ptx::mma_m8n8k4_f64(sum[i / 8][i % 8], a[i / 8], b[i % 8]);
    }
  }
  double all = 0;
#pragma unroll
  for (int i = 0; i < 32; ++i) {
    all += sum[i / 8][i % 8][0] + sum[i / 8][i % 8][1];
  }
  out[blockIdx.x * kThreads + threadIdx.x] = static_cast<float>(all);
}

// Plain multiply-adds: a tile of 8 x 8 per thread.
template <typename T>
__global__ void __launch_bounds__(kThreads, 1) multiply_plain(int iterations, float* out) {
  T a[8];
  T b[8];
  T sum[8][8] = {};
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    a[i] = random_here(static_cast<uint32_t>(i));
    b[i] = random_here(static_cast<uint32_t>(8 + i));
  }
#pragma unroll 1
  for (int iteration = 0; iteration < iterations; ++iteration) {
#pragma unroll
    for (int i = 0; i < 64; ++i) {
      sum[i / 8][i % 8] = ptx::fma_rn(a[i / 8], b[i % 8], sum[i / 8][i % 8]);
    }
  }
  T all = 0;
#pragma unroll
  for (int i = 0; i < 64; ++i) {
    all += sum[i / 8][i % 8];
  }
  out[blockIdx.x * kThreads + threadIdx.x] = static_cast<float>(all);
}

// TFLOP/s of a kernel whose warps make `multiply_adds` in an iteration.
double tflops(Report& report, void (*kernel)(int, float*), double multiply_adds, int iterations) {
  const auto blocks = static_cast<unsigned>(report.gpu().multiProcessorCount);
  const Buffer<float> out(blocks * kThreads, 0);
  const double us = median_us(
      report,
      [&] {
        launch(kernel, {blocks, kThreads}, iterations, out.get());
      },
      20000);
  bool nonzero = false;
  for (const float value : out.read()) {
    nonzero = nonzero || value != 0;
    if (!std::isfinite(value)) {
      report.wrong("a sum is not finite");
      break;
    }
  }
  if (!nonzero) {
    report.wrong("all sums are zero: nothing was computed");
  }
  const double warps = blocks * kThreads / 32.0;
  return 2 * warps * multiply_adds * iterations / us * 1e-6;
}

void measure(Report& report) {
  const auto print = [&](const char* what, double value, const char* predicted) {
    report.measured(what, value, "TFLOP/s", predicted);
    return value;
  };
  constexpr double kTiles = kSteps * 4 * 8;
  const double f16 = print("mma.sync f16, f32 sums",
                           tflops(report, multiply<F16, 8>, kTiles * F16::kMultiplyAdds, 1500),
                           "490 on H200: 62 % of wgmma");
  print("mma.sync bf16, f32 sums",
        tflops(report, multiply<Bf16, 8>, kTiles * Bf16::kMultiplyAdds, 1500), "as f16 [E]");
  const double tf32 =
      print("mma.sync tf32", tflops(report, multiply<Tf32, 8>, kTiles * Tf32::kMultiplyAdds, 1500),
            "245 on H200 [E]");
  const double rounded =
      print("mma.sync tf32, both operands through cvt.rna",
            tflops(report, multiply_rounding<1, 8>, kTiles * Tf32::kMultiplyAdds, 1500),
            "200 on H200 [E]");
  const double three =
      print("3xTF32 (useful operations), split in the loop",
            tflops(report, multiply_rounding<3, 4>, kTiles / 2 * Tf32::kMultiplyAdds, 1000),
            "80 on H200 [E]");
  const double ffma = print("f32 multiply-add",
                            tflops(report, multiply_plain<float>, 64 * 32, 8000), "60 on H200 [E]");
  print("f64 multiply-add", tflops(report, multiply_plain<double>, 64 * 32, 500), "30 on H200 [E]");
  print("mma.sync f64 m8n8k4", tflops(report, multiply_f64, 32 * 256, 500), "60 on H200 [E]");
  report.decides("bar for igemm_sm80",
                 "on rows bound by arithmetic the bar is 85 % of the lesser of cuBLAS and this "
                 "ceiling",
                 std::to_string(0.85 * f16) + " TFLOP/s for f16");
  report.decides("tf32 rounding",
                 "if cvt.rna in the mainloop costs over 5 %, operands are rounded on the way into "
                 "shared memory; else in the mainloop",
                 rounded < 0.95 * tf32 ? "on the way into shared memory" : "in the mainloop");
  report.decides("3xTF32",
                 "if below 1.2 times the f32 multiply-add, 3xTF32 is declined on this GPU",
                 three < 1.2 * ffma ? "declined" : "offered");
}

}  // namespace
}  // namespace tconv::probes

int main(int argc, char** argv) {
  return tconv::probes::run(
      argc, argv,
      {"mma_ceilings", "What do mma.sync and plain multiply-adds reach at best, on random data?",
       tconv::probes::About::Needs::kAmpereOrLater},
      tconv::probes::measure);
}
