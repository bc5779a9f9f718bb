// SPDX-License-Identifier: Apache-2.0
// prediction.cpp: see prediction.h.
#include "src/cuda/igemm_sm80/prediction.h"

#include <algorithm>
#include <cmath>

#include "src/cuda/igemm_sm80/cost.h"

namespace tconv::host {
namespace {

double boxes_of(const IgemmParams& p) {
  return static_cast<double>(igemm_boxes(p)) * p.conv_groups;
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
  const auto output = static_cast<double>(problem.output_extents().count()) *
                      static_cast<double>(size_of(problem.desc().output_dtype));
  if (p.units == 0) return output;  // no output has a tap
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

Prediction predict_igemm(const Problem& problem, const IgemmTile& tile, const IgemmPlan& plan,
                         const DeviceFacts& device) {
  const IgemmParams& p = plan.params;
  Prediction result;
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
  result.issued_macs = plan.issued_macs;
  result.l2 = plan.traffic;
  result.dram_bytes = dram_bytes(problem, p, device, plan.traffic.input, at_once);
  return result;
}

}  // namespace tconv::host
