// SPDX-License-Identifier: Apache-2.0
// probe_tma_boxes.cu: the rate of the boxes that the Hopper kernels load from an NHWC input in the
// L2 cache, and what an im2col map reads, exactly. Not yet run on a GPU.
#include <cuda_fp16.h>

#include "bench/probes/tma_rate.cuh"

namespace tconv::probes {
namespace {

constexpr int32_t kChannels = 64;
constexpr int32_t kSize = 64;  // W and H
constexpr int32_t kImages = 16;

// Boxes side by side, each starting `halo` pixels before its first one.
struct TiledLoader {
  CUtensorMap map;
  int32_t step_w, step_h, halo;

  __device__ void issue(uint32_t index, uint32_t shared, uint32_t barrier) const {
    const auto box = static_cast<int32_t>((index + blockIdx.x * 37) & 0xffffff);
    const int32_t across = kSize / step_w;
    const int32_t down = kSize / step_h;
    cuda::ptx::cp_async_bulk_tensor_4d(shared, &map, barrier, 0, box % across * step_w - halo,
                                       box / across % down * step_h - halo,
                                       box / across / down % kImages);
  }
};

// Columns of 128 pixels; taps in turn.
struct Im2colLoader {
  CUtensorMap map;

  __device__ void issue(uint32_t index, uint32_t shared, uint32_t barrier) const {
    const auto column = static_cast<int32_t>((index / 4 + blockIdx.x * 37) & 0xffffff);
    cuda::ptx::cp_async_bulk_tensor_4d_im2col(
        shared, &map, barrier, 0, -1, column % (kSize / 2) * 2 - 1, column / (kSize / 2) % kImages,
        static_cast<uint16_t>(index & 1), static_cast<uint16_t>(index >> 1 & 1));
  }
};

// ---- What an im2col column holds: a small image, so that rows and images wrap
// ---------------------
struct Small {
  static constexpr int kW = 9, kH = 8, kN = 4;
  static constexpr int kLower[2] = {-1, -2};
  static constexpr int kUpper[2] = {-3, -1};
  static constexpr int kStart = -1;  // w and h of the first pixel
  static constexpr uint16_t kOffsetW = 2, kOffsetH = 1;
  static constexpr int kPixels = 128;

