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
#include "igemm_slots.h"

namespace tconv::host {
namespace {

// Positions, coordinates and offsets within a box are 31-bit numbers in the kernel: with every size
// below this, and a box of at most 256 strides past the end, no sum of them is larger.
constexpr int64_t kLargestSize = int64_t{1} << 28;
constexpr int64_t kLargestStride = 65535;  // its square fits 32 bits: see IgemmReach
constexpr int64_t kLargestBox = 256;
constexpr int64_t kLargest32 = (int64_t{1} << 31) - 1;
constexpr int64_t kReservedShared = 1024;  // of each block, by the hardware

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

/// Bytes between the first and the last pixel of a window: what a 32-bit offset must hold.
int64_t window_span(const Box& box, const IgemmParams& p) {
  const auto last = [](const IgemmAxis& axis) {
    return std::min<int64_t>(int64_t{axis.window.divisor - 1} * axis.input_step, axis.in - 1);
  };
  const int64_t images = std::min<int64_t>(int64_t{1} << box.n, p.batch) - 1;
  return images * p.input_n + last(p.h) * p.input_h + last(p.w) * p.input_w;
}

constexpr int64_t kStageAlignment = 128;
constexpr int64_t kPixelEntry = 8;

int64_t pixel_table_bytes(const IgemmParams& p) {
  return ceil_div(p.window_pixels * kPixelEntry, kStageAlignment) * kStageAlignment;
}

/// Bytes of shared memory: the table of pixels, the ring of windows, the ring of filters. The
/// epilogue stages 16 rows of each warp where the rings were.
int64_t lay_out_shared(const IgemmTile& tile, const Box& box, IgemmParams& p) {
  const int64_t rows = int64_t{p.image_pitch} << box.n;
  const int64_t window = ceil_div(rows * tile.row_bytes, kStageAlignment) * kStageAlignment;
  int64_t fewest = kIgemmMaxTaps;
  for (int g = 0; g < p.group_count; ++g) {
    fewest = std::min<int64_t>(fewest, p.groups[g].iterations);
  }
  const int64_t stages = 1 + ceil_div(tile.ahead, fewest);
  p.window_bytes = static_cast<uint32_t>(window);
  p.window_stages = static_cast<uint32_t>(stages);
  const int64_t rings = window * stages + int64_t{tile.ahead + 1} * tile.stage_bytes();
  const int64_t warps = tile.threads() / 32;
  const int64_t staging = warps * kIgemmStagedRows * (tile.warp_n + kIgemmStagingPad) * 4;
  return pixel_table_bytes(p) + std::max(rings, staging);
}

// ---- Costs: a model that ranks boxes, tiles and rows. -------------------------------------------

// mma.sync reaches about this share of the tensor cores' peak: 62 % of wgmma on Hopper, most of it
// where it is the only instruction. Model numbers.
double tensor_share(const DeviceFacts& device) { return device.sm == 90 ? 0.6 : 0.85; }
// 5.5 TB/s over 132 SMs at 1980 MHz.
constexpr double kL2BytesPerClock = 21;
// Channels that are not aligned rows come in pieces: more instructions for the same bytes.
constexpr double kPiecesCost = 2;
// Prologue and the fill of the pipeline; epilogue of a 64x64 warp tile.
constexpr double kPrologueClocks = 2000, kEpilogueClocks = 1500;
constexpr double kLaunchUs = 2.3;

struct BlockCost {
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
  if (p.channels_last != 0 || p.input_c < 32) return p.window_pixels;
  const double pixel = static_cast<double>(element_bytes(problem)) / 32, step = p.w.input_step;
  const double sectors = 1 + (p.w.window.divisor - 1) * step * pixel;
  const double rows = static_cast<double>(p.window_pixels) / p.w.window.divisor;
  return rows * std::min<double>(p.w.window.divisor, sectors) / pixel;
}

/// Sums over the blocks of one box.
BlockCost box_cost(const Problem& problem, const IgemmTile& tile, const IgemmParams& p) {
  const auto bytes = static_cast<double>(problem.in_c_per_group() * element_bytes(problem));
  const double pixels = pixels_moved(problem, p);
  BlockCost cost = {0, 0, 0};
  for (int g = 0; g < p.group_count; ++g) {
    const IgemmGroup& group = p.groups[g];
    int64_t taps = 0;
    for (int i = 0; i < group.iterations * tile.slots; ++i) {
      taps += (p.taps[group.first_tap + i].window & kIgemmEmpty) == 0 ? 1 : 0;
    }
    const double blocks = group.end_unit - group.first_unit;
    cost.macs += blocks * static_cast<double>(taps) * tile.m * tile.n * channels_issued(problem);
    cost.window_bytes += blocks * pixels * bytes;
    cost.filter_bytes += blocks * static_cast<double>(taps) * tile.n * bytes;
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
                      plan.params.channels_last == 0;
  const double bytes = plan.window_bytes * (pieces ? kPiecesCost : 1) + plan.filter_bytes;
  return std::max(plan.issued_macs / macs_per_clock, bytes / kL2BytesPerClock);
}

/// How many boxes cover the positions of all images.
int64_t boxes_of(const IgemmParams& p) {
  return int64_t{p.h.tiles} * p.h.input_step * p.w.tiles * p.w.input_step * p.batch_tiles;
}

int resident_blocks(const IgemmTile& tile, const DeviceFacts& device, const IgemmPlan& plan) {
  const int64_t fit = device.shared_bytes_per_core / (plan.shared_bytes + kReservedShared);
  const int registers_fit =
      plan.products == 1 ? tile.blocks_per_sm : std::min(tile.blocks_per_sm, kIgemmBlocksOf3xTf32);
  return narrow(std::clamp<int64_t>(fit, 1, registers_fit));
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
  lay_out_window(tile, box, p);
  plan.shared_bytes = lay_out_shared(tile, box, p);
  if (plan.shared_bytes > device.shared_bytes_per_block) {
    plan.refused = "a window and its filters need " + std::to_string(plan.shared_bytes) +
                   " bytes of shared memory, " + device.name + " has " +
                   std::to_string(device.shared_bytes_per_block);
    return plan;
  }
  plan.resident = resident_blocks(tile, device, plan);
  const BlockCost cost = box_cost(source.problem, tile, p);
  const auto boxes = static_cast<double>(boxes_of(p) * source.problem.desc().groups);
  plan.issued_macs = boxes * cost.macs * plan.products;
  plan.window_bytes = boxes * cost.window_bytes;
  plan.filter_bytes = boxes * cost.filter_bytes;
  return plan;
}

double plan_clocks(const DeviceFacts& device, const IgemmTile& tile, const IgemmPlan& plan) {
  const auto blocks = static_cast<double>(std::max<int32_t>(plan.params.gemm_blocks, 1));
  const double waves = std::ceil(blocks / (static_cast<double>(device.cores) * plan.resident));
  const double epilogue = kEpilogueClocks * tile.slots * tile.m * tile.n / (4 * 64 * 64);
  // Blocks of an SM share its tensor cores; one hides what the others wait for.
  const double in_turn = std::min(waves * plan.resident, std::ceil(blocks / device.cores));
  return in_turn * (busy_clocks(device, plan) / blocks + epilogue) + waves * kPrologueClocks;
}

/// To choose a box: where the same number of waves serves, the one with less work.
double box_clocks(const DeviceFacts& device, const IgemmTile& tile, const IgemmPlan& plan) {
  const double l2 = (plan.window_bytes + plan.filter_bytes) / kL2BytesPerClock;
  return plan_clocks(device, tile, plan) + (busy_clocks(device, plan) + l2) / device.cores;
}

/// The cheapest of all boxes; equal ones: the widest rows.
IgemmPlan with_best_box(const IgemmSource& source, const IgemmTile& tile, const IgemmHalo& halo,
                        const DeviceFacts& device, const IgemmPlan& plan) {
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
      const int64_t blocks = boxes_of(next.params) * next.params.units * next.params.conv_groups;
      if (blocks > kLargest32) {
        if (!found) best.refused = "more than 2^31 blocks";
        continue;
      }
      next.params.gemm_blocks = narrow(blocks);
      const double clocks = box_clocks(device, tile, next);
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

bool multiples_of_8(const Strides& s) { return s.n % 8 == 0 && s.h % 8 == 0 && s.w % 8 == 0; }

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
  p.output_n = d.output_strides.n, p.output_h = d.output_strides.h;
  p.output_w = d.output_strides.w;
  if (d.has_residual) {
    p.residual_n = d.residual_strides.n, p.residual_h = d.residual_strides.h;
    p.residual_w = d.residual_strides.w, p.residual_c = d.residual_strides.c;
  }
  p.input_c = d.input_strides.c * element_bytes(problem);
  p.output_c = d.output_strides.c;
  p.channels_last = d.layout == Layout::nhwc ? 1 : 0;
  const bool wide = d.layout == Layout::nhwc && d.alignment % 16 == 0 &&
                    problem.out_c_per_group() % 8 == 0 && multiples_of_8(d.output_strides) &&
                    (!d.has_residual || multiples_of_8(d.residual_strides));
  p.wide_stores = wide ? 1 : 0;
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
                     Math math) {
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
  plan = with_best_box(source, tile, halo, device, plan);
  if (!plan.refused.empty()) return plan;
  place_taps(tile, plan.params);
  plan.fill_blocks = fill_blocks(source);
  if (plan.fill_blocks > kLargest32) plan.refused = "more than 2^31 blocks";
  return plan;
}

double estimate_igemm_us(const Problem& problem, const IgemmTile& tile, const IgemmPlan& plan,
                         const DeviceFacts& device) {
  const double compute_us = plan_clocks(device, tile, plan) / device.clock_mhz;
  return kLaunchUs + std::max(compute_us, problem.least_bytes() / device.bytes_per_us);
}

}  // namespace tconv::host
