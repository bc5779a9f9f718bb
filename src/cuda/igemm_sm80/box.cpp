// SPDX-License-Identifier: Apache-2.0
// box.cpp: see box.h.
#include "src/cuda/igemm_sm80/box.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <span>

#include "src/cuda/igemm_sm80/cost.h"
#include "src/cuda/igemm_sm80/traffic.h"

namespace tconv::host {
namespace {

int32_t narrow(int64_t x) { return static_cast<int32_t>(x); }

/// The shape of a box, as logarithms.
struct Box {
  int n, h, w;
};

/// The axis in boxes of 1 << log_box positions.
IgemmAxis cut(const AxisDecomposition& parts, int64_t step, int log_box, int64_t halo) {
  const Axis& axis = parts.axis;
  const int64_t positions = ceil_div(ceil_div(axis.out, axis.stride), step);
  return {.in = narrow(axis.in),
          .out = narrow(axis.out),
          .stride = narrow(axis.stride),
          .input_step = narrow(step),
          .positions = narrow(ceil_div(axis.out, axis.stride)),
          .tiles = narrow(ceil_div(positions, int64_t{1} << log_box)),
          .log_box = log_box,
          .window = Divisor(narrow((int64_t{1} << log_box) + halo))};
}

/// Rows of 64 bytes need rows in memory whose parity is that of the index that readers count by
/// (src/cuda/common/smem.cuh): one pixel more where a group of 8 positions spans rows or images.
void lay_out_window(const IgemmTile& tile, const Box& box, IgemmParams& p) {
  const auto odd = [](int64_t x) { return x % 2 != 0; };
  const bool parity = tile.row_bytes == 64;
  p.pitch = p.w.window.divisor;
  if (parity && box.w < 3 && odd(p.pitch) != (box.w == 0)) ++p.pitch;
  p.by_pitch = Divisor(p.pitch);
  p.image_pitch = p.h.window.divisor * p.pitch;
  if (parity && box.w + box.h < 3 && odd(p.image_pitch) != (box.w + box.h == 0)) ++p.image_pitch;
  p.window_pixels = p.h.window.divisor * p.w.window.divisor << box.n;
}

/// What the blocks write: the output, or shares of the sums, f32 and dense, in the workspace.
struct Written {
  Strides strides, residual;
  bool has_residual, aligned;
};
Written written_by(const Problem& problem, const IgemmParams& p) {
  const ProblemDesc& d = problem.desc();
  if (p.splits > 1) return {dense_strides(d.layout, problem.output_extents()), {}, false, true};
  return {d.output_strides, d.residual_strides, d.has_residual, d.alignment % 16 == 0};
}

/// NHWC: whether runs of 8 channels are aligned to a run.
bool channels_are_runs(const Problem& problem, const Written& to) {
  const auto multiples = [](const Strides& s) {
    return s.n % 8 == 0 && s.h % 8 == 0 && s.w % 8 == 0;
  };
  return to.aligned && problem.out_c_per_group() % 8 == 0 && multiples(to.strides) &&
         (!to.has_residual || multiples(to.residual));
}

/// NCHW: whether the outputs of every line of a block are runs of 8 that are aligned to a run: all
/// phases of W of 8 / stride neighbouring positions.
bool lines_are_runs(const Written& to, const IgemmParams& p) {
  const auto multiples = [](const Strides& s) {
    return s.n % 8 == 0 && s.c % 8 == 0 && s.h % 8 == 0;
  };
  const int32_t stride = p.w.stride;
  if (!to.aligned || !multiples(to.strides) || p.w.out % 8 != 0 ||
      (to.has_residual && !multiples(to.residual)) || p.w.input_step != 1 || stride > 8 ||
      !std::has_single_bit(static_cast<unsigned>(stride)) || stride << p.w.log_box < 8) {
    return false;
  }
  const auto in_line = [&](const IgemmGroup& group, int i) -> const IgemmSlot& {
    return p.slots[group.first_slot + static_cast<int>(group.line_order >> 4 * i & 15)];
  };
  for (const IgemmGroup& group : std::span(p.groups, static_cast<std::size_t>(p.group_count))) {
    const int32_t phases = in_line(group, 0).columns / p.out_channels.divisor;
    if (group.slots_per_line * phases != stride || group.channel_tiles != group.column_tiles) {
      return false;
    }
    for (int i = 0; i < group.slots_per_line; ++i) {
      const IgemmSlot& slot = in_line(group, i);
      if (slot.phase_w != i * phases || (phases > 1 && slot.column_step != 1)) return false;
    }
  }
  return true;
}

/// The tensor that the blocks write, and whether runs of it can be written at once.
void fill_in_outputs(const Problem& problem, IgemmParams& p) {
  const Written to = written_by(problem, p);
  p.output_n = to.strides.n, p.output_h = to.strides.h;
  p.output_w = to.strides.w, p.output_c = to.strides.c;
  p.split_elements = p.splits > 1 ? problem.output_extents().count() : 0;
  const bool runs = p.channels_last != 0 ? channels_are_runs(problem, to) : lines_are_runs(to, p);
  p.wide_stores = runs ? 1 : 0;
}

/// Bytes between the first and the last pixel of a window: what a 32-bit offset must hold.
int64_t window_span(const Box& box, const IgemmParams& p) {
  const auto last = [](const IgemmAxis& axis) {
    return std::min<int64_t>(int64_t{axis.window.divisor - 1} * axis.input_step, axis.in - 1);
  };
  const int64_t images = std::min<int64_t>(int64_t{1} << box.n, p.batch) - 1;
  return images * p.input_n + last(p.h) * p.input_h + last(p.w) * p.input_w;
}

constexpr int64_t kStageAlignment = 128;
constexpr int64_t kPixelEntry = 8, kTapEntry = 4;

int64_t table_bytes(const IgemmTile& tile, const IgemmParams& p) {
  const int64_t lines = tile.m / tile.warp_m + 1;  // one for warps without columns
  const int64_t bytes = p.window_pixels * kPixelEntry + lines * p.most_taps * kTapEntry;
  return ceil_div(bytes, kStageAlignment) * kStageAlignment;
}

/// Bytes of shared memory: the tables of pixels and taps, the ring of windows, the ring of filters.
/// The epilogue stages where the rings were, or, if the filters stay, where the windows were.
int64_t lay_out_shared(const IgemmTile& tile, const Box& box, IgemmParams& p) {
  const auto align = [](int64_t bytes) {
    return ceil_div(bytes, kStageAlignment) * kStageAlignment;
  };
  const int64_t window = align((int64_t{p.image_pitch} << box.n) * tile.row_bytes);
  int64_t fewest = kIgemmMaxTaps, most = 0;
  for (int g = 0; g < p.group_count; ++g) {
    fewest = std::min<int64_t>(fewest, p.groups[g].iterations);
    most = std::max<int64_t>(most, p.groups[g].iterations);
  }
  p.most_taps = narrow(most * tile.slots);
  const int64_t stages = 1 + ceil_div(tile.ahead, fewest);
  p.window_bytes = static_cast<uint32_t>(window);
  p.window_stages = static_cast<uint32_t>(stages);
  const bool stay = p.stationary != 0;
  const int64_t windows = std::max(window * stages, stay ? align(tile.staging_bytes()) : 0);
  const int64_t chunks = ceil_div(p.channel_bytes, tile.row_bytes);
  const int64_t filters = (stay ? chunks * most : tile.ahead + 1) * tile.stage_bytes();
  p.filters_at = static_cast<uint32_t>(windows);
  p.filter_ring_bytes = static_cast<uint32_t>(filters);
  return table_bytes(tile, p) + std::max<int64_t>(windows + filters, tile.staging_bytes());
}

/// `plan` with this box filled in; refused if it does not fit.
IgemmPlan with_box(const IgemmSource& source, const IgemmTile& tile, const IgemmHalo& halo,
                   const Box& box, const DeviceFacts& device, IgemmPlan plan) {
  IgemmParams& p = plan.params;
  p.h = cut(source.h, source.step_h, box.h, halo.h);
  p.w = cut(source.w, source.step_w, box.w, halo.w);
  if (box.w == 0) p.pixel_pairs = 0;  // every other window would begin within a pair
  if (p.pixel_pairs != 0) p.w.window = Divisor(narrow(ceil_div(p.w.window.divisor, 2) * 2));
  p.batch_tiles = narrow(ceil_div(source.problem.desc().batch, int64_t{1} << box.n));
  if (int64_t{p.h.window.divisor} * p.w.window.divisor << box.n > kIgemmLargestSize) {
    plan.refused = "the window has too many pixels";
    return plan;
  }
  if (window_span(box, p) > kIgemmLargest32) {
    plan.refused = "a window spans more than 2 GiB";
    return plan;
  }
  p.log_box_n = box.n;
  p.splits = 1;
  p.stationary = 0;
  fill_in_outputs(source.problem, p);
  lay_out_window(tile, box, p);
  plan.shared_bytes = lay_out_shared(tile, box, p);
  if (plan.shared_bytes > device.shared_bytes_per_block) {
    plan.refused = "a window and its filters need " + std::to_string(plan.shared_bytes) +
                   " bytes of shared memory, " + device.name + " has " +
                   std::to_string(device.shared_bytes_per_block);
    return plan;
  }
  const int64_t boxes = igemm_boxes(p), blocks = boxes * p.units * p.conv_groups;
  if (blocks * kIgemmMaxSplits > kIgemmLargest32) {
    plan.refused = "more than 2^26 blocks";
    return plan;
  }
  p.boxes = p.box_step = narrow(boxes);
  p.gemm_blocks = narrow(blocks);
  add_costs(source.problem, tile, device, plan);
  return plan;
}

/// Where blocks leave cores idle, several share the chunks of channels of one, each an equal
/// number: the cheapest number of shares.
IgemmPlan with_best_split(const IgemmSource& source, const IgemmTile& tile,
                          const DeviceFacts& device, int64_t workspace_limit,
                          const IgemmPlan& plan) {
  const Problem& problem = source.problem;
  const int64_t chunks = ceil_div(plan.params.channel_bytes, tile.row_bytes);
  const int64_t outputs = problem.output_extents().count();
  if (plan.params.gemm_blocks >= device.cores * plan.resident || outputs > kIgemmLargest32)
    return plan;
  IgemmPlan best = plan;
  double best_clocks = igemm_choice_clocks(device, tile, plan);
  for (int64_t share = chunks - 1; share > 0; --share) {
    const int64_t splits = ceil_div(chunks, share);
    const int64_t bytes = splits * outputs * 4;
    if (splits > kIgemmMaxSplits || ceil_div(chunks, splits) != share ||
        (workspace_limit >= 0 && bytes > workspace_limit)) {
      continue;
    }
    IgemmPlan next = plan;
    next.params.splits = narrow(splits);
    next.params.chunks_of_split = narrow(share);
    next.params.gemm_blocks = narrow(plan.params.gemm_blocks * splits);
    next.workspace_bytes = bytes;
    fill_in_outputs(problem, next.params);
    next.traffic.output_bytes = igemm_output_bytes(problem, tile, next.params);
    const double clocks = igemm_choice_clocks(device, tile, next);
    if (clocks >= best_clocks) continue;
    best = next;
    best_clocks = clocks;
  }
  return best;
}

/// Where there are more boxes than blocks run at once, and all filters of a unit fit beside the
/// windows: a block computes every so manieth box, and copies its filters once.
std::optional<IgemmPlan> with_stationary_filters(const IgemmSource& source, const IgemmTile& tile,
                                                 const Box& box, const DeviceFacts& device,
                                                 IgemmPlan plan) {
  IgemmParams& p = plan.params;
  p.stationary = 1;
  plan.shared_bytes = lay_out_shared(tile, box, p);
  if (p.gemm_blocks == 0 || plan.shared_bytes > device.shared_bytes_per_block) return std::nullopt;
  add_costs(source.problem, tile, device, plan);  // how many blocks an SM holds
  const int64_t filters = int64_t{p.units} * p.conv_groups;
  const int64_t at_once = std::max<int64_t>(1, int64_t{device.cores} * plan.resident / filters);
  const int64_t turns = ceil_div(p.boxes, at_once);
  if (turns == 1) return std::nullopt;
  p.box_step = narrow(ceil_div(p.boxes, turns));  // as few blocks as take as many turns
  p.gemm_blocks = narrow(p.box_step * filters);
  add_costs(source.problem, tile, device, plan);
  return plan;
}

/// Along each axis, the largest box worth considering: with positions that do not exist, no larger
/// than it takes to fill a tile.
Box largest_box(const IgemmSource& source, int log_m) {
  const auto log_of = [](int64_t extent) {
    return static_cast<int>(std::bit_width(static_cast<uint64_t>(extent - 1)));
  };
  const auto positions = [](const AxisDecomposition& parts, int64_t step) {
    return ceil_div(ceil_div(parts.axis.out, parts.axis.stride), step);
  };
  Box most = {.n = log_of(source.problem.desc().batch),
              .h = log_of(positions(source.h, source.step_h)),
              .w = log_of(positions(source.w, source.step_w))};
  most.w = std::max(most.w, log_m - most.n - most.h);
  return most;
}

}  // namespace

IgemmPlan with_best_box(const IgemmSource& source, const IgemmTile& tile, const IgemmHalo& halo,
                        const DeviceFacts& device, int64_t workspace_limit, const IgemmPlan& plan) {
  const int log_m = std::countr_zero(static_cast<unsigned>(tile.m));
  IgemmPlan best;
  bool found = false;
  double best_clocks = 0;
  const auto consider = [&](const IgemmPlan& next) {
    const double clocks = igemm_choice_clocks(device, tile, next);
    if (found && clocks >= best_clocks) return;
    best = next;
    best_clocks = clocks;
    found = true;
  };
  const Box most = largest_box(source, log_m);
  for (int n = 0; n <= std::min(most.n, log_m); ++n) {
    for (int h = 0; h <= std::min(most.h, log_m - n); ++h) {
      const Box box = {n, h, log_m - n - h};
      if (box.w > most.w) continue;
      const IgemmPlan next = with_box(source, tile, halo, box, device, plan);
      if (!next.refused.empty()) {
        if (!found) best.refused = next.refused;
        continue;
      }
      consider(with_best_split(source, tile, device, workspace_limit, next));
      if (const auto stationary = with_stationary_filters(source, tile, box, device, next)) {
        consider(*stationary);
      }
    }
  }
  return best;
}

}  // namespace tconv::host
