// SPDX-License-Identifier: Apache-2.0
// probe_nchw.cu: TMA boxes of 64 pixels x 64 channels of an NCHW f16 input that start at any pixel
// along W, the innermost dimension: are they right, and how fast? Not yet run on a GPU.
#include <cuda_fp16.h>

#include <algorithm>

#include "bench/probes/tma_rate.cuh"

namespace tconv::probes {
namespace {

constexpr int32_t kW = 128;
constexpr int32_t kH = 32;
constexpr int32_t kC = 64;
constexpr int32_t kN = 16;
constexpr int32_t kBoxW = 64;  // 128 bytes: the span of the swizzle
constexpr uint32_t kBoxBytes = kBoxW * kC * 2;

// Rows of all images in turn, both halves, shifted along W.
struct ShiftedLoader {
  CUtensorMap map;
  int32_t shift;

  __device__ void issue(uint32_t index, uint32_t shared, uint32_t barrier) const {
    const auto box = static_cast<int32_t>((index + blockIdx.x * 37) & 0xffffff);
    cuda::ptx::cp_async_bulk_tensor_4d(shared, &map, barrier, box % 2 * kBoxW + shift, box / 2 % kH,
                                       0, box / 2 / kH % kN);
  }
};

struct OneBox {
  CUtensorMap map;
  int32_t w, h;
  __device__ void issue(uint32_t, uint32_t shared, uint32_t barrier) const {
    cuda::ptx::cp_async_bulk_tensor_4d(shared, &map, barrier, w, h, 0, 1);
  }
};

float value(int n, int c, int h, int w) {
  return w < 0 || w >= kW ? 0.0f
                          : static_cast<float>((((n * kC + c) * kH + h) * kW + w) * 5 % 2039 + 1);
}

// How many elements of the box that starts at (w, h) of image 1 are not those of the tensor.
int wrong_elements(const CUtensorMap& map, int w, int h) {
  const auto box = load_box<__half>(OneBox{map, w, h}, kBoxBytes);
  int wrong = 0;
  for (int c = 0; c < kC; ++c) {
    for (int i = 0; i < kBoxW; ++i) {
      const float got = __half2float(box[static_cast<std::size_t>(c * kBoxW + i)]);
      wrong += !(got == value(1, c, h, w + i)) ? 1 : 0;
    }
  }
  return wrong;
}

void measure(Report& report) {
  std::vector<__half> values;
  values.reserve(std::size_t{kN} * kC * kH * kW);
  for (int i = 0; i < kN * kC * kH * kW; ++i) {
    values.push_back(__float2half(value(i / kW / kH / kC, i / kW / kH % kC, i / kW % kH, i % kW)));
  }
  const Buffer<__half> input(values);
  const CUtensorMap map =
      tiled_map(dense(CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 2, input.get(), {kW, kH, kC, kN}),
                {kBoxW, 1, kC, 1}, CU_TENSOR_MAP_SWIZZLE_128B);
  bool right = true;
  for (const int w : {0, 1, 2, 3, 5, 7, 8, 63, 65, 100, -1, -2, -3, -7, -8}) {
    const int wrong = wrong_elements(map, w, 3);
    report.measured("wrong of 4096 elements of the box that starts at w = " + std::to_string(w),
                    wrong, "elements", "0 [E]");
    right = right && wrong == 0;
  }
  if (!right) {
    report.wrong("a box of an NCHW tensor is not what the tensor map says");
  }
  double aligned = 0;
  double slowest = 1e9;
  for (const int32_t shift : {0, 32, 8, 1, 3, -1}) {
    const Rate rate = measure_tma(report, ShiftedLoader{map, shift}, kBoxBytes);
    print_rate(report, "boxes shifted by " + std::to_string(shift) + " pixels", rate,
               shift == 0 ? "5.5 [E]" : "70 to 100 % of the unshifted rate [E]");
    aligned = shift == 0 ? rate.terabytes : aligned;
    slowest = std::min(slowest, rate.terabytes);
  }
  report.decides("NCHW loads on Hopper",
                 "if boxes are right and the slowest shift keeps 75 % of the unshifted rate, each "
                 "tap is loaded by a shifted box; else the aligned halo is loaded once and packed "
                 "to [pixel][channel]",
                 right && slowest >= 0.75 * aligned ? "shifted boxes" : "aligned halo, packed");
}

}  // namespace
}  // namespace tconv::probes

int main(int argc, char** argv) {
  return tconv::probes::run(
      argc, argv,
      {"nchw", "Does TMA load NCHW boxes that start at any pixel, and at which rate?",
       tconv::probes::About::Needs::kHopper},
      tconv::probes::measure);
}
