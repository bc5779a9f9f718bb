// SPDX-License-Identifier: Apache-2.0
// row.cpp: the family `simd`: kernels of our own for the CPU, on Highway. Takes every problem.
//
// A tile is a method and an instruction set. Memory of the caller's size alone: the workspace holds
// the packed filters (unless they are prepacked) and a room for each thread, never a whole tensor.
#include <algorithm>
#include <string>

#include "src/host/cpu/simd/kernels.h"
#include "src/host/cpu/simd/plan.h"
#include "src/host/cpu/threads.h"
#include "src/host/plan/kernel.h"

namespace tconv::host {
namespace {

using simd::Method;
using simd::State;

constexpr const char* kTiles[] = {"tiles_avx512",   "columns_avx512",   "depthwise_avx512",
                                  "tiles_avx2",     "columns_avx2",     "depthwise_avx2",
                                  "tiles_portable", "columns_portable", "depthwise_portable"};
constexpr DType kTypes[] = {DType::f16, DType::bf16, DType::f32, DType::f64};
constexpr int kMethods = 3;

Method method_of(int tile) { return static_cast<Method>(tile % kMethods); }
const simd::Target* target_of(int tile) {
  return simd::targets()[static_cast<std::size_t>(tile / kMethods)];
}

std::string declines(const Problem&, const Options&, const DeviceFacts&) { return ""; }

std::string why_not(const Problem& problem, int tile) {
  if (target_of(tile) == nullptr) return "this processor has no such instructions";
  const ProblemDesc& d = problem.desc();
  const bool depthwise =
      d.groups > 1 && problem.in_c_per_group() == 1 && problem.out_c_per_group() == 1;
  if (method_of(tile) == Method::depthwise && !depthwise) return "not one channel to a group";
  if (method_of(tile) != Method::columns) return "";
  // A column is a tap: its sums for the least window must stay in the cache. With one input channel
  // there are none.
  const int64_t most_taps = problem.in_c_per_group() == 1 ? 65536 : 1024;
  using simd::kMostPhases;
  if (d.h.kernel > most_taps || d.w.kernel > most_taps || d.h.kernel * d.w.kernel > most_taps ||
      d.h.keff() > most_taps * kMostPhases || d.w.keff() > most_taps * kMostPhases) {
    return "more than " + std::to_string(most_taps) + " taps";
  }
  const auto phases = [](const Axis& axis) { return std::min(normalise(axis).stride, axis.out); };
  if (phases(d.h) > kMostPhases || phases(d.w) > kMostPhases) {
    return "more than " + std::to_string(kMostPhases) + " phases";
  }
  return "";
}

/// Microseconds for a unit of simd::Work, on one core of an Intel Xeon (Sapphire Rapids, AVX-512),
/// fitted to the times of suite core in both layouts, f32: bench/fit_costs.
struct Costs {
  double multiply;  ///< a vector of multiply-adds
  double tile, turned, passed, added, byte, fetched;
};
constexpr Costs cost_of(simd::Costing costing) {
  switch (costing) {
    case simd::Costing::tiles:
      return {.multiply = 2.8e-4,
              .tile = 0.039,
              .turned = 3.9e-4,
              .passed = 6.5e-6,
              .added = 0,
              .byte = 0,
              .fetched = 9e-6};
    case simd::Costing::columns:
      return {.multiply = 2.6e-4,
              .tile = 0.0079,
              .turned = 4.5e-4,
              .passed = 1.7e-4,
              .added = 0,
              .byte = 1.2e-5,
              .fetched = 3.9e-5};
    case simd::Costing::pixels:
      return {.multiply = 0,
              .tile = 0.01,
              .turned = 8.4e-3,
              .passed = 0,
              .added = 6.3e-5,
              .byte = 0,
              .fetched = 0};
    case simd::Costing::depthwise: break;
  }
  return {.multiply = 1.1e-3,
          .tile = 0.021,
          .turned = 3.2e-4,
          .passed = 0,
          .added = 0,
          .byte = 0,
          .fetched = 0};
}

/// Of one thread. The costs are those of vectors of 16 lanes.
double work_us(const Problem& problem, const State& state) {
  constexpr double kLanes = 16;
  const simd::Work work = simd::count_work(problem, state);
  const Costs c = cost_of(state.costing());
  const auto lanes = static_cast<double>(state.lanes);
  const double moved = work.turned * c.turned + work.passed * c.passed + work.added * c.added;
  return work.macs / lanes * c.multiply + work.tiles * c.tile + moved * kLanes / lanes +
         work.memory * c.byte + work.fetched * c.fetched;
}

std::shared_ptr<State> make_state(const Problem& problem, int tile, const Options& options) {
  auto state = std::make_shared<State>();
  state->method = method_of(tile);
  state->target = target_of(tile);
  state->callers_threads = options.callers_threads;
  state->prepacked = options.prepacked_filters;
  state->rooms = thread_count(options.threads);
  simd::lay_out(problem, *state);
  // To wake a thread takes some microseconds: only where it then has more to do.
  constexpr double kWorthAThreadUs = 20;
  const double useful = std::min(1 + work_us(problem, *state) / kWorthAThreadUs, 4096.0);
  state->threads = std::min(state->rooms, static_cast<int>(useful));
  return state;
}

Considered consider(const Problem& problem, int tile, const Options& options, const DeviceFacts&) {
  std::string reason = why_not(problem, tile);
  if (!reason.empty()) return {.reason = std::move(reason)};
  const auto state = make_state(problem, tile, options);
  const auto threads = static_cast<double>(std::min<int64_t>(state->threads, state->tasks()));
  // A model's rounding must not choose an older instruction set: it has to be clearly quicker.
  const int newer_sets = tile / kMethods;
  const double older = 1 + newer_sets;
  return {.reason = "", .estimate_us = older * (0.3 + work_us(problem, *state) / threads)};
}

std::shared_ptr<const KernelState> prepare(const Problem& problem, int tile, const Options& options,
                                           const DeviceFacts&) {
  auto state = make_state(problem, tile, options);
  if (options.callers_threads.parallel_for == nullptr) start_threads(state->threads);
  return state;
}

/// Bias and slopes in the type of the sums, by channels as the tiles see them: folded, in whole
/// vectors.
void widen_vectors(const Problem& problem, const State& s, const Tensors& tensors, std::byte* to) {
  const ProblemDesc& d = problem.desc();
  const DType sums = s.is_f64 ? DType::f64 : DType::f32;
  const int64_t step = s.method == Method::columns ? s.out_c : s.padded_channels();
  const int64_t unfolded = s.out_c / s.folded;
  for (int64_t group = 0; group < s.groups; ++group) {
    for (int64_t k = 0; k < step; ++k) {
      const int64_t channel = group * unfolded + k % unfolded;
      const bool has = d.has_bias && k < s.out_c;
      store(sums, to, group * step + k, has ? load(d.bias_dtype, tensors.bias, channel) : 0);
    }
  }
  if (d.activation != Activation::prelu) return;
  for (int64_t k = 0; k < s.desc.out_c; ++k) {
    store(sums, to + s.slopes_offset, k, load(problem.slopes_dtype(), tensors.slopes, k % d.out_c));
  }
}

void launch(const Problem& problem, const KernelState& kernel_state, const Tensors& tensors,
            Stream) {
  const auto& s = static_cast<const State&>(kernel_state);
  auto* workspace = static_cast<std::byte*>(tensors.workspace);
  widen_vectors(problem, s, tensors, workspace);
  const void* packed = tensors.filters;
  if (!s.prepacked) {
    simd::pack(problem, s, tensors.filters, workspace + s.filters_offset);
    packed = workspace + s.filters_offset;
  }
  const simd::Job job{s, tensors, packed, workspace, workspace + s.slopes_offset};
  for_each_task(s.tasks(), s.threads, s.callers_threads, [&](int64_t task, int thread) {
    s.target->run(job, task,
                  workspace + s.rooms_offset + s.room_bytes * static_cast<std::size_t>(thread));
  });
}

void prepack(const Problem& problem, const KernelState& state, const void* filters, void* packed,
             Stream) {
  simd::pack(problem, static_cast<const State&>(state), filters, packed);
}

/// What pack.cpp reads of a state.
std::string packed_order(const Problem&, const KernelState& kernel_state) {
  const auto& s = static_cast<const State&>(kernel_state);
  std::string order = std::to_string(static_cast<int>(s.method));
  const bool columns = s.method == Method::columns;
  const int64_t width = !columns || s.turns_columns ? s.vectors * s.lanes : s.column_rows;
  for (const int64_t number : {s.groups, s.block, width, s.lanes, s.folded,
                               columns ? s.phases_together : 1, int64_t{s.turns_columns}}) {
    order += "," + std::to_string(number);
  }
  return order;
}

}  // namespace

extern const Kernel simd_kernel;  // the table's name of it (cmake/families.cmake)
constinit const Kernel simd_kernel = {.name = "simd",
                                      .device = DeviceKind::cpu,
                                      .tiles = kTiles,
                                      .dtypes = kTypes,
                                      .declines = declines,
                                      .consider = consider,
                                      .prepare = prepare,
                                      .launch = launch,
                                      .prepack = prepack,
                                      .packed_order = packed_order};

}  // namespace tconv::host