  static float value(int n, int h, int w, int c) {
    const bool inside = n < kN && h >= 0 && h < kH && w >= 0 && w < kW;
    return inside ? static_cast<float>((((n * kH + h) * kW + w) * 7 + c) % 2039 + 1) : 0;
  }
};

struct OneColumn {
  CUtensorMap map;
  __device__ void issue(uint32_t, uint32_t shared, uint32_t barrier) const {
    cuda::ptx::cp_async_bulk_tensor_4d_im2col(shared, &map, barrier, 0, Small::kStart,
                                              Small::kStart, 0, Small::kOffsetW, Small::kOffsetH);
  }
};

// Is the column what walking the bounding box gives? `w` is the place of the corners of W in the
// driver's arrays.
bool column_matches(const std::vector<__half>& column, int w_place, bool start_is_relative) {
  const int low_w = Small::kLower[w_place];
  const int low_h = Small::kLower[1 - w_place];
  const int end_w = Small::kW + Small::kUpper[w_place];
  const int end_h = Small::kH + Small::kUpper[1 - w_place];
  int w = Small::kStart + (start_is_relative ? low_w : 0);
  int h = Small::kStart + (start_is_relative ? low_h : 0);
  int n = 0;
  for (int pixel = 0; pixel < Small::kPixels; ++pixel) {
    for (int c = 0; c < kChannels; ++c) {
      const float expected = Small::value(n, h + Small::kOffsetH, w + Small::kOffsetW, c);
      const std::size_t i = static_cast<std::size_t>(pixel) * kChannels + c;
      if (!(__half2float(column[i]) == expected)) {
        return false;
      }
    }
    if (++w >= end_w) {
      w = low_w;
      if (++h >= end_h) {
        h = low_h;
        ++n;
      }
    }
  }
  return true;
}

bool check_im2col(Report& report) {
  std::vector<__half> values;
  for (int i = 0; i < Small::kN * Small::kH * Small::kW * kChannels; ++i) {
    const int pixel = i / kChannels;
    values.push_back(
        __float2half(Small::value(pixel / Small::kW / Small::kH, pixel / Small::kW % Small::kH,
                                  pixel % Small::kW, i % kChannels)));
  }
  const Buffer<__half> input(values);
  const Tensor tensor = dense(CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 2, input.get(),
                              {kChannels, Small::kW, Small::kH, Small::kN});
  const OneColumn loader{im2col_map(tensor, {Small::kLower[0], Small::kLower[1]},
                                    {Small::kUpper[0], Small::kUpper[1]}, kChannels, Small::kPixels,
                                    CU_TENSOR_MAP_SWIZZLE_128B)};
  const auto column = load_box<__half>(loader, Small::kPixels * kChannels * 2);
  for (const int w_place : {0, 1}) {
    for (const bool relative : {false, true}) {
      if (column_matches(column, w_place, relative)) {
        report.observed("im2col column",
                        std::string("corners in the order ") + (w_place == 0 ? "W, H" : "H, W") +
                            ", coordinates " +
                            (relative ? "relative to the lower corner" : "of the tensor"),
                        "corners W, H; coordinates of the tensor [E]");
        return true;
      }
    }
  }
  report.wrong("no reading of the manual gives this im2col column");
  return false;
}

void measure(Report& report) {
  const bool im2col_understood = check_im2col(report);
  const std::size_t elements = std::size_t{kChannels} * kSize * kSize * kImages;
  const Buffer<__half> input(elements);
  launch(fill_random<__half>, {kFillBlocks, 256}, input.get(), static_cast<uint32_t>(elements), 1u);
  const Tensor tensor =
      dense(CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 2, input.get(), {kChannels, kSize, kSize, kImages});
  const auto tiled = [&](const char* what, cuuint32_t w, cuuint32_t h, int32_t step_w,
                         int32_t step_h, int32_t halo) {
    const TiledLoader loader{tiled_map(tensor, {kChannels, w, h, 1}, CU_TENSOR_MAP_SWIZZLE_128B),
                             step_w, step_h, halo};
    const Rate rate = measure_tma(report, loader, kChannels * w * h * 2);
    print_rate(report, what, rate, "5.5 [E]");
    return rate;
  };
  const Rate plain = tiled("box {64, 8, 16}: a tile", 8, 16, 8, 16, 0);
  const Rate halo = tiled("box {64, 10, 18}: a tile and its halo", 10, 18, 8, 16, 1);
  tiled("box {64, 8, 18}: one column copy of the halo", 8, 18, 8, 16, 1);
  tiled("box {64, 16, 8}", 16, 8, 16, 8, 0);
  tiled("box {64, 16, 16}", 16, 16, 16, 16, 0);
  const Im2colLoader columns{
      im2col_map(tensor, {-1, -1}, {-1, -1}, kChannels, 128, CU_TENSOR_MAP_SWIZZLE_128B)};
  const Rate im2col = measure_tma(report, columns, kChannels * 128 * 2);
  print_rate(report, "im2col, 128 pixels", im2col, "as tiled [E]");
  report.decides("halo box",
                 "if the halo box moves at least 85 % of the bytes of the plain box in the same "
                 "time, H2 loads a halo by one box; else by rows",
                 halo.terabytes >= 0.85 * plain.terabytes ? "one box" : "rows");
  report.decides("A loader of H1",
                 "if im2col is right and at least 85 % of tiled, it loads A wherever 16 x 8 boxes "
                 "waste over 15 %; else tiled boxes everywhere",
                 im2col_understood && im2col.terabytes >= 0.85 * plain.terabytes
                     ? "im2col and tiled"
                     : "tiled");
}

}  // namespace
}  // namespace tconv::probes

int main(int argc, char** argv) {
  return tconv::probes::run(
      argc, argv,
      {"tma_boxes",
       "At which rate does TMA load boxes {64, 8, 16}, {64, 10, 18} and im2col columns, and what "
       "does an im2col map read?",
       tconv::probes::About::Needs::kHopper},
      tconv::probes::measure);
}
