// SPDX-License-Identifier: Apache-2.0
// probe_mn_major.cu: does wgmma take B straight from an NCHW box, pixels contiguous (MN-major), and
// which of the descriptor's two offsets is which? Exact integers. Not yet run on a GPU.
//
// X: 64 channels x 128 pixels of f16, loaded as two boxes of 64 pixels x 64 channels with 128-byte
// swizzle: one row of 128 bytes for each channel. A: the unit matrix. So the product of A and B, K
// = 64 channels, N = 128 pixels, is X itself.
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
constexpr uint32_t kPixels = 128;
constexpr uint32_t kBoxBytes = 64 * 128;
constexpr uint32_t kShared = 3 * kBoxBytes + 8;

// Between groups of eight channels, and between the two boxes.
constexpr uint32_t kGroupBytes = 8 * 128;

__global__ void __launch_bounds__(128)
    multiply_box(const __grid_constant__ CUtensorMap map, uint32_t leading, uint32_t stride,
                 float* product, int* failed) {
  unsigned char* shared = ptx::dynamic_shared();
  const uint32_t boxes = ptx::shared_address(shared);
  const uint32_t unit = boxes + 2 * kBoxBytes;
  const uint32_t loaded = unit + kBoxBytes;
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(loaded, 1);
    ptx::fence_mbarrier_init();
  }
  for (uint32_t i = threadIdx.x; i < kChannels * kChannels; i += blockDim.x) {
    const uint32_t place = cuda::swizzle_128(i / kChannels * 128 + 2 * (i % kChannels));
    *reinterpret_cast<__half*>(shared + 2 * kBoxBytes + place) =
        __float2half(i / kChannels == i % kChannels ? 1.0f : 0.0f);
  }
  ptx::fence_proxy_async_shared();
  __syncthreads();  // the barrier is ready, and the unit matrix is there for wgmma
  if (threadIdx.x == 0) {
    ptx::mbarrier_arrive_expect_tx(loaded, 2 * kBoxBytes);
    ptx::cp_async_bulk_tensor_2d(boxes, &map, loaded, 0, 0);
    ptx::cp_async_bulk_tensor_2d(boxes + kBoxBytes, &map, loaded, 64, 0);
  }
  Waiter{failed}.wait(loaded, 0);
  __syncthreads();
  const uint64_t a = cuda::wgmma_descriptor({unit, 16, 1024, cuda::Swizzle::k128});
  const uint64_t b = cuda::wgmma_descriptor({boxes, leading, stride, cuda::Swizzle::k128});
  float sum[kPixels / 2];
  ptx::wgmma_fence();
#pragma unroll
  for (uint32_t step = 0; step < 4; ++step) {  // 16 channels are two groups of eight rows
    ptx::wgmma_k16_f16<1>(sum, cuda::wgmma_descriptor_advance(a, 32 * step),
                          cuda::wgmma_descriptor_advance(b, 2 * kGroupBytes * step), step != 0);
  }
  ptx::wgmma_commit_group();
  ptx::wgmma_wait_group<0>();
#pragma unroll
  for (uint32_t i = 0; i < kPixels / 2; ++i) {
    const uint32_t lane = threadIdx.x % 32;
    const uint32_t m = threadIdx.x / 32 * 16 + lane / 4 + i % 4 / 2 * 8;
    const uint32_t n = i / 4 * 8 + lane % 4 * 2 + i % 2;
    product[m * kPixels + n] = sum[i];
  }
}

// Exact in f16; another one for each 16 bytes of a row, and for each row.
constexpr uint32_t input_value(uint32_t channel, uint32_t pixel) {
  return (channel * kPixels + pixel) * 37 % 2003;
}

int wrong_products(const CUtensorMap& map, uint32_t leading, uint32_t stride) {
  const Buffer<float> product(kChannels * kPixels, 0xff);
  const Buffer<int> failed(1, 0);
  allow_shared(multiply_box, kShared);
  launch(multiply_box, {1, 128, kShared}, map, leading, stride, product.get(), failed.get());
  check(cudaDeviceSynchronize(), "multiply_box");
  if (failed.read()[0] != 0) {
    throw std::runtime_error("the TMA loads did not arrive within a second");
  }
  const std::vector<float> got = product.read();
  int wrong = 0;
  for (uint32_t i = 0; i < kChannels * kPixels; ++i) {
    const auto expected = static_cast<float>(input_value(i / kPixels, i % kPixels));
    wrong += !(got[i] == expected) ? 1 : 0;  // NaN is wrong, too
  }
  return wrong;
}

void measure(Report& report) {
  std::vector<__half> values;
  for (uint32_t i = 0; i < kChannels * kPixels; ++i) {
    values.push_back(__float2half(static_cast<float>(input_value(i / kPixels, i % kPixels))));
  }
  const Buffer<__half> input(values);
  const CUtensorMap map =
      tiled_map(dense(CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 2, input.get(), {kPixels, kChannels}),
                {64, kChannels}, CU_TENSOR_MAP_SWIZZLE_128B);
  const int by_manual = wrong_products(map, kBoxBytes, kGroupBytes);
  report.measured("wrong of 8192 products, leading offset between boxes, stride between channels",
                  by_manual, "values", "0 [E]");
  const int exchanged = wrong_products(map, kGroupBytes, kBoxBytes);
  report.measured("wrong of 8192 products, the two offsets exchanged", exchanged, "values",
                  "over 4000 [E]");
  if (by_manual != 0 && exchanged != 0) {
    report.wrong("B straight from an NCHW box is wrong under both readings of the descriptor");
  }
  report.decides("NCHW operands of wgmma",
                 "if one reading is right, NCHW kernels feed wgmma from boxes as loaded, f16 and "
                 "bf16; else they pack to [pixel][channel]",
                 by_manual == 0   ? "boxes as loaded: leading offset between boxes of 64 pixels"
                 : exchanged == 0 ? "boxes as loaded, offsets exchanged"
                                  : "packed");
}

}  // namespace
}  // namespace tconv::probes

int main(int argc, char** argv) {
  return tconv::probes::run(argc, argv,
                            {"mn_major",
                             "Does wgmma take an MN-major B straight from an NCHW box, and with "
                             "which offsets in its descriptor?",
                             tconv::probes::About::Needs::kHopper},
                            tconv::probes::measure);
}
