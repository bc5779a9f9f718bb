// SPDX-License-Identifier: Apache-2.0
// igemm_runs.h: problems for the row `igemm_sm80`, and runs of one tile in the emulator.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "src/host/igemm_plan.h"
#include "src/host/plan.h"
#include "src/host/reference.h"
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
inline Outcome run_tile(const Problem& problem, const IgemmTile& tile,
                        const emulator::Config& config, uint64_t seed = 1, Math math = Math::tf32,
                        int64_t workspace_limit = 0) {
  Outcome outcome;
  const Options options = {.device = DeviceKind::cuda,
                           .kernels = {"igemm_sm80"},
                           .tile = tile.name,
                           .workspace_limit = workspace_limit,
                           .math = math};
  try {
    const Plan plan = make_plan(problem, options);
    outcome.taken = true;
    const Operands operands = small_integers(problem, seed);
    Operands expected = operands;
    reference_conv2d_transpose(problem, expected.tensors(), 1);
    const DeviceOperands device(operands);
    emulator::configure(config);
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

/// Runs every tile that takes the problem, with odd seeds split if that is faster; how many did.
inline int expect_exact(const Problem& problem, uint64_t seed, Math math = Math::tf32) {
  int taken = 0;
  for (const IgemmTile& tile : kIgemmTiles) {
    const Outcome outcome =
        run_tile(problem, tile, {.seed = seed}, seed, math, seed % 2 == 0 ? 0 : -1);
    if (!outcome.taken) continue;
    ++taken;
    EXPECT_TRUE(outcome.right) << problem.key() << " tile " << tile.name << " seed " << seed << "\n"
                               << outcome.finding;
  }
  return taken;
}

/// in, kernel, stride, padding, dilation, output padding of one axis.
inline Axis axis(int64_t in, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation = 1,
                 int64_t output_padding = 0) {
  Axis a = {.in = in, .kernel = kernel, .stride = stride, .dilation = dilation, .pad_begin = pad};
  a.out = a.full() - 2 * pad + output_padding;
  return a;
}

inline ProblemDesc problem_of(int64_t batch, int64_t in_c, int64_t out_c, const Axis& h,
                              const Axis& w, DType type = DType::f16) {
  ProblemDesc d;
  d.batch = batch, d.in_c = in_c, d.out_c = out_c;
  d.h = h, d.w = w;
  d.dtype = d.output_dtype = d.bias_dtype = type;
  return d;
}

/// Channels 1, 3, 21, 33: odd rows. 130 channels: several chunks. Boxes that stick out, images of
/// one pixel, batches within a box.
inline std::vector<ProblemDesc> chosen_problems() {
  const Axis half = axis(9, 4, 2, 1);
  std::vector<ProblemDesc> all = {
      problem_of(1, 40, 72, half, axis(17, 4, 2, 1)),
      problem_of(1, 130, 24, axis(7, 3, 2, 1, 1, 1), axis(10, 3, 2, 1, 1, 1), DType::bf16),
      problem_of(2, 72, 24, axis(6, 2, 2, 0), axis(9, 2, 2, 0)),
      problem_of(1, 48, 136, axis(7, 3, 1, 1), axis(19, 3, 1, 1), DType::bf16),
      problem_of(2, 36, 40, axis(5, 5, 2, 2, 1, 1), axis(6, 5, 2, 2, 1, 1)),
      problem_of(33, 32, 16, axis(2, 4, 2, 1), axis(2, 4, 2, 1)),
      problem_of(130, 40, 5, axis(1, 4, 1, 0), axis(1, 4, 1, 0)),
      problem_of(1, 33, 8, axis(3, 1, 1, 0), axis(20, 16, 8, 4)),
      problem_of(2, 32, 16, axis(5, 2, 3, 0), axis(6, 2, 3, 0)),
      problem_of(3, 21, 9, axis(6, 7, 3, 2), axis(5, 7, 3, 1), DType::bf16),
      problem_of(1, 48, 40, axis(9, 3, 2, 1, 2), axis(9, 3, 2, 1, 2)),
      problem_of(1, 3, 40, axis(11, 3, 1, 2, 2), axis(13, 3, 1, 3, 3)),
      problem_of(2, 1, 3, half, half, DType::bf16),
      problem_of(1, 64, 64, axis(1, 1, 1, 0), axis(1, 1, 1, 0)),
      problem_of(1, 72, 40, half, axis(9, 3, 2, 1), DType::f32),
      problem_of(2, 37, 19, axis(7, 3, 1, 1), axis(5, 4, 3, 1), DType::f32),
      // Split: shares of one chunk and of several, of which the last has fewer.
      problem_of(1, 328, 24, axis(3, 3, 1, 1), axis(5, 4, 2, 1)),
      problem_of(2, 200, 9, axis(2, 4, 2, 1), axis(3, 4, 2, 1), DType::f32),
      problem_of(1, 325, 16, axis(1, 1, 1, 0), axis(4, 1, 2, 0), DType::bf16),
  };
  // Planes of channels: NCHW.
  for (const ProblemDesc& d :
       {problem_of(1, 64, 24, axis(13, 4, 2, 1), axis(11, 4, 2, 1)),
        problem_of(3, 21, 33, axis(6, 3, 1, 1), axis(7, 5, 3, 1), DType::bf16),
        problem_of(2, 40, 19, axis(5, 3, 2, 1, 2), axis(9, 4, 2, 1), DType::f32),
        problem_of(1, 40, 24, axis(9, 4, 2, 1), axis(20, 4, 2, 1)),
        problem_of(1, 330, 9, axis(3, 4, 2, 1), axis(4, 4, 2, 1)),
        problem_of(1, 32, 40, axis(7, 3, 1, 1), axis(24, 3, 1, 1)),
        problem_of(2, 24, 20, axis(1, 1, 1, 0), axis(40, 16, 8, 4), DType::bf16),
        problem_of(1, 24, 136, axis(6, 4, 4, 0), axis(10, 4, 4, 0)),
        problem_of(2, 16, 200, axis(5, 2, 2, 0), axis(12, 2, 2, 0), DType::f32),
        problem_of(1, 20, 5, axis(4, 5, 5, 0), axis(9, 5, 5, 0))}) {
    all.push_back(d);
    all.back().layout = Layout::nchw;
    all.back().alignment = 16;
  }
  ProblemDesc grouped = problem_of(2, 99, 63, axis(8, 4, 2, 1), axis(7, 4, 2, 1));
  grouped.groups = 3;
  all.push_back(grouped);
  for (std::size_t i = 0; i < all.size(); ++i) {
    ProblemDesc& d = all[i];
    d.has_bias = i % 2 == 0;
    d.has_residual = i % 3 == 0;
    d.activation = static_cast<Activation>(i % 5);
    if (d.activation == Activation::leaky_relu) d.activation_a = 0.5;
    if (d.activation == Activation::clamp) d.activation_a = -6, d.activation_b = 6;
    if (i % 4 == 1) d.output_dtype = DType::f32;
  }
  return all;
}

/// Drops each synchronisation with this in its name that a run of `tile` meets; returns those that
/// nothing missed.
inline std::string unmissed(const Problem& problem, const IgemmTile& tile,
                            const std::string& name = "", Math math = Math::tf32) {
  const Outcome whole = run_tile(problem, tile, {}, 1, math);
  EXPECT_TRUE(whole.taken && whole.right) << tile.name << " " << whole.finding;
  if (!whole.taken) return "";
  std::string names;
  for (const emulator::SyncSite& site : std::vector(emulator::reports().back().sites)) {
    if (site.name.find(name) == std::string::npos) continue;
    bool noticed = false;
    for (uint64_t seed = 1; seed <= 3 && !noticed; ++seed) {
      noticed = !run_tile(problem, tile, {.seed = seed, .drop = {site.site}}, 1, math).right;
    }
    if (!noticed) names += site.name + " at " + site.site.text() + "; ";
  }
  return names;
}

}  // namespace tconv::test
