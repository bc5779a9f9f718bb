// SPDX-License-Identifier: Apache-2.0
// probe_shifted_descriptor.cu: does wgmma read a window of a halo that lies in shared memory when
// its descriptor starts at any pixel? Exact integers; a wrong swizzle gives other channels. Not yet
// run on a GPU.
//
// X: a halo of kRows x pitch pixels of 64 f16 channels, loaded by one TMA box with 128-byte
// swizzle. A: the 8 x 8 pixels from (dh, dw) on: M = 64, K = 64; groups of eight rows are image
// rows, pitch * 128 bytes apart. B: the unit matrix. So the product is the window itself, if the
// hardware swizzles by absolute address bits, or by the rule in the descriptor's base_offset.
#include <cuda_fp16.h>

#include <vector>

#include "bench/probes/device.cuh"
#include "bench/probes/launch.cuh"
#include "bench/probes/probe.h"
#include "bench/probes/tensor_map.h"
#include "src/cuda/common/wgmma_descriptor.cuh"
#include "src/cuda/ptx/fence.cuh"
#include "src/cuda/ptx/shared.cuh"
#include "src/cuda/ptx/tma.cuh"
#include "src/cuda/ptx/wgmma_sm90.cuh"

namespace tconv::probes {
namespace {

namespace ptx = cuda::ptx;

constexpr uint32_t kChannels = 64;
constexpr uint32_t kRowBytes = 128;  // one pixel: the span of the swizzle
constexpr uint32_t kRows = 10;
constexpr uint32_t kMostPitch = 16;
constexpr uint32_t kHaloBytes = kRows * kMostPitch * kRowBytes;  // multiple of 1024
constexpr uint32_t kUnitBytes = kChannels * kRowBytes;
constexpr uint32_t kShared = kHaloBytes + kUnitBytes + 8;
static_assert(kHaloBytes % 1024 == 0);

struct Case {
  uint32_t pitch;
  uint32_t dh;
  uint32_t dw;
  bool by_address;  // base_offset = (address >> 7) & 7, else 0

