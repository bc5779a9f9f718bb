// SPDX-License-Identifier: Apache-2.0
// igemm_cost.cpp: see igemm_cost.h.
#include "igemm_cost.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <span>

#include "igemm_slots.h"

namespace tconv::host {
namespace {

constexpr int64_t kReservedShared = 1024;  // of each block, by the hardware

int64_t element_bytes(const Problem& problem) {
  return static_cast<int64_t>(size_of(problem.desc().dtype));
}

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

/// Of all boxes together, of one group of the problem.
struct BoxCost {
  double macs, window_bytes, filter_bytes;
};

/// A tensor core takes 32 bytes of channels at once.
double channels_issued(const Problem& problem) {
  const int64_t bytes = problem.in_c_per_group() * element_bytes(problem);
  return static_cast<double>(ceil_div(bytes, 32) * 32) /
         static_cast<double>(element_bytes(problem));
}

/// Pixels whose bytes a window moves: planes of NCHW come in sectors of 32 bytes along W. Those of
/// a few bytes share sectors with the next channel's, which L1 then has.
double pixels_moved(const Problem& problem, const IgemmParams& p) {
  if (p.input_channels_last != 0 || p.input_c < 32) return p.window_pixels;
  const double pixel = static_cast<double>(element_bytes(problem)) / 32, step = p.w.input_step;
  const double sectors = 1 + (p.w.window.divisor - 1) * step * pixel;
  const double rows = static_cast<double>(p.window_pixels) / p.w.window.divisor;
  return rows * std::min<double>(p.w.window.divisor, sectors) / pixel;
}

/// Bytes of whole sectors over those that a run of neighbouring outputs has.
double moved_over_useful(double run, bool aligned) {
  const double sectors = aligned ? std::ceil(run / 32) : 1 + (run - 2) / 32;
  return std::max(1.0, sectors * 32 / run);
}

/// Outputs that one store instruction after the other writes side by side, in bytes.
double output_run(const IgemmTile& tile, const IgemmParams& p, const IgemmGroup& group,
                  double element) {
  const IgemmSlot& slot = p.slots[group.first_slot];
  const int32_t phases = slot.columns / p.out_channels.divisor;
  const bool planes = p.channels_last == 0;
  const int32_t together = planes ? std::min(phases, tile.n >> group.log_channels) : phases;
  const bool tile_has_all = planes ? together == phases : slot.columns <= tile.n;
  const bool line = group.slots_per_line * phases == p.w.stride && tile_has_all &&
                    p.w.input_step == 1 && (planes || p.conv_groups == 1);
  const double channels = planes ? 1 : p.out_channels.divisor;
  if (line) return element * channels * static_cast<double>(int64_t{p.w.stride} << p.w.log_box);
  if (planes) return element * (slot.column_step == 1 ? together : 1);
  return element * std::min<double>(slot.columns, tile.n);
}

/// Split, every share of the sums is written as f32, and then read.
double output_bytes(const Problem& problem, const IgemmTile& tile, const IgemmParams& p) {
  const bool split = p.splits > 1;
  const auto element = static_cast<double>(split ? 4 : size_of(problem.desc().output_dtype));
  const auto all = static_cast<double>(problem.output_extents().count()) * element * p.splits;
  double share = 0, weight = 0;
  for (const IgemmGroup& group : std::span(p.groups, static_cast<std::size_t>(p.group_count))) {
    const double units = group.end_unit - group.first_unit;
    share += units * moved_over_useful(output_run(tile, p, group, element), p.wide_stores != 0);
    weight += units;
  }
  const double moved = all * (weight > 0 ? share / weight : 1);
  return split ? moved + all : moved * (problem.desc().has_residual ? 2 : 1);
}

/// Taps of a group's slots times the parts of boxes in which they meet the input: sorted by row and
/// column, for neighbouring taps ask the same.
double useful_taps(const IgemmTile& tile, const IgemmParams& p, const IgemmGroup& group,
                   const IgemmPart& part) {
  std::array<double, kIgemmMaxTaps + 1> rows, columns;
  rows.fill(-1), columns.fill(-1);
  const auto count = [](auto& known, const IgemmAxis& axis, int log_part, int64_t origin,
                        uint32_t t) {
    double& parts = known[t];
    if (parts < 0) parts = igemm_useful_parts(axis, log_part, origin, t);
    return parts;
  };
  const auto batch_parts = static_cast<double>(ceil_div(p.batch, int64_t{1} << part.n));
  double sum = 0;
  for (int i = 0; i < group.iterations * tile.slots; ++i) {
    const uint32_t window = p.taps[group.first_tap + i].window;
    if ((window & kIgemmEmpty) != 0) continue;
    sum += count(rows, p.h, part.h, group.origin_h, window >> 16) *
           count(columns, p.w, part.w, group.origin_w, window & 0xffff) * batch_parts;
  }
  return sum;
}

/// Taps of a group's slots.
double taps_of(const IgemmTile& tile, const IgemmParams& p, const IgemmGroup& group) {
  double count = 0;
  for (int i = 0; i < group.iterations * tile.slots; ++i) {
    count += (p.taps[group.first_tap + i].window & kIgemmEmpty) == 0 ? 1 : 0;
  }
  return count;
}

BoxCost box_cost(const Problem& problem, const IgemmTile& tile, const IgemmParams& p) {
  const auto bytes = static_cast<double>(problem.in_c_per_group() * element_bytes(problem));
  const double pixels = pixels_moved(problem, p);
  const IgemmPart part = igemm_part(tile, p), box = {p.log_box_n, p.h.log_box, p.w.log_box};
  BoxCost cost = {0, 0, 0};
  for (int g = 0; g < p.group_count; ++g) {
    const IgemmGroup& group = p.groups[g];
    const double units = group.end_unit - group.first_unit;
    cost.macs += useful_taps(tile, p, group, part) * tile.warp_m *
                 igemm_columns_multiplied(tile, p, group) * channels_issued(problem);
    cost.window_bytes += units * static_cast<double>(igemm_boxes(p)) * pixels * bytes;
    const double copies =
        p.stationary != 0 ? taps_of(tile, p, group) * p.box_step : useful_taps(tile, p, group, box);
    cost.filter_bytes += units * copies * tile.n * bytes;
  }
  return cost;
}

/// Clocks of an SM for all of a plan's blocks together.
double busy_clocks(const DeviceFacts& device, const IgemmPlan& plan) {
  const double macs_per_us =
      plan.tf32 ? device.tf32_tensor_macs_per_us : device.f16_tensor_macs_per_us;
  const double macs_per_clock =
      macs_per_us / (device.cores * device.clock_mhz) * tensor_share(device);
  const bool pieces = std::min(plan.params.access, plan.params.filter_access) < 16 ||
                      plan.params.input_channels_last == 0;
  const double cost = !pieces ? 1 : plan.params.pixel_pairs != 0 ? kPairsCost : kPiecesCost;
  const double bytes = plan.window_bytes * cost + plan.filter_bytes + plan.output_bytes;
  return std::max(plan.issued_macs / macs_per_clock, bytes / kL2BytesPerClock);
}

int resident_blocks(const IgemmTile& tile, const DeviceFacts& device, const IgemmPlan& plan) {
  const int64_t fit = device.shared_bytes_per_core / (plan.shared_bytes + kReservedShared);
  const int registers_fit =
      plan.products == 1 ? tile.blocks_per_sm : std::min(tile.blocks_per_sm, kIgemmBlocksOf3xTf32);
  return static_cast<int>(std::clamp<int64_t>(fit, 1, registers_fit));
}

double plan_clocks(const DeviceFacts& device, const IgemmTile& tile, const IgemmPlan& plan) {
  const IgemmParams& p = plan.params;
  const auto blocks = static_cast<double>(std::max<int32_t>(p.gemm_blocks, 1));
  // Boxes that a block computes one after the other cost what as many blocks would.
  const double turns = std::ceil(static_cast<double>(p.boxes) / std::max(p.box_step, 1));
  const double waves = std::ceil(blocks / (static_cast<double>(device.cores) * plan.resident));
  const double epilogue = kEpilogueClocks * tile.slots * tile.m * tile.n / (4 * 64 * 64);
  // Blocks of an SM share its tensor cores; one hides what the others wait for.
  const double in_turn = turns * std::min(waves * plan.resident, std::ceil(blocks / device.cores));
  const double all = blocks * p.boxes / std::max(p.box_step, 1);
  const double sum = p.splits > 1 ? kSecondLaunchUs * device.clock_mhz : 0;
  return in_turn * (busy_clocks(device, plan) / all + epilogue) + turns * waves * kPrologueClocks +
         sum;
}

}  // namespace

int64_t igemm_boxes(const IgemmParams& p) {
  return int64_t{p.h.tiles} * p.h.input_step * p.w.tiles * p.w.input_step * p.batch_tiles;
}

void add_costs(const Problem& problem, const IgemmTile& tile, const DeviceFacts& device,
               IgemmPlan& plan) {
  plan.resident = resident_blocks(tile, device, plan);
  const BoxCost cost = box_cost(problem, tile, plan.params);
  const auto conv_groups = static_cast<double>(problem.desc().groups);
  plan.issued_macs = conv_groups * cost.macs * plan.products;
  plan.window_bytes = conv_groups * cost.window_bytes;
  plan.filter_bytes = conv_groups * cost.filter_bytes;
  plan.output_bytes = output_bytes(problem, tile, plan.params);
}

double igemm_choice_clocks(const DeviceFacts& device, const IgemmTile& tile,
                           const IgemmPlan& plan) {
  const double l2 = (plan.window_bytes + plan.filter_bytes + plan.output_bytes) / kL2BytesPerClock;
  return plan_clocks(device, tile, plan) + (busy_clocks(device, plan) + l2) / device.cores;
}

double estimate_igemm_us(const Problem& problem, const IgemmTile& tile, const IgemmPlan& plan,
                         const DeviceFacts& device) {
  const double compute_us = plan_clocks(device, tile, plan) / device.clock_mhz;
  return kLaunchUs + std::max(compute_us, problem.least_bytes() / device.bytes_per_us);
}

double igemm_useful_parts(const IgemmAxis& axis, int log_part, int64_t origin, int64_t t) {
  const int64_t step = axis.input_step;
  double count = 0;
  for (int64_t subgrid = 0; subgrid < step; ++subgrid) {
    // Position i of the subgrid reads input  (i + t)*step + subgrid + origin.
    const int64_t first = std::max<int64_t>(ceil_div(-subgrid - origin, step) - t, 0);
    const int64_t end = std::min(ceil_div(axis.in - subgrid - origin, step) - t,
                                 ceil_div(axis.positions - subgrid, step));
    if (first < end) {
      count += static_cast<double>(((end - 1) >> log_part) - (first >> log_part) + 1);
    }
  }
  return count;
}

IgemmPart igemm_part(const IgemmTile& tile, const IgemmParams& p) {
  const int log_m = std::countr_zero(static_cast<unsigned>(tile.warp_m));
  const int w = std::min<int>(p.w.log_box, log_m), h = std::min<int>(p.h.log_box, log_m - w);
  return {.n = log_m - w - h, .h = h, .w = w};
}

double igemm_columns_multiplied(const IgemmTile& tile, const IgemmParams& p,
                                const IgemmGroup& group) {
  const int64_t repeats = (group.end_unit - group.first_unit) / group.column_tiles;
  const int64_t warp = tile.warp_n, columns = p.slots[group.first_slot].columns;
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

}  // namespace tconv::host
