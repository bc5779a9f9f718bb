// SPDX-License-Identifier: Apache-2.0
// igemm_runs.h: runs of one tile of the row `igemm_sm80` in the emulator.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "src/cuda/igemm_sm80/plan.h"
#include "src/host/cpu/reference.h"
#include "src/host/plan/plan.h"
#include "src/host/problem/errors.h"
#include "tests/cuda/igemm_sm80/igemm_problems.h"
#include "tests/emulator/emulator.h"
#include "tests/gpu/device_operands.h"

namespace tconv::test {

/// What a run with one tile gave: whether every byte of the output is the reference's.
struct Outcome {
  bool taken = false, right = false;
  std::string finding;
};

/// `math` is of f32. Operands: small integers of this seed. With no workspace the depth is not
/// split.
inline Outcome run_tile(const Problem& problem, const igemm::Tile& tile,
                        const emulator::Config& config, uint64_t seed = 1, Math math = Math::tf32,
                        int64_t workspace_limit = 0) {
  Outcome outcome;
  const Options options = {.device = DeviceKind::cuda,
                           .kernels = {"igemm_sm80"},
                           .tile = tile.name,
                           .workspace_limit = workspace_limit,
                           .math = math};
  try {
    emulator::configure(config);
    const Plan plan = make_plan(problem, options);
    outcome.taken = true;
    const Operands operands = small_integers(problem, seed);
    Operands expected = operands;
    reference_conv2d_transpose(problem, expected.tensors(), 1);
    const DeviceOperands device(operands);
    emulator::forget_reports();
    run_on_device(plan, device.tensors());
    outcome.right = device.output.download() == expected.output;
  } catch (const Unsupported&) {
  } catch (const DeviceError& error) {
    outcome.finding = error.what();
  }
  emulator::configure({});
  return outcome;
}

/// A plan's result on `operands`.
inline Bytes result_of(const Problem& problem, const Options& options, const Operands& operands) {
  const DeviceOperands device(operands);
  emulator::configure({});
  run_on_device(make_plan(problem, options), device.tensors());
  return device.output.download();
}

/// Integers of 14 bits on one side, small ones on the other: products of a small part count, and
/// every sum is exact.
inline Operands wide_integers(const Problem& problem, bool wide_input, uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto fill = [&](Bytes& data, bool wide) {
    const uint64_t range = wide ? (1 << 14) - 1 : 3;
    for (std::size_t i = 0; i + 4 < data.size(); i += 4) {
      const auto value = static_cast<float>(random() % range) - static_cast<float>(range / 2);
      std::memcpy(data.data() + i, &value, 4);
    }
  };
  Operands operands = small_integers(problem, seed);
  fill(operands.input, wide_input);
  fill(operands.filters, !wide_input);
  return operands;
}

/// Runs every tile that takes the problem; how many did. With odd seeds split if that is faster,
/// with even ones on few cores, where boxes are full as those of large problems.
inline int expect_exact(const Problem& problem, uint64_t seed, Math math = Math::tf32) {
  int taken = 0;
  for (const igemm::Tile& tile : igemm::kTiles) {
    const bool split = seed % 2 != 0;
    const emulator::Config config = {.seed = seed, .cores = split ? 0 : 4};
    const Outcome outcome = run_tile(problem, tile, config, seed, math, split ? -1 : 0);
    if (!outcome.taken) continue;
    ++taken;
    EXPECT_TRUE(outcome.right) << problem.key() << " tile " << tile.name << " seed " << seed << "\n"
                               << outcome.finding;
  }
  return taken;
}

/// A problem of ten chunks and few blocks in a workspace for four slices: they have three chunks
/// each, the last has one (chunks of 128 bytes).
inline void expect_slices_of_several_chunks(const igemm::Tile& tile) {
  const Problem problem(problem_of(1, 600, 40, axis(5, 3, 1, 1), axis(6, 3, 1, 1)));
  const int64_t limit = 4 * 4 * problem.output_extents().count();
  const igemm::Plan plan = igemm::plan_tile(problem, tile, cuda_facts(), Math::tf32, limit);
  if (!plan.refused.empty()) return;
  ASSERT_GT(plan.params.split_k, 1) << tile.name;
  ASSERT_GT(plan.params.chunks_of_k_slice, 1) << tile.name;
  const Outcome outcome = run_tile(problem, tile, {}, 1, Math::tf32, limit);
  EXPECT_TRUE(outcome.taken && outcome.right) << tile.name << " " << outcome.finding;
}

/// The plan of run_tile() with this configuration.
inline igemm::Plan plan_of(const Problem& problem, const igemm::Tile& tile,
                           const emulator::Config& config, Math math = Math::tf32,
                           int64_t workspace_limit = 0) {
  emulator::configure(config);
  igemm::Plan plan = igemm::plan_tile(problem, tile, cuda_facts(), math, workspace_limit);
  emulator::configure({});
  return plan;
}

/// Drops each synchronisation with this in its name that a run of `tile` meets; returns those that
/// nothing missed.
inline std::string unmissed(const Problem& problem, const igemm::Tile& tile,
                            const std::string& name = "", Math math = Math::tf32, int cores = 0) {
  const Outcome whole = run_tile(problem, tile, {.cores = cores}, 1, math);
  EXPECT_TRUE(whole.taken && whole.right) << tile.name << " " << whole.finding;
  if (!whole.taken) return "";
  std::string names;
  for (const emulator::SyncSite& site : std::vector(emulator::reports().back().sites)) {
    if (site.name.find(name) == std::string::npos) continue;
    bool noticed = false;
    for (uint64_t seed = 1; seed <= 3 && !noticed; ++seed) {
      noticed =
          !run_tile(problem, tile, {.seed = seed, .drop = {site.site}, .cores = cores}, 1, math)
               .right;
    }
    if (!noticed) names += site.name + " at " + site.site.text() + "; ";
  }
  return names;
}

}  // namespace tconv::test
