// SPDX-License-Identifier: Apache-2.0
// igemm_plan.cpp: see igemm_plan.h.
#include "igemm_plan.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <span>

#include "decomposition.h"
#include "igemm_cost.h"
#include "igemm_slots.h"

namespace tconv::host {
namespace {

// Positions, coordinates and offsets within a box are 31-bit numbers in the kernel: with every size
// below this, and a box of at most 256 strides past the end, no sum of them is larger.
constexpr int64_t kLargestSize = int64_t{1} << 28;
constexpr int64_t kLargestStride = 65535;  // its square fits 32 bits: see IgemmReach
constexpr int64_t kLargestBox = 256;
constexpr int64_t kLargest32 = (int64_t{1} << 31) - 1;

int64_t element_bytes(const Problem& problem) {
  return static_cast<int64_t>(size_of(problem.desc().dtype));
}

int32_t narrow(int64_t x) { return static_cast<int32_t>(x); }

std::string axis_refused(const char* name, const Axis& original) {
  if (original.in == 0) return "the input is empty: nothing is multiplied";
  const Axis axis = normalise(original);
  const int64_t largest =
      std::max({axis.in, axis.out, axis.full(), std::abs(axis.pad_begin), axis.dilation});
  if (largest > kLargestSize || axis.stride > kLargestStride ||
      axis.stride * axis.dilation > kLargestSize / kLargestBox) {
    return std::string(name) + ": sizes above 2^28, or strides above 65535, are for other rows";
  }
  if (class_bound(original) > kIgemmMaxSlots + 1) {
    return std::string(name) + ": more than " + std::to_string(kIgemmMaxSlots) + " window classes";
  }
  return "";
}

std::string refused(const Problem& problem) {
  const ProblemDesc& d = problem.desc();
  if (problem.empty_output()) return "the output is empty: nothing is computed";
  if (std::string why = axis_refused("h", d.h); !why.empty()) return why;
  if (std::string why = axis_refused("w", d.w); !why.empty()) return why;
  if (d.in_c == 0) return "no input channels: nothing is multiplied";
  if (std::max({d.batch, d.in_c, d.out_c}) > kLargestSize ||
      normalise(d.w).stride * problem.out_c_per_group() > kLargest32) {
    return "batch or channels above 2^28 are for other rows";
  }
  if (problem.filter_bytes() > kLargest32) return "filters of 2 GiB and more are for other rows";
  return "";
}

// ---- The box. -----------------------------------------------------------------------------------

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
/// (src/cuda/smem.cuh): one pixel more where a group of 8 positions spans rows or images.
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

/// Taps from window row and column to bytes and swizzle key.
void place_taps(const IgemmTile& tile, IgemmParams& p) {
  if (p.group_count == 0) return;
  const int taps = p.groups[p.group_count - 1].end_tap;
  for (IgemmTap& tap : std::span(p.taps, static_cast<std::size_t>(taps))) {
    if ((tap.window & kIgemmEmpty) != 0) {
      tap.window = kIgemmNoTap;
      continue;
    }
    const uint32_t h = tap.window >> 16, w = tap.window & 0xffff;
    const uint32_t row = h * static_cast<uint32_t>(p.pitch) + w, key = w + (h << p.w.log_box);
    tap.window = row * static_cast<uint32_t>(tile.row_bytes) | (key & kIgemmKeyMask);
  }
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

int64_t table_bytes(const IgemmParams& p) {
  const int64_t bytes = p.window_pixels * kPixelEntry + p.most_taps * kTapEntry;
  return ceil_div(bytes, kStageAlignment) * kStageAlignment;
}

/// Bytes of shared memory: the tables of pixels and taps, the ring of windows, the ring of filters.
/// The epilogue stages where the rings were.
int64_t lay_out_shared(const IgemmTile& tile, const Box& box, IgemmParams& p) {
  const int64_t rows = int64_t{p.image_pitch} << box.n;
  const int64_t window = ceil_div(rows * tile.row_bytes, kStageAlignment) * kStageAlignment;
  int64_t fewest = kIgemmMaxTaps;
  p.most_taps = 0;
  for (int g = 0; g < p.group_count; ++g) {
    fewest = std::min<int64_t>(fewest, p.groups[g].iterations);
    p.most_taps = std::max(p.most_taps, p.groups[g].iterations * tile.slots);
  }
  const int64_t stages = 1 + ceil_div(tile.ahead, fewest);
  p.window_bytes = static_cast<uint32_t>(window);
  p.window_stages = static_cast<uint32_t>(stages);
  const int64_t rings = window * stages + int64_t{tile.ahead + 1} * tile.stage_bytes();
  return table_bytes(p) + std::max<int64_t>(rings, tile.staging_bytes());
}

/// `plan` with this box filled in; refused if it does not fit.
IgemmPlan with_box(const IgemmSource& source, const IgemmTile& tile, const IgemmHalo& halo,
                   const Box& box, const DeviceFacts& device, IgemmPlan plan) {
  IgemmParams& p = plan.params;
  p.h = cut(source.h, source.step_h, box.h, halo.h);
  p.w = cut(source.w, source.step_w, box.w, halo.w);
  p.batch_tiles = narrow(ceil_div(source.problem.desc().batch, int64_t{1} << box.n));
  if (int64_t{p.h.window.divisor} * p.w.window.divisor << box.n > kLargestSize) {
    plan.refused = "the window has too many pixels";
    return plan;
  }
  if (window_span(box, p) > kLargest32) {
    plan.refused = "a window spans more than 2 GiB";
    return plan;
  }
  p.log_box_n = box.n;
  p.splits = 1;
  fill_in_outputs(source.problem, p);
  lay_out_window(tile, box, p);
  plan.shared_bytes = lay_out_shared(tile, box, p);
  if (plan.shared_bytes > device.shared_bytes_per_block) {
    plan.refused = "a window and its filters need " + std::to_string(plan.shared_bytes) +
                   " bytes of shared memory, " + device.name + " has " +
                   std::to_string(device.shared_bytes_per_block);
    return plan;
  }
  const int64_t blocks = igemm_boxes(p) * p.units * p.conv_groups;
  if (blocks * kIgemmMaxSplits > kLargest32) {
    plan.refused = "more than 2^26 blocks";
    return plan;
  }
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
  if (plan.params.gemm_blocks >= device.cores * plan.resident || outputs > kLargest32) return plan;
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
    add_costs(problem, tile, device, next);
    const double clocks = igemm_choice_clocks(device, tile, next);
    if (clocks >= best_clocks) continue;
    best = next;
    best_clocks = clocks;
  }
  return best;
}

/// The cheapest of all boxes; equal ones: the widest rows.
IgemmPlan with_best_box(const IgemmSource& source, const IgemmTile& tile, const IgemmHalo& halo,
                        const DeviceFacts& device, int64_t workspace_limit, const IgemmPlan& plan) {
  const int log_m = std::countr_zero(static_cast<unsigned>(tile.m));
  IgemmPlan best;
  bool found = false;
  double best_clocks = 0;
  for (int n = 0; n <= log_m; ++n) {
    for (int h = 0; h <= log_m - n; ++h) {
      IgemmPlan next = with_box(source, tile, halo, {n, h, log_m - n - h}, device, plan);
      if (!next.refused.empty()) {
        if (!found) best.refused = next.refused;
        continue;
      }
      next = with_best_split(source, tile, device, workspace_limit, next);
      const double clocks = igemm_choice_clocks(device, tile, next);
      if (found && clocks >= best_clocks) continue;
      best = next;
      best_clocks = clocks;
      found = true;
    }
  }
  return best;
}

// ---- The parameters that do not depend on the box. ----------------------------------------------

IgemmReach reach_of(const AxisDecomposition& parts) {
  const Axis& axis = parts.axis;
  const int64_t gcd = std::gcd(axis.stride, axis.dilation), reduced = axis.stride / gcd;
  const auto to_unsigned = [](int64_t x) { return static_cast<uint32_t>(x); };
  return {.stride = to_unsigned(axis.stride),
          .pad = to_unsigned(floor_mod(axis.pad_begin, axis.stride)),
          .gcd = to_unsigned(gcd),
          .reduced_stride = to_unsigned(reduced),
          .inverse = to_unsigned(inverse_mod(axis.dilation / gcd, reduced)),
          .tap_phases = to_unsigned(std::min(reduced, axis.kernel))};
}

void fill_in_tensors(const Problem& problem, IgemmParams& p) {
  const ProblemDesc& d = problem.desc();
  p.batch = narrow(d.batch);
  p.channel_bytes = narrow(problem.in_c_per_group() * element_bytes(problem));
  p.out_channels = Divisor(narrow(problem.out_c_per_group()));
  p.conv_groups = narrow(d.groups);
  p.input_n = d.input_strides.n * element_bytes(problem);
  p.input_h = d.input_strides.h * element_bytes(problem);
  p.input_w = d.input_strides.w * element_bytes(problem);
  p.access = igemm_access(problem);
  p.filter_access = igemm_filter_access(problem);
  const FilterStrides filters = igemm_filter_strides(problem);
  p.filters_ihwo = igemm_filter_order(problem) == FilterOrder::ihwo ? 1 : 0;
  const int64_t filter_row = p.filters_ihwo != 0 ? filters.c : filters.k;
  p.filter_row = static_cast<uint32_t>(filter_row * element_bytes(problem));
  if (d.has_residual) {
    p.residual_n = d.residual_strides.n, p.residual_h = d.residual_strides.h;
    p.residual_w = d.residual_strides.w, p.residual_c = d.residual_strides.c;
  }
  p.input_c = d.input_strides.c * element_bytes(problem);
  p.channels_last = d.layout == Layout::nhwc ? 1 : 0;
}

int64_t fill_blocks(const IgemmSource& source) {
  if (source.h.tapless_phases == 0 && source.w.tapless_phases == 0) return 0;
  const int64_t outputs = source.problem.output_extents().count();
  return ceil_div(outputs, kIgemmFillThreads);
}

}  // namespace

FilterOrder igemm_filter_order(const Problem& problem) {
  const bool native =
      problem.desc().filter_order == FilterOrder::ihwo && element_bytes(problem) == 2;
  return native ? FilterOrder::ihwo : FilterOrder::hwoi;
}

FilterStrides igemm_filter_strides(const Problem& problem) {
  const ProblemDesc& d = problem.desc();
  if (igemm_filter_order(problem) == FilterOrder::ihwo) return problem.filter_strides();
  const int64_t tap = problem.out_c_per_group() * d.in_c;
  return {.r = d.w.kernel * tap, .s = tap, .k = d.in_c, .c = 1};
}

int igemm_access(const Problem& problem) {
  const ProblemDesc& d = problem.desc();
  int64_t access = std::gcd(int64_t{16}, int64_t{d.alignment});
  const auto has_rows = [&](int64_t elements) {
    access = std::gcd(access, elements * element_bytes(problem));
  };
  has_rows(problem.in_c_per_group());
  if (igemm_filter_order(problem) == FilterOrder::hwoi) has_rows(d.in_c);
  if (d.layout == Layout::nchw) return static_cast<int>(access);
  if (d.batch > 1) has_rows(d.input_strides.n);
  if (d.h.in > 1) has_rows(d.input_strides.h);
  if (d.w.in > 1) has_rows(d.input_strides.w);
  return static_cast<int>(access);
}

int igemm_filter_access(const Problem& problem) {
  const ProblemDesc& d = problem.desc();
  // Taps, channels and groups lie multiples of a row apart.
  const int64_t row = igemm_filter_order(problem) == FilterOrder::ihwo ? problem.out_c_per_group()
                                                                       : problem.in_c_per_group();
  return static_cast<int>(
      std::gcd(std::gcd(int64_t{16}, int64_t{d.alignment}), row * element_bytes(problem)));
}

IgemmPlan plan_igemm(const Problem& problem, const IgemmTile& tile, const DeviceFacts& device,
                     Math math, int64_t workspace_limit) {
  IgemmPlan plan;
  plan.refused = refused(problem);
  if (!plan.refused.empty()) return plan;
  if (igemm_filter_order(problem) == FilterOrder::ihwo && !igemm_is_wide(problem) &&
      !takes_unaligned_ihwo(tile)) {
    plan.refused = "takes filters in the order IHWO where all is aligned to 16 bytes";
    return plan;
  }
  if (problem.desc().dtype == DType::f32 && math == Math::tf32x3) {
    plan.products = 3;
    if (!has_room_for_3xtf32(tile)) plan.refused = "too few registers for the operands of 3xTF32";
    if (!plan.refused.empty()) return plan;
  }
  const IgemmSource source(problem);
  IgemmHalo halo;
  plan.tf32 = problem.desc().dtype == DType::f32;
  fill_in_tensors(problem, plan.params);
  plan.params.reach_h = reach_of(source.h);
  plan.params.reach_w = reach_of(source.w);
  plan.refused = add_groups(source, tile, plan.params, halo);
  if (!plan.refused.empty()) return plan;
  plan = with_best_box(source, tile, halo, device, workspace_limit, plan);
  if (!plan.refused.empty()) return plan;
  place_taps(tile, plan.params);
  // The sums of a split plan are added by a launch that writes all outputs.
  plan.fill_blocks = plan.params.splits > 1
                         ? ceil_div(problem.output_extents().count(), kIgemmFillThreads)
                         : fill_blocks(source);
  if (plan.fill_blocks > kLargest32) plan.refused = "more than 2^31 blocks";
  return plan;
}

}  // namespace tconv::host
