// SPDX-License-Identifier: Apache-2.0
// cost.cpp: see cost.h.
#include "src/cuda/igemm_sm80/cost.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <span>

namespace tconv::host::igemm {
namespace {

// mma.sync reaches about this share of the tensor cores' peak: 62 % of wgmma on Hopper, most of it
// where it is the only instruction. Model numbers.
double tensor_share(const DeviceFacts& device) { return device.sm == 90 ? 0.6 : 0.85; }
// 5.5 TB/s over 132 SMs at 1980 MHz.
constexpr double kL2BytesPerClock = 21;
// Channels that are not aligned rows come in pieces: more instructions for the same bytes. Pairs of
// pixels take half as many more.
constexpr double kPiecesCost = 2, kPairsCost = 1.5;
// Prologue and the fill of the pipeline; epilogue of a 64x64 warp tile.
constexpr double kPrologueClocks = 2000, kEpilogueClocks = 1500;
constexpr double kLaunchUs = 2.3, kSecondLaunchUs = 1.5;

/// A tensor core takes 32 bytes of channels at once.
double channels_issued(const Problem& problem) {
  const int64_t bytes = problem.in_c_per_group() * element_bytes(problem);
  return static_cast<double>(ceil_div(bytes, 32) * 32) /
         static_cast<double>(element_bytes(problem));
}

/// The positions that the warps with the same rows multiply: they leave out taps that none of these
/// needs.
Box warp_box(const Tile& tile, const Params& p) {
  const int log_m = std::countr_zero(static_cast<unsigned>(tile.warp_m));
  const int w = std::min<int>(p.w.log_box, log_m), h = std::min<int>(p.h.log_box, log_m - w);
  return {.n = log_m - w - h, .h = h, .w = w};
}

/// Columns of all N tiles of a group together that warps multiply, those past the last included
/// where the warp has others.
double columns_multiplied(const Tile& tile, const Params& p, const CtaSubGemms& group) {
  const int64_t repeats = (group.end_n_tile - group.first_n_tile) / group.n_tiles_per_repeat;
  const int64_t warp = tile.warp_n, columns = p.sub_gemms[group.first_sub_gemm].columns;
  const auto of_warps = [&](int64_t count) { return ceil_div(count, warp) * warp; };
  int64_t all = of_warps(columns);
  if (p.channels_last == 0) {
    // Tiles are rectangles of phases times channels: warps have several whole phases, or parts of
    // the channels of one.
    const int64_t channels = p.out_channels.divisor, phases = columns / channels;
    const int64_t width = int64_t{1} << group.log_channels;
    all =
        width < warp ? group.channel_tiles * of_warps(phases * width) : phases * of_warps(channels);
  }
  return static_cast<double>(repeats * all);
}

double issued_macs(const Problem& problem, const Tile& tile, const Params& p, Taps taps) {
  const Box part = warp_box(tile, p);
  double macs = 0;
  for (const CtaSubGemms& group : std::span(p.groups, static_cast<std::size_t>(p.group_count))) {
    macs += useful_taps(tile, p, taps, group, part) * tile.warp_m *
            columns_multiplied(tile, p, group) * channels_issued(problem);
  }
  return macs * p.conv_groups;
}

/// Clocks of an SM for all of a plan's blocks together: of its tensor cores, and of what it moves.
double mac_clocks(const DeviceFacts& device, const Plan& plan) {
  const double macs_per_us =
      plan.tf32 ? device.tf32_tensor_macs_per_us : device.f16_tensor_macs_per_us;
  const double macs_per_clock =
      macs_per_us / (device.cores * device.clock_mhz) * tensor_share(device);
  return plan.issued_macs / macs_per_clock;
}
double move_clocks(const Plan& plan) {
  const Params& p = plan.params;
  const bool pieces =
      std::min(p.vector_bytes, p.filter_vector_bytes) < 16 || p.input_channels_last == 0;
  const double cost = !pieces ? 1 : p.pixel_pairs != 0 ? kPairsCost : kPiecesCost;
  const L2Bytes& t = plan.traffic;
  return (t.input * cost + t.filters + t.output) / kL2BytesPerClock;
}

/// A launch of its own.
double repack_us(const Problem& problem, const Plan& plan, const DeviceFacts& device) {
  if (plan.repacked_bytes == 0) return 0;
  const double dram_us = 2 * static_cast<double>(plan.repacked_bytes) / device.bytes_per_us;
  const double l2_us = repack_l2_bytes(problem, plan) / l2_bytes_per_us(device);
  return kSecondLaunchUs + std::max(dram_us, l2_us);
}

int resident_blocks(const Tile& tile, const DeviceFacts& device, const Plan& plan) {
  const int64_t fit = device.shared_bytes_per_core / (plan.shared_bytes + kReservedSharedBytes);
  const int registers_fit =
      plan.products == 1 ? tile.blocks_per_sm : std::min(tile.blocks_per_sm, kBlocksOf3xTf32);
  return static_cast<int>(std::clamp<int64_t>(fit, 1, registers_fit));
}

double plan_clocks(const DeviceFacts& device, const Tile& tile, const Plan& plan) {
  const Params& p = plan.params;
  const auto blocks = static_cast<double>(std::max<int32_t>(p.gemm_blocks, 1));
  // M tiles that a block computes one after the other cost what as many blocks would.
  const double turns = std::ceil(static_cast<double>(p.m_tiles) / std::max(p.m_tile_step, 1));
  const double waves = std::ceil(blocks / (static_cast<double>(device.cores) * plan.resident));
  const double epilogue = kEpilogueClocks * tile.sub_gemms * tile.m * tile.n / (4 * 64 * 64);
  // Blocks of an SM share its tensor cores; one hides what the others wait for.
  const double in_turn = turns * std::min(waves * plan.resident, std::ceil(blocks / device.cores));
  const double all = blocks * p.m_tiles / std::max(p.m_tile_step, 1);
  const double sum = p.split_k > 1 ? kSecondLaunchUs * device.clock_mhz : 0;
  const double busy = std::max(mac_clocks(device, plan), move_clocks(plan));
  return in_turn * (busy / all + epilogue) + turns * waves * kPrologueClocks + sum;
}

}  // namespace

int64_t count_m_tiles(const Params& p) {
  return int64_t{p.h.tiles} * p.h.input_step * p.w.tiles * p.w.input_step * p.batch_tiles;
}

void add_costs(const Problem& problem, const Tile& tile, Taps taps, const DeviceFacts& device,
               Plan& plan) {
  plan.resident = resident_blocks(tile, device, plan);
  plan.issued_macs = issued_macs(problem, tile, plan.params, taps) * plan.products;
  plan.traffic = l2_traffic(problem, tile, plan.params, taps);
}

double repack_l2_bytes(const Problem& problem, const Plan& plan) {
  constexpr double kSector = 32;
  const auto bytes = static_cast<double>(plan.repacked_bytes);
  return bytes + bytes / static_cast<double>(element_bytes(problem)) * kSector;
}

double choice_clocks(const DeviceFacts& device, const Tile& tile, const Plan& plan) {
  const double moves = plan.traffic.sum() / kL2BytesPerClock;
  return plan_clocks(device, tile, plan) + (mac_clocks(device, plan) + moves) / device.cores;
}

double estimate_us(const Problem& problem, const Tile& tile, const Plan& plan,
                   const DeviceFacts& device) {
  const double compute_us = plan_clocks(device, tile, plan) / device.clock_mhz;
  return kLaunchUs + repack_us(problem, plan, device) +
         std::max(compute_us, problem.least_bytes() / device.bytes_per_us);
}

}  // namespace tconv::host::igemm
