// SPDX-License-Identifier: Apache-2.0
// simd_runs.h: every tile of the family `simd` that this processor has, run and compared.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "src/host/cpu/reference.h"
#include "src/host/plan/plan.h"
#include "tests/support/support.h"

namespace tconv::host {
extern const Kernel simd_kernel;
}  // namespace tconv::host

namespace tconv::test {

inline constexpr Axis kUp2{
    .in = 7, .kernel = 4, .stride = 2, .dilation = 1, .pad_begin = 1, .out = 14};

/// A prepared tile and its packed filters.
struct Prepared {
  Problem problem;
  std::shared_ptr<const KernelState> state;
  Bytes packed;

  Prepared(const Problem& p, int tile, const Options& options, const void* filters)
      : problem(p), state(simd_kernel.prepare(p, tile, options, cpu_facts())) {
    if (!options.prepacked_filters) return;
    packed.resize(state->packed_filter_bytes, kPoison);
    simd_kernel.prepack(problem, *state, filters, packed.data(), nullptr);
  }
  /// Runs on the operands' tensors with a workspace that holds NaN.
  void launch(Tensors tensors) const {
    Bytes workspace(state->workspace_bytes, kPoison);
    tensors.workspace = workspace.data();
    if (!packed.empty()) tensors.filters = packed.data();
    simd_kernel.launch(problem, *state, tensors, nullptr);
  }
};

/// The tiles that this processor has for a problem.
inline std::vector<int> tiles_for(const Problem& problem) {
  std::vector<int> tiles;
  for (int tile = 0; tile < static_cast<int>(simd_kernel.tiles.size()); ++tile) {
    if (simd_kernel.consider(problem, tile, {}, cpu_facts()).reason.empty()) tiles.push_back(tile);
  }
  return tiles;
}
inline std::string name_of_tile(int tile) {
  return simd_kernel.tiles[static_cast<std::size_t>(tile)];
}

/// The whole buffer, so that a padding byte that was written is a difference.
inline Bytes reference_output(const Problem& problem, Operands& operands) {
  Bytes output(operands.output.size(), kPoison);
  Tensors tensors = operands.tensors();
  tensors.output = output.data();
  reference_conv2d_transpose(problem, tensors, 1);
  return output;
}

inline int64_t first_difference(const Bytes& a, const Bytes& b) {
  const auto at = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return at.first == a.end() ? -1 : at.first - a.begin();
}

inline ProblemDesc dense_desc(int64_t batch, int64_t in_c, int64_t out_c, const Axis& h,
                              const Axis& w) {
  ProblemDesc d;
  d.batch = batch, d.in_c = in_c, d.out_c = out_c, d.h = h, d.w = w;
  d.alignment = 4;
  return d;
}

/// Every tile equals the reference, whatever packs the filters.
inline void check_exact(const Problem& problem, uint64_t seed) {
  if (problem.empty_output()) return;
  Operands operands = small_integers(problem, seed);
  const Bytes expected = reference_output(problem, operands);
  for (const int tile : tiles_for(problem)) {
    const Options options{.prepacked_filters = (seed + static_cast<uint64_t>(tile)) % 2 == 0,
                          .threads = 1 + static_cast<int>(seed % 2)};
    const Prepared prepared(problem, tile, options, operands.filters.data());
    std::fill(operands.output.begin(), operands.output.end(), kPoison);
    prepared.launch(operands.tensors());
    EXPECT_EQ(first_difference(operands.output, expected), -1)
        << problem.key() << " " << name_of_tile(tile) << " seed " << seed;
  }
}

}  // namespace tconv::test
