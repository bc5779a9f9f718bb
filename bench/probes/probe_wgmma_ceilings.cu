// SPDX-License-Identifier: Apache-2.0
// probe_wgmma_ceilings.cu: the most that wgmma does at N = 256, by type, on random data; 3xTF32 as
// three products of tiles in shared memory; tf32 with A rounded in registers; and f64 mma of
// Hopper's own shape. Not yet run on a GPU.
#include <cuda_bf16.h>

#include "bench/probes/wgmma_rate.cuh"
#include "src/cuda/ptx/mma_sm90.cuh"

namespace tconv::probes {
namespace {

namespace ptx = cuda::ptx;

struct SsBf16 : SsF16 {
  static __device__ uint32_t word(uint32_t key) {
    const __nv_bfloat162 pair(__float2bfloat16(random_normal(2 * key)),
                              __float2bfloat16(random_normal(2 * key + 1)));
    uint32_t bits;
    memcpy(&bits, &pair, sizeof bits);
    return bits;
  }
  template <int kCount>
  static __device__ void multiply(float (&sum)[kCount], const Descriptors& from,
                                  const uint32_t (&)[4]) {
    ptx::wgmma_k16_bf16(sum, from.a, from.b, true);
  }
};

struct SsTf32 {
  static constexpr double kElementBytes = 4;
  static constexpr int kProducts = 1;
  static __device__ uint32_t word(uint32_t key) { return ptx::cvt_rna_tf32(random_normal(key)); }
  template <int kCount>
  static __device__ void multiply(float (&sum)[kCount], const Descriptors& from,
                                  const uint32_t (&)[4]) {
    ptx::wgmma_k8_tf32(sum, from.a, from.b, true);
  }
};

// The next stage stands for the small parts.
struct ThreeTf32 : SsTf32 {
  static constexpr int kProducts = 3;
  template <int kCount>
  static __device__ void multiply(float (&sum)[kCount], const Descriptors& from,
                                  const uint32_t (&)[4]) {
    ptx::wgmma_k8_tf32(sum, from.a, from.next_b, true);
    ptx::wgmma_k8_tf32(sum, from.next_a, from.b, true);
    ptx::wgmma_k8_tf32(sum, from.a, from.b, true);
  }
};

struct SsE4m3 {
  static constexpr double kElementBytes = 1;
  static constexpr int kProducts = 1;
  // Without the lowest bit of the exponent: no NaN.
  static __device__ uint32_t word(uint32_t key) { return random_bits(key) & 0xf7f7f7f7u; }
  template <int kCount>
  static __device__ void multiply(float (&sum)[kCount], const Descriptors& from,
                                  const uint32_t (&)[4]) {
    ptx::wgmma_k32_e4m3(sum, from.a, from.b, true);
  }
};

// A from registers, rounded anew for each stage: the registers are written only after the products
// that read them, so two warpgroups take turns.
__global__ void __launch_bounds__(256, 1) round_and_multiply(int iterations, float* out) {
  constexpr uint32_t kN = 256;
  unsigned char* shared = ptx::dynamic_shared();
  fill_words<SsTf32>(reinterpret_cast<uint32_t*>(shared), kWgmmaStages * kN * 32);
  ptx::fence_proxy_async_shared();
  __syncthreads();  // B is there for wgmma
  const uint32_t b_tiles = ptx::shared_address(shared);
  uint32_t raw[kWgmmaSteps][4];
#pragma unroll
  for (uint32_t i = 0; i < kWgmmaSteps * 4; ++i) {
    raw[i / 4][i % 4] = __float_as_uint(random_normal(threadIdx.x * 16 + i));
  }
  float sum[kN / 2] = {};
#pragma unroll 1
  for (int iteration = 0; iteration < iterations; ++iteration) {
    const uint32_t b_tile = b_tiles + static_cast<uint32_t>(iteration) % kWgmmaStages * kN * 128;
    uint32_t a[kWgmmaSteps][4];
#pragma unroll
    for (uint32_t i = 0; i < kWgmmaSteps * 4; ++i) {
      uint32_t bits = raw[i / 4][i % 4];
      ptx::pin(bits);
      a[i / 4][i % 4] = ptx::cvt_rna_tf32(__uint_as_float(bits));
    }
    ptx::wgmma_fence();
#pragma unroll
    for (uint32_t step = 0; step < kWgmmaSteps; ++step) {
      ptx::wgmma_k8_tf32_rs(sum, a[step], wgmma_rows(b_tile + 32 * step), true);
    }
    ptx::wgmma_commit_group();
    ptx::wgmma_wait_group<0>();
  }
  float all = 0;
#pragma unroll
  for (uint32_t i = 0; i < kN / 2; ++i) {
    all += sum[i];
  }
  out[blockIdx.x * blockDim.x + threadIdx.x] = all;
}

__global__ void __launch_bounds__(256, 1) multiply_f64(int iterations, float* out) {
  double a[2][8];
  double b[4][4];
  double sum[2][4][4] = {};
#pragma unroll
  for (uint32_t i = 0; i < 16; ++i) {
    a[i / 8][i % 8] = random_normal(threadIdx.x * 32 + i);
    b[i / 4][i % 4] = random_normal(threadIdx.x * 32 + 16 + i);
  }
#pragma unroll 1
  for (int iteration = 0; iteration < iterations; ++iteration) {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      ptx::mma_m16n8k16_f64(sum[i / 4][i % 4], a[i / 4], b[i % 4]);
    }
  }
  double all = 0;
#pragma unroll
  for (int i = 0; i < 32; ++i) {
    all += sum[i / 16][i / 4 % 4][i % 4];
  }
  out[blockIdx.x * blockDim.x + threadIdx.x] = static_cast<float>(all);
}

// TFLOP/s of a kernel of 256 threads whose block makes `multiply_adds` in an iteration.
double tflops(Report& report, void (*kernel)(int, float*), const char* what, double multiply_adds,
              int iterations, std::size_t shared) {
  const auto blocks = static_cast<unsigned>(report.gpu().multiProcessorCount);
  const Buffer<float> out(blocks * 256, 0);
  allow_shared(kernel, shared);
  const double us = median_us(
      report,
      [&] {
        launch(kernel, {blocks, 256, shared}, iterations, out.get());
      },
      20000);
  check_sums(report, out.read(), what);
  return 2 * multiply_adds * blocks * iterations / us * 1e-6;
}

template <typename Unit>
double ceiling(Report& report, const std::string& what, const char* predicted) {
  const WgmmaRate rate = measure_wgmma<Unit, 256, 256>(report, what, 256, 2000000, 30000);
  report.measured(what, rate.tflops / Unit::kProducts, "TFLOP/s", predicted);
  report.measured(what + ": clocks of an SM for one m64n256", rate.clocks, "clocks", "128 [E]");
  return rate.tflops / Unit::kProducts;
}

void measure(Report& report) {
  const double f16 = ceiling<SsF16>(report, "wgmma f16", "790 on H200 (bf16 product, measured)");
  ceiling<SsBf16>(report, "wgmma bf16", "790 on H200 (bf16 product, measured)");
  const double tf32 = ceiling<SsTf32>(report, "wgmma tf32", "395 [E]");
  ceiling<SsE4m3>(report, "wgmma e4m3", "1500 [E]");
  const double three = ceiling<ThreeTf32>(report, "wgmma 3xTF32 (useful operations)", "130 [E]");
  const double rounded = tflops(report, round_and_multiply, "tf32 RS",
                                2 * kWgmmaSteps * 64 * 256 * 8, 4000, kWgmmaStages * 256 * 128);
  report.measured("wgmma tf32, A through cvt.rna in registers", rounded, "TFLOP/s", "300 [E]");
  report.measured("mma.sync f64 m16n8k16",
                  tflops(report, multiply_f64, "f64", 8.0 * 8 * 16 * 8 * 16, 500, 0), "TFLOP/s",
                  "60 [E]");
  report.decides("f16 ceiling", "rows are judged against the measured ceiling, not the datasheet",
                 std::to_string(f16) + " TFLOP/s");
  report.decides(
      "tf32 rounding on Hopper",
      "if rounding A in registers keeps 85 % of the tf32 rate, A goes through registers; "
      "else operands are rounded before they reach shared memory",
      rounded >= 0.85 * tf32 ? "registers" : "before shared memory");
  report.decides("3xTF32 on Hopper", "if above 100 TFLOP/s, it is offered as math 3xtf32",
                 three > 100 ? "offered" : "not worth its memory");
}

}  // namespace
}  // namespace tconv::probes

int main(int argc, char** argv) {
  return tconv::probes::run(
      argc, argv,
      {"wgmma_ceilings", "What does wgmma reach at best, by type, on random data?",
       tconv::probes::About::Needs::kHopper},
      tconv::probes::measure);
}
