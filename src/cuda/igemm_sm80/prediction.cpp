// SPDX-License-Identifier: Apache-2.0
// prediction.cpp: see prediction.h.
#include "src/cuda/igemm_sm80/prediction.h"

#include <algorithm>
#include <cmath>

#include "src/cuda/igemm_sm80/cost.h"
#include "src/cuda/runtime/repack.h"

namespace tconv::host::igemm {
namespace {

double m_tiles_of(const Params& p) { return static_cast<double>(count_m_tiles(p)) * p.conv_groups; }

/// Half of L2 is what data can count on: each half of the chip keeps a copy of what it reads.
double bytes_that_stay(const DeviceFacts& device) {
  return static_cast<double>(device.l2_bytes) / 2;
}

/// A model. The N tiles of an M tile run side by side, so a window comes from memory once. Halos
/// come from L2 where a row of M tiles and the filters fit it, filters where they fit beside the
/// windows of the blocks that run at once; else halos are read with every M tile, filters with
/// every wave.
double dram_bytes(const Problem& problem, const Params& p, const DeviceFacts& device,
                  double window_bytes, double blocks_at_once) {
  const auto output = static_cast<double>(problem.output_extents().count()) *
                      static_cast<double>(size_of(problem.desc().output_dtype));
  if (p.n_tiles == 0) return output;  // no output has a tap
  const double m_tiles = m_tiles_of(p), windows = window_bytes / m_tiles / p.n_tiles;
  const auto filters = static_cast<double>(problem.filter_bytes());
  const double group_filters = filters / p.conv_groups, stays = bytes_that_stay(device);
  const double m_tiles_at_once = std::max(1.0, std::min(m_tiles, blocks_at_once / p.n_tiles));
  const double row = std::max<double>(p.w.tiles, m_tiles_at_once) * windows;
  const auto input = static_cast<double>(problem.input_extents().count()) *
                     static_cast<double>(size_of(problem.desc().dtype));
  const double read_input =
      row + group_filters <= stays ? std::min(input, m_tiles * windows) : m_tiles * windows;
  const bool filters_stay = m_tiles_at_once * windows + group_filters <= stays;
  const double waves =
      p.persistent_filters != 0 ? 1 : std::ceil(m_tiles / p.conv_groups / m_tiles_at_once);
  const double rest = problem.least_bytes() - input - filters;  // written once, read once
  return read_input + filters * (filters_stay ? 1 : waves) + std::max(rest, 0.0);
}

/// The launch before the first: filters into the order that the kernel reads.
void add_repack(const Problem& problem, const Plan& plan, const DeviceFacts& device,
                Prediction& result) {
  const auto elements = plan.repacked_bytes / element_bytes(problem);
  const auto blocks = static_cast<double>(ceil_div(elements, kRepackThreads));
  const int resident = std::max(1, device.threads_per_core / kRepackThreads);
  result.mode += " repack";
  result.blocks += blocks;
  result.waves += blocks / (static_cast<double>(device.cores) * resident);
  result.l2.filters += repack_l2_bytes(problem, plan);
  result.dram_bytes += 2 * static_cast<double>(plan.repacked_bytes);
}

}  // namespace

Prediction predict(const Problem& problem, const Tile& tile, const Plan& plan,
                   const DeviceFacts& device) {
  const Params& p = plan.params;
  Prediction result;
  result.mode = tile.sub_gemms == 1 ? "class" : "phases";
  if (p.split_k > 1) result.mode += " split " + std::to_string(p.split_k);
  if (p.persistent_filters != 0) result.mode += " persistent";
  result.box = std::to_string(1 << p.log_box_n) + "x" + std::to_string(1 << p.h.log_box) + "x" +
               std::to_string(1 << p.w.log_box);
  result.blocks = static_cast<double>(p.gemm_blocks + plan.second_launch_blocks);
  const double at_once = static_cast<double>(device.cores) * plan.resident;
  // M tiles of a block, one after the other, are as many waves.
  result.waves = (p.gemm_blocks * static_cast<double>(p.m_tiles) / std::max(p.m_tile_step, 1) +
                  static_cast<double>(plan.second_launch_blocks)) /
                 at_once;
  result.issued_macs = plan.issued_macs;
  result.l2 = plan.traffic;
  result.dram_bytes = dram_bytes(problem, p, device, plan.traffic.input, at_once);
  if (plan.repacked_bytes > 0 && p.gemm_blocks > 0) add_repack(problem, plan, device, result);
  return result;
}

}  // namespace tconv::host::igemm
