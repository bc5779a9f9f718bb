// SPDX-License-Identifier: Apache-2.0
// prediction.cpp: see prediction.h.
#include "src/cuda/igemm_sm80/prediction.h"

#include <algorithm>
#include <cmath>

#include "src/cuda/igemm_sm80/copy_counters.h"

namespace tconv::host {
namespace {

constexpr int64_t kStepBytes = 32;  // channels of a product: 16, or 8 of TF32
constexpr double kMatrices = 4;     // of one ldmatrix; without conflicts a cycle each

double boxes_of(const IgemmParams& p) {
  return static_cast<double>(p.h.tiles) * p.h.input_step * p.w.tiles * p.w.input_step *
         p.batch_tiles * p.conv_groups;
}

double chunks_of(const IgemmTile& tile, const IgemmParams& p) {
  return static_cast<double>(ceil_div(p.channel_bytes, tile.row_bytes));
}

/// `count(group)` of a block, over all blocks.
template <typename Count>
double sum_of_blocks(const IgemmParams& p, Count&& count) {
  double sum = 0;
  for (int g = 0; g < p.group_count; ++g) {
    const IgemmGroup& group = p.groups[g];
    sum += boxes_of(p) * (group.end_unit - group.first_unit) * count(group);
  }
  return sum;
}

/// Matrix products: a warp leaves out steps of 32 bytes of channels past the last one, and taps
/// that none of its positions meets inside the input. Its other rows and columns it multiplies,
/// whether they exist or not.
double issued_macs(const IgemmTile& tile, const IgemmParams& p, int64_t element_bytes) {
  const int64_t channels = ceil_div(p.channel_bytes, kStepBytes) * (kStepBytes / element_bytes);
  const IgemmPart part = igemm_part(tile, p);
  double sum = 0;
  for (int g = 0; g < p.group_count; ++g) {
    const IgemmGroup& group = p.groups[g];
    double taps = 0;
    for (int i = 0; i < group.iterations * tile.slots; ++i) {
      taps += igemm::useful_parts(tile, p, group, part, i) * p.conv_groups;
    }
    sum += taps * tile.warp_m * igemm_columns_multiplied(tile, p, group) *
           static_cast<double>(channels);
  }
  return sum;
}

/// Fragments are loaded for every step, useful or not.
double ldmatrix_wavefronts(const IgemmTile& tile, const IgemmParams& p) {
  const int warps = tile.threads() / 32, steps = tile.row_bytes / 32;
  const int loads = tile.warp_m / 16 + tile.warp_n / 16;
  return sum_of_blocks(p, [&](const IgemmGroup& group) {
    return warps * chunks_of(tile, p) * group.iterations * steps * loads * kMatrices;
  });
}

void add(PredictedRequests& sum, const PredictedRequests& one) {
  sum.requests += one.requests;
  sum.sectors += one.sectors;
}

bool is_quick(Activation activation) {
  return activation == Activation::identity || activation == Activation::relu ||
         activation == Activation::leaky_relu || activation == Activation::clamp;
}

/// Outputs that no tap reaches are written element by element, in the order of the memory: at most
/// so many sectors.
PredictedRequests most_fills(const Problem& problem, const IgemmParams& p) {
  const auto count_reached = [](const IgemmReach& reach, int64_t out) {
    double count = 0;
    for (int64_t i = 0; i < out; ++i) count += reach.contains(static_cast<uint32_t>(i)) ? 1 : 0;
    return count;
  };
  const Extents out = problem.output_extents();
  const double reached_h = count_reached(p.reach_h, out.h);
  const double reached_w = count_reached(p.reach_w, out.w);
  const auto h = static_cast<double>(out.h), w = static_cast<double>(out.w);
  const auto n = static_cast<double>(out.n), channels = static_cast<double>(out.c);
  const auto element = static_cast<double>(size_of(problem.desc().output_dtype));
  // Of a run of neighbours, `written` are: warps meet it, each of which may share a sector with the
  // next.
  const auto run = [&](double length, double written) -> PredictedRequests {
    const double warps = length / 32 + 2;
    return {.requests = std::min(written, warps),
            .sectors = std::min(written, length * element / 32 + warps)};
  };
  PredictedRequests sum;
  const auto add_runs = [&](double times, const PredictedRequests& one) {
    sum.requests += times * one.requests;
    sum.sectors += times * one.sectors;
  };
  if (p.channels_last != 0) {
    add_runs(n * (h * w - reached_h * reached_w), run(channels, channels));
  } else {
    add_runs(n * channels * (h - reached_h), run(w, w));
    add_runs(n * channels * reached_h, run(w, w - reached_w));
  }
  return sum;
}

/// Half of L2 is what data can count on: each half of the chip keeps a copy of what it reads.
double bytes_that_stay(const DeviceFacts& device) {
  return static_cast<double>(device.l2_bytes) / 2;
}

/// A model. The units of a box run side by side, so a window comes from memory once. Halos come
/// from L2 where a row of boxes and the filters fit it, filters where they fit beside the windows
/// of the blocks that run at once; else halos are read with every box, filters with every wave.
double dram_bytes(const Problem& problem, const IgemmParams& p, const DeviceFacts& device,
                  double window_bytes, double blocks_at_once) {
  const double boxes = boxes_of(p), windows = window_bytes / boxes / p.units;
  const auto filters = static_cast<double>(problem.filter_bytes());
  const double group_filters = filters / p.conv_groups, stays = bytes_that_stay(device);
  const double boxes_at_once = std::max(1.0, std::min(boxes, blocks_at_once / p.units));
  const double row = std::max<double>(p.w.tiles, boxes_at_once) * windows;
  const auto input = static_cast<double>(problem.input_extents().count()) *
                     static_cast<double>(size_of(problem.desc().dtype));
  const double read_input =
      row + group_filters <= stays ? std::min(input, boxes * windows) : boxes * windows;
  const bool filters_stay = boxes_at_once * windows + group_filters <= stays;
  const double waves = p.stationary != 0 ? 1 : std::ceil(boxes / p.conv_groups / boxes_at_once);
  const double rest = problem.least_bytes() - input - filters;  // written once, read once
  return read_input + filters * (filters_stay ? 1 : waves) + std::max(rest, 0.0);
}

}  // namespace

PlanCounters count_igemm(const Problem& problem, const IgemmTile& tile, const IgemmPlan& plan,
                         const DeviceFacts& device) {
  const IgemmParams& p = plan.params;
  const ProblemDesc& d = problem.desc();
  PlanCounters result;
  result.mode = tile.slots == 1 ? "class" : "phases";
  if (p.splits > 1) result.mode += " split " + std::to_string(p.splits);
  if (p.stationary != 0) result.mode += " stationary";
  result.box = std::to_string(1 << p.log_box_n) + "x" + std::to_string(1 << p.h.log_box) + "x" +
               std::to_string(1 << p.w.log_box);
  result.blocks = static_cast<double>(p.gemm_blocks + plan.fill_blocks);
  const double at_once = static_cast<double>(device.cores) * plan.resident;
  // Boxes of a block one after the other are as many waves.
  result.waves = (p.gemm_blocks * static_cast<double>(p.boxes) / std::max(p.box_step, 1) +
                  static_cast<double>(plan.fill_blocks)) /
                 at_once;
  result.issued_macs = plan.products * issued_macs(tile, p, static_cast<int64_t>(size_of(d.dtype)));
  result.shared_wavefronts = ldmatrix_wavefronts(tile, p);

  const PredictedRequests windows = igemm::count_windows(tile, p, d.in_c);
  const PredictedRequests filters = igemm::count_filters(tile, p);
  // Rows that are aligned to 2 bytes, and pixels of planes, go through registers.
  add(p.access == 2 || p.input_channels_last == 0 ? result.loads : result.copies, windows);
  add(p.filter_access == 2 ? result.loads : result.copies, filters);
  result.filter_bytes = filters.bytes();

  const bool split = p.splits > 1;
  const auto bytes = static_cast<int64_t>(split ? sizeof(float) : size_of(d.output_dtype));
  const bool runs = p.wide_stores != 0 && (split || is_quick(d.activation));
  result.stores =
      igemm::count_outputs(tile, p, {p.output_n, p.output_h, p.output_w, p.output_c, bytes, runs});
  if (split) {
    const igemm::SumRequests sums = igemm::count_sums(problem, p);
    add(result.loads, sums.loads);
    add(result.stores, sums.stores);
  } else if (d.has_residual) {
    const PredictedRequests residual = igemm::count_outputs(
        tile, p, {p.residual_n, p.residual_h, p.residual_w, p.residual_c, bytes, runs});
    add(result.loads, residual);
  }
  if (plan.fill_blocks > 0 && !split) {
    const PredictedRequests fills = most_fills(problem, p);
    add(result.stores, fills);
    if (d.has_residual) add(result.loads, fills);
  }
  result.dram_bytes = dram_bytes(problem, p, device, windows.bytes(), at_once);
  return result;
}

}  // namespace tconv::host