  __host__ __device__ uint32_t first_pixel() const { return dh * pitch + dw; }
};

__device__ void write_unit_matrix(unsigned char* unit) {
  for (uint32_t i = threadIdx.x; i < kChannels * kChannels; i += blockDim.x) {
    const uint32_t n = i / kChannels;
    const uint32_t k = i % kChannels;
    *reinterpret_cast<__half*>(unit + cuda::swizzle_128(n * kRowBytes + 2 * k)) =
        __float2half(n == k ? 1.0f : 0.0f);
  }
}

__device__ void multiply_window(float (&sum)[32], uint32_t halo, uint32_t unit,
                                const Case& shifted) {
  const uint32_t start = halo + shifted.first_pixel() * kRowBytes;
  const uint64_t a =
      cuda::wgmma_descriptor({start, 16, shifted.pitch * kRowBytes, cuda::Swizzle::k128,
                              shifted.by_address ? start >> 7 : 0});
  const uint64_t b = cuda::wgmma_descriptor({unit, 16, 8 * kRowBytes, cuda::Swizzle::k128});
  ptx::wgmma_fence();
#pragma unroll
  for (uint32_t k = 0; k < 4; ++k) {
    ptx::wgmma_k16_f16(sum, cuda::wgmma_descriptor_advance(a, 32 * k),
                       cuda::wgmma_descriptor_advance(b, 32 * k), k != 0);
  }
  ptx::wgmma_commit_group();
  ptx::wgmma_wait_group<0>();
}

__global__ void __launch_bounds__(128)
    read_window(const __grid_constant__ CUtensorMap map, Case shifted, float* product,
                __half* raw_halo, int* failed) {
  unsigned char* shared = ptx::dynamic_shared();
  const uint32_t halo = ptx::shared_address(shared);
  const uint32_t unit = halo + kHaloBytes;
  const uint32_t loaded = unit + kUnitBytes;
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(loaded, 1);
    ptx::fence_mbarrier_init();
  }
  write_unit_matrix(shared + kHaloBytes);
  ptx::fence_proxy_async_shared();
  __syncthreads();  // the barrier is ready, and the unit matrix is there for wgmma
  if (threadIdx.x == 0) {
    ptx::mbarrier_arrive_expect_tx(loaded, kRows * shifted.pitch * kRowBytes);
    ptx::cp_async_bulk_tensor_4d(halo, &map, loaded, 0, 0, 0, 0);
  }
  Waiter{failed}.wait(loaded, 0);
  __syncthreads();
  float sum[32];
  multiply_window(sum, halo, unit, shifted);
#pragma unroll
  for (uint32_t i = 0; i < 32; ++i) {
    const uint32_t lane = threadIdx.x % 32;
    const uint32_t m = threadIdx.x / 32 * 16 + lane / 4 + i % 4 / 2 * 8;
    const uint32_t n = i / 4 * 8 + lane % 4 * 2 + i % 2;
    product[m * kChannels + n] = sum[i];
  }
  const uint32_t elements = kRows * shifted.pitch * kChannels;
  for (uint32_t i = threadIdx.x; i < elements; i += blockDim.x) {
    raw_halo[i] = reinterpret_cast<const __half*>(shared)[i];
  }
}

// Exact in f16, and another one for each chunk of a pixel.
constexpr uint32_t input_value(uint32_t row, uint32_t column, uint32_t channel) {
  return ((row * kMostPitch + column) * kChannels + channel) * 37 % 2003;
}

struct Outcome {
  int wrong_products = 0;
  int wrong_halo = 0;
};

Outcome count_wrong(const Case& shifted, const std::vector<float>& product,
                    const std::vector<__half>& raw) {
  Outcome outcome;
  for (uint32_t m = 0; m < 64; ++m) {
    for (uint32_t c = 0; c < kChannels; ++c) {
      const uint32_t expected = input_value(m / 8 + shifted.dh, m % 8 + shifted.dw, c);
      // Not `!=`: NaN is wrong, too.
      outcome.wrong_products +=
          !(product[m * kChannels + c] == static_cast<float>(expected)) ? 1 : 0;
    }
  }
  for (uint32_t i = 0; i < kRows * shifted.pitch * kChannels; ++i) {
    const uint32_t pixel = i / kChannels;
    const uint32_t expected =
        input_value(pixel / shifted.pitch, pixel % shifted.pitch, i % kChannels);
    const float got = __half2float(raw[cuda::swizzle_128(2 * i) / 2]);
    outcome.wrong_halo += !(got == static_cast<float>(expected)) ? 1 : 0;
  }
  return outcome;
}

Outcome run_case(const Case& shifted, __half* input) {
  const Tensor tensor =
      dense(CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 2, input, {kChannels, kMostPitch, kRows, 1});
  const CUtensorMap map =
      tiled_map(tensor, {kChannels, shifted.pitch, kRows, 1}, CU_TENSOR_MAP_SWIZZLE_128B);
  const Buffer<float> product(64 * kChannels, 0xff);
  const Buffer<__half> raw(kRows * kMostPitch * kChannels, 0xff);
  const Buffer<int> failed(1, 0);
  allow_shared(read_window, kShared);
  launch(read_window, {1, 128, kShared}, map, shifted, product.get(), raw.get(), failed.get());
  check(cudaDeviceSynchronize(), "read_window");
  if (failed.read()[0] != 0) {
    throw std::runtime_error("the TMA load did not arrive within a second");
  }
  return count_wrong(shifted, product.read(), raw.read());
}

std::string name_of(const Case& shifted) {
  return "pitch " + std::to_string(shifted.pitch) + ", dh " + std::to_string(shifted.dh) + ", dw " +
         std::to_string(shifted.dw) + ", base_offset " + (shifted.by_address ? "(addr>>7)&7" : "0");
}

// Are all windows of a pitch right under a rule? Prints each.
bool all_right(Report& report, __half* input, uint32_t pitch, bool by_address) {
  bool right = true;
  for (uint32_t dh = 0; dh < 3; ++dh) {
    for (uint32_t dw = 0; dw < (pitch == 8 ? 1u : 3u); ++dw) {
      report.check_time();
      const Case shifted{pitch, dh, dw, by_address};
      const Outcome outcome = run_case(shifted, input);
      report.measured("wrong of 4096 products: " + name_of(shifted), outcome.wrong_products,
                      "values", by_address && pitch != 8 ? "? " : "0 [E]");
      if (outcome.wrong_halo != 0) {
        report.wrong("TMA did not swizzle by absolute address: " + name_of(shifted));
      }
      right = right && outcome.wrong_products == 0;
    }
  }
  return right;
}

std::string verdict(const bool (&dense_halo)[2], const bool (&padded_halo)[2]) {
  const char* rules[] = {"0", "(addr>>7)&7"};
  for (int rule = 0; rule < 2; ++rule) {
    if (dense_halo[rule]) {
      return std::string("H2 shifts descriptors in a dense halo, base_offset ") + rules[rule];
    }
  }
  for (int rule = 0; rule < 2; ++rule) {
    if (padded_halo[rule]) {
      return std::string("H2 shifts descriptors in a halo of 16 pixels a row, base_offset ") +
             rules[rule];
    }
  }
  return "H2 loads one halo per dw (column copies, boxes {64, 8, 18})";
}

void measure(Report& report) {
  std::vector<__half> values;
  for (uint32_t i = 0; i < kRows * kMostPitch * kChannels; ++i) {
    const uint32_t pixel = i / kChannels;
    values.push_back(__float2half(
        static_cast<float>(input_value(pixel / kMostPitch, pixel % kMostPitch, i % kChannels))));
  }
  const Buffer<__half> input(values);
  for (const bool by_address : {false, true}) {
    if (!all_right(report, input.get(), 8, by_address)) {
      report.wrong("unshifted columns (pitch 8) are wrong: descriptor or layout misunderstood");
    }
  }
  bool dense_halo[2];
  bool padded_halo[2];
  for (int rule = 0; rule < 2; ++rule) {
    dense_halo[rule] = all_right(report, input.get(), 10, rule == 1);
    padded_halo[rule] = all_right(report, input.get(), 16, rule == 1);
  }
  report.decides("H2 halo",
                 "if every window of the dense halo (pitch 10) is right under one rule, use it; "
                 "else of the padded halo (pitch 16); else load column copies",
                 verdict(dense_halo, padded_halo));
}

}  // namespace
}  // namespace tconv::probes

int main(int argc, char** argv) {
  return tconv::probes::run(argc, argv,
                            {"shifted_descriptor",
                             "Does a wgmma descriptor that starts at any pixel of a swizzled halo "
                             "read the shifted window, "
                             "and with which base_offset?",
                             tconv::probes::About::Needs::kHopper},
                            tconv::probes::measure);
}
