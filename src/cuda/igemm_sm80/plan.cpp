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

namespace tconv::host::igemm {
namespace {

constexpr int64_t kLargestStride = 65535;  // its square fits 32 bits: see TappedOutputs

struct Size {
  std::string field;
  int64_t value, largest;
};

/// Names the first of `sizes` that is too large for this family. A later one is only looked at
/// where the earlier ones are not, so that their product fits.
std::string too_large(std::initializer_list<Size> sizes) {
  for (const auto& [field, value, largest] : sizes) {
    if (value <= largest) continue;
    return field + " " + std::to_string(value) + " is above " + std::to_string(largest) +
           ": for other families";
  }
  return "";
}

std::string axis_refused(const std::string& name, const Axis& original) {
  if (original.in == 0) return "the input is empty: nothing is multiplied";
  const Axis axis = normalise(original);
  std::string why =
      too_large({{name + ": input size", axis.in, kLargestSize},
                 {name + ": output size", axis.out, kLargestSize},
                 {name + ": padding", std::abs(axis.pad_begin), kLargestSize},
                 {name + ": dilation", axis.dilation, kLargestSize},
                 {name + ": dilated kernel", axis.keff(), kLargestSize},
                 {name + ": output size without padding", axis.full(), kLargestSize}});
  if (!why.empty()) return why;
  // One pixel has its dilated kernel for a stride: see normalise().
  const std::string stride =
      name + (axis.stride == original.stride ? ": stride" : ": dilated kernel over one pixel");
  why = too_large({{stride, axis.stride, kLargestStride}});
  if (!why.empty()) return why;
  why = too_large(
      {{stride + " * dilation", axis.stride * axis.dilation, kLargestSize / kLargestBox}});
  if (!why.empty()) return why;
  if (class_bound(original) > kMaxSubGemms + 1) {
    return std::string(name) + ": more than " + std::to_string(kMaxSubGemms) + " window classes";
  }
  return "";
}

// ---- The parameters that do not depend on the box. ----------------------------------------------

TappedOutputs tapped_outputs(const AxisDecomposition& parts) {
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

void fill_in_tensors(const Problem& problem, Params& p) {
  const ProblemDesc& d = problem.desc();
  p.batch = to_int32(d.batch);
  p.channel_bytes = to_int32(problem.in_c_per_group() * element_bytes(problem));
  p.out_channels = cuda::FastDivmod(to_int32(problem.out_c_per_group()));
  p.conv_groups = to_int32(d.groups);
  p.input_n = d.input_strides.n * element_bytes(problem);
  p.input_h = d.input_strides.h * element_bytes(problem);
  p.input_w = d.input_strides.w * element_bytes(problem);
  p.vector_bytes = vector_bytes(problem);
  p.filter_vector_bytes = filter_vector_bytes(problem);
  const FilterStrides filters = filter_strides(problem);
  p.filters_ihwo = filter_order(problem) == FilterOrder::ihwo ? 1 : 0;
  const int64_t filter_row = p.filters_ihwo != 0 ? filters.c : filters.k;
  p.filter_row = static_cast<uint32_t>(filter_row * element_bytes(problem));
  if (d.has_residual) {
    p.residual_n = d.residual_strides.n, p.residual_h = d.residual_strides.h;
    p.residual_w = d.residual_strides.w, p.residual_c = d.residual_strides.c;
  }
  p.input_c = d.input_strides.c * element_bytes(problem);
  p.channels_last = d.layout == Layout::nhwc ? 1 : 0;
  p.input_channels_last = input_channels_last(problem) ? 1 : 0;
}

int64_t second_launch_blocks(const PhaseSource& source) {
  if (source.h.tapless_phases == 0 && source.w.tapless_phases == 0) return 0;
  const int64_t outputs = source.problem.output_extents().count();
  return ceil_div(outputs, kSecondLaunchThreads);
}

/// Pieces of the workspace are aligned to this.
constexpr int64_t kPiece = 256;

/// Leaves `limit` to the slices of split K, if the filters that `plan` repacks leave any.
void take_room_for_filters(const Problem& problem, Plan& plan, int64_t& limit) {
  plan.repacked_bytes = problem.filter_bytes();
  if (limit < 0) return;
  if (limit < plan.repacked_bytes) {
    plan.refused = "filters in this order are repacked, which needs " +
                   std::to_string(plan.repacked_bytes) + " bytes of workspace, the limit is " +
                   std::to_string(limit);
  }
  limit = (limit - plan.repacked_bytes) / kPiece * kPiece;
}

}  // namespace

std::string refused(const Problem& problem) {
  const ProblemDesc& d = problem.desc();
  if (problem.empty_output()) return "the output is empty: nothing is computed";
  if (std::string why = axis_refused("h", d.h); !why.empty()) return why;
  if (std::string why = axis_refused("w", d.w); !why.empty()) return why;
  if (d.in_c == 0) return "no input channels: nothing is multiplied";
  std::string why = too_large({{"batch", d.batch, kLargestSize},
                               {"input channels", d.in_c, kLargestSize},
                               {"output channels", d.out_c, kLargestSize}});
  if (!why.empty()) return why;
  return too_large({{"w: stride * output channels of a group",
                     normalise(d.w).stride * problem.out_c_per_group(), kLargest32},
                    {"bytes of filters", problem.filter_bytes(), kLargest32}});
}

Plan plan_tile(const Problem& problem, const Tile& tile, const DeviceFacts& device, Math math,
               int64_t workspace_limit, bool prepacked) {
  Plan plan;
  plan.refused = refused(problem);
  if (plan.refused.empty() && !prepacked && problem.desc().filter_order != filter_order(problem)) {
    take_room_for_filters(problem, plan, workspace_limit);
  }
  if (!plan.refused.empty()) return plan;
  if (filter_order(problem) == FilterOrder::ihwo && !is_vec16(problem) &&
      !takes_unaligned_ihwo(tile)) {
    plan.refused = "takes filters in the order IHWO where all is aligned to 16 bytes";
    return plan;
  }
  if (problem.desc().dtype == DType::f32 && math == Math::tf32x3) {
    plan.products = 3;
    if (!has_room_for_3xtf32(tile)) plan.refused = "too few registers for the operands of 3xTF32";
    if (!plan.refused.empty()) return plan;
  }
  const PhaseSource source(problem);
  Window window;
  plan.tf32 = problem.desc().dtype == DType::f32;
  fill_in_tensors(problem, plan.params);
  plan.params.pixel_pairs = has_pixel_pairs(problem) && source.step_w == 1 ? 1 : 0;
  plan.params.tapped_h = tapped_outputs(source.h);
  plan.params.tapped_w = tapped_outputs(source.w);
  plan.refused = add_groups(source, tile, plan.params, window);
  if (!plan.refused.empty()) return plan;
  plan = with_best_box({source, tile, window, device, workspace_limit}, plan);
  if (!plan.refused.empty()) return plan;
  place_taps(tile, window, plan.params);
  if (plan.repacked_bytes > 0) {
    plan.filters_offset = ceil_div(plan.workspace_bytes, kPiece) * kPiece;
    plan.workspace_bytes = plan.filters_offset + plan.repacked_bytes;
  }
  // Split K: the second launch reduces the slices, and writes all outputs.
  plan.second_launch_blocks = plan.params.split_k > 1
                                  ? ceil_div(problem.output_extents().count(), kSecondLaunchThreads)
                                  : second_launch_blocks(source);
  if (plan.second_launch_blocks > kLargest32) plan.refused = "more than 2^31 blocks";
  return plan;
}

int64_t workspace_upto(const Problem& problem, const Tile& tile, const DeviceFacts& device,
                       int64_t workspace_limit, bool prepacked) {
  const ProblemDesc& d = problem.desc();
  const bool repacks = !prepacked && d.filter_order != filter_order(problem);
  const int64_t repacked = repacks ? problem.filter_bytes() : 0;
  // The depth is split where blocks are fewer than run at once (box.cpp), and each block has at
  // most so many positions and columns. An axis of one pixel has its filter's extent for a stride.
  const auto sides = [](const Axis& a) {
    return static_cast<double>(std::max(a.stride, a.keff()));
  };
  const auto reaches_all = [](const Axis& a) { return a.dilation == 1 && a.kernel >= a.stride; };
  const double positions = 1.0 * device.cores * tile.blocks_per_sm * tile.m;
  const double outputs_of_a_position = reaches_all(d.h) && reaches_all(d.w)
                                           ? 1.0 * tile.sub_gemms * tile.n
                                           : sides(d.h) * sides(d.w) * static_cast<double>(d.out_c);
  const double outputs =
      std::min({static_cast<double>(problem.output_extents().count()),
                positions * outputs_of_a_position, static_cast<double>(kLargest32)});
  const int64_t chunks =
      ceil_div(problem.in_c_per_group() * element_bytes(problem), int64_t{tile.row_bytes});
  const int64_t slices =
      chunks == 1 ? 0 : 4 * std::min<int64_t>(chunks, kMaxSplitK) * static_cast<int64_t>(outputs);
  const int64_t bytes = ceil_div(slices, kPiece) * kPiece + repacked;
  return workspace_limit < 0 ? bytes : std::min(bytes, workspace_limit);
}

}  // namespace tconv::host::igemm
