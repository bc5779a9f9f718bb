// SPDX-License-Identifier: Apache-2.0
// plan.cpp: see plan.h.
#include "src/cuda/igemm_sm80/plan.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <span>

#include "src/cuda/igemm_sm80/box.h"
#include "src/cuda/igemm_sm80/subgemms.h"
#include "src/host/problem/decomposition.h"

namespace tconv::host {
namespace {

constexpr int64_t kLargestStride = 65535;  // its square fits 32 bits: see IgemmReach

int64_t element_bytes(const Problem& problem) {
  return static_cast<int64_t>(size_of(problem.desc().dtype));
}

int32_t narrow(int64_t x) { return static_cast<int32_t>(x); }

std::string axis_refused(const char* name, const Axis& original) {
  if (original.in == 0) return "the input is empty: nothing is multiplied";
  const Axis axis = normalise(original);
  const int64_t largest =
      std::max({axis.in, axis.out, axis.full(), std::abs(axis.pad_begin), axis.dilation});
  if (largest > kIgemmLargestSize || axis.stride > kLargestStride ||
      axis.stride * axis.dilation > kIgemmLargestSize / kIgemmLargestBox) {
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
  if (std::max({d.batch, d.in_c, d.out_c}) > kIgemmLargestSize ||
      normalise(d.w).stride * problem.out_c_per_group() > kIgemmLargest32) {
    return "batch or channels above 2^28 are for other rows";
  }
  if (problem.filter_bytes() > kIgemmLargest32)
    return "filters of 2 GiB and more are for other rows";
  return "";
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
  p.input_channels_last = igemm_input_channels_last(problem) ? 1 : 0;
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
  if (!igemm_input_channels_last(problem)) return static_cast<int>(access);
  if (d.batch > 1) has_rows(d.input_strides.n);
  if (d.h.in > 1) has_rows(d.input_strides.h);
  if (d.w.in > 1) has_rows(d.input_strides.w);
  return static_cast<int>(access);
}

bool igemm_has_pixel_pairs(const Problem& problem) {
  const ProblemDesc& d = problem.desc();
  const Strides& s = d.input_strides;
  const auto even = [](int64_t x) { return x % 2 == 0; };
  return element_bytes(problem) == 2 && d.alignment % 4 == 0 &&
         !igemm_input_channels_last(problem) && s.w == 1 && even(d.w.in) && even(s.n) &&
         even(s.c) && even(s.h);
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
  plan.params.pixel_pairs = igemm_has_pixel_pairs(problem) && source.step_w == 1 ? 1 : 0;
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
  if (plan.fill_blocks > kIgemmLargest32) plan.refused = "more than 2^31 blocks";
  return plan;
}

}  // namespace tconv::host
