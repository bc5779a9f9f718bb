// SPDX-License-Identifier: Apache-2.0
// print_plan.cpp: the plan of one small problem as JSON, for the drawn example of the family's
// README (draw_example). What it prints are the planner's numbers and what the kernel's own index
// arithmetic (tile.cuh) makes of them.
//
//   print_plan_igemm_sm80 KEY        the tile that the planner takes on the device model h200
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "src/cuda/igemm_sm80/plan.h"
#include "src/host/device/device_models.h"
#include "src/host/problem/problem.h"
#include "tests/support/cuda_on_host/cuda_on_host.h"

using std::max;
using std::min;
#include "src/cuda/igemm_sm80/tile.cuh"

namespace tconv::test {
namespace {

using Json = nlohmann::ordered_json;
using namespace cuda::igemm;  // NOLINT(google-build-using-namespace): what is printed
namespace igemm = host::igemm;

constexpr int kLanes = 8;  // that ldmatrix serves at once

/// Filter tap (r, s) of a byte offset of the filters, HWOI.
Json filter_of(const host::Problem& problem, uint32_t offset) {
  const host::ProblemDesc& d = problem.desc();
  const int64_t tap = problem.filter_bytes() / (d.h.kernel * d.w.kernel);
  return {offset / tap / d.w.kernel, offset / tap % d.w.kernel};
}

/// Where the first lanes of the first warp of a sub-GEMM find chunk 0 of their pixels.
template <int kTileIndex>
Json lanes_of(const igemm::Params& p, uint32_t window) {
  constexpr int kRowBytes = Tiling<kTileIndex>::kRowBytes;
  Json lanes = Json::array();
  for (int lane = 0; lane < kLanes; ++lane) {
    const uint32_t row = window_row(p, lane) + window / kRowBytes;
    const uint32_t key = cuda::swizzle_key<kRowBytes>(static_cast<uint32_t>(lane) + window);
    lanes.push_back({{"row", row}, {"key", key}});
  }
  return lanes;
}

template <int kTileIndex>
Json sub_gemm_of(const host::Problem& problem, const igemm::Params& p, int index) {
  const igemm::SubGemm& sub_gemm = p.sub_gemms[index];
  Json taps = Json::array();
  for (int i = 0; i < p.groups[0].iterations; ++i) {
    const igemm::Tap& tap = p.taps[i * Tiling<kTileIndex>::kSubGemms + index];
    if ((tap.window & igemm::kNoTap) != 0) {
      taps.push_back(nullptr);
      continue;
    }
    const int row = static_cast<int>(tap.window / Tiling<kTileIndex>::kRowBytes);
    taps.push_back({{"filter", filter_of(problem, tap.filter)},
                    {"filter_bytes", tap.filter},
                    {"pixel", {row / p.pitch, row % p.pitch}},
                    {"window_bytes", row * Tiling<kTileIndex>::kRowBytes},
                    {"key", tap.window & igemm::kKeyMask},
                    {"lanes", lanes_of<kTileIndex>(p, tap.window)}});
  }
  return {{"phase", {sub_gemm.phase_h, sub_gemm.phase_w}},
          {"columns", sub_gemm.columns},
          {"taps", taps}};
}

/// The first image of the window: which pixel of the input each of its pixels is, null: zeros.
template <int kTileIndex>
Json window_of(const igemm::Params& p) {
  const Place place = place_of<kTileIndex>(p, 0, 0);
  const Corner corner = corner_of(p, place);
  const int rows = p.h.window.divisor, columns = p.w.window.divisor;
  Json pixels = Json::array();
  for (int i = 0; i < rows * columns; ++i) {
    const Pixel pixel = pixel_of<kTileIndex>(p, place, corner, i);
    const bool inside = pixel.offset != host::kNoInput;
    const int h = corner.h + i / columns, w = corner.w + i % columns;
    pixels.push_back({{"input", inside ? Json{h, w} : Json(nullptr)},
                      {"row", pixel.target / Tiling<kTileIndex>::kRowBytes}});
  }
  return {{"rows", rows},
          {"columns", columns},
          {"pitch", p.pitch},
          {"corner", {corner.h, corner.w}},
          {"image_pitch", p.image_pitch},
          {"pixels", pixels},
          {"bytes", p.window_bytes},
          {"stages", p.window_stages}};
}

template <int kTileIndex>
Json json_of(const host::Problem& problem, const igemm::Plan& plan) {
  using Tile = Tiling<kTileIndex>;
  const igemm::Params& p = plan.params;
  Json sub_gemms = Json::array();
  for (int i = 0; i < Tile::kSubGemms; ++i) {
    sub_gemms.push_back(sub_gemm_of<kTileIndex>(problem, p, i));
  }
  return {{"problem", problem.key()},
          {"input", {p.h.in, p.w.in}},
          {"output", {p.h.out, p.w.out}},
          {"stride", {p.h.stride, p.w.stride}},
          {"batch", p.batch},
          {"channel_bytes", p.channel_bytes},
          {"tile", Tile::kTile.name},
          {"m", Tile::kTile.m},
          {"n", Tile::kN},
          {"row_bytes", Tile::kRowBytes},
          {"threads", Tile::kThreads},
          {"warp", {Tile::kWarpM, Tile::kWarpN}},
          {"warps_per_sub_gemm", Tile::kWarpsPerSubGemm},
          {"prefetch_stages", Tile::kPrefetchStages},
          {"steps", Tile::kSteps},
          {"row_blocks", Tile::kRowBlocks},
          {"column_blocks", Tile::kColumnBlocks},
          {"filter_stage_bytes", Tile::kStageBytes},
          {"filter_ring_bytes", p.filter_ring_bytes},
          {"box", {1 << p.log_box_n, 1 << p.h.log_box, 1 << p.w.log_box}},
          {"m_tiles", p.m_tiles},
          {"n_tiles", p.n_tiles},
          {"blocks", p.gemm_blocks},
          {"iterations", p.groups[0].iterations},
          {"shared_bytes", plan.shared_bytes},
          {"window", window_of<kTileIndex>(p)},
          {"sub_gemms", sub_gemms}};
}

template <int kTileIndex = 0>
Json json_of(const host::Problem& problem, int tile, const igemm::Plan& plan) {
  if constexpr (kTileIndex < igemm::kTileCount) {
    return kTileIndex == tile ? json_of<kTileIndex>(problem, plan)
                              : json_of<kTileIndex + 1>(problem, tile, plan);
  } else {
    return nullptr;
  }
}

/// The tile with the lowest estimate.
int print(const std::string& key) {
  const host::Problem problem(host::parse_key(key));
  const host::DeviceFacts device = host::device_model("h200");
  int best = -1;
  double best_us = 0;
  igemm::Plan plan;
  for (int tile = 0; tile < igemm::kTileCount; ++tile) {
    const igemm::Plan next = igemm::plan_tile(problem, igemm::kTiles[tile], device);
    if (!next.refused.empty()) continue;
    const double us = igemm::estimate_us(problem, igemm::kTiles[tile], next, device);
    if (best >= 0 && us >= best_us) continue;
    best = tile, best_us = us, plan = next;
  }
  if (best < 0 || plan.params.group_count != 1 || plan.params.filters_ihwo != 0) {
    std::cerr << "print_plan: not a problem of one group with filters HWOI\n";
    return 1;
  }
  std::cout << json_of(problem, best, plan).dump(1) << "\n";
  return 0;
}

}  // namespace
}  // namespace tconv::test

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: print_plan KEY\n";
    return 2;
  }
  return tconv::test::print(argv[1]);
}
