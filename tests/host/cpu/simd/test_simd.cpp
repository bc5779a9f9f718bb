// SPDX-License-Identifier: Apache-2.0
// test_simd.cpp: every tile of the family `simd` (method and instruction set) against the reference, bit
// for bit on small integers and within the derived bound on everything else.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <thread>

#include "src/host/cpu/reference.h"
#include "src/host/plan/plan.h"
#include "src/host/problem/errors.h"
#include "src/host/run/run.h"
#include "src/host/verify/verify.h"
#include "tests/host/cpu/strict_sums.h"
#include "tests/support/support.h"

namespace tconv::host {
extern const Kernel simd_kernel;
}  // namespace tconv::host

namespace tconv::test {
namespace {

constexpr Axis kUp2{.in = 7, .kernel = 4, .stride = 2, .dilation = 1, .pad_begin = 1, .out = 14};

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
std::vector<int> tiles_for(const Problem& problem) {
  std::vector<int> tiles;
  for (int tile = 0; tile < static_cast<int>(simd_kernel.tiles.size()); ++tile) {
    if (simd_kernel.consider(problem, tile, {}, cpu_facts()).reason.empty()) tiles.push_back(tile);
  }
  return tiles;
}
std::string name_of_tile(int tile) { return simd_kernel.tiles[static_cast<std::size_t>(tile)]; }

/// The whole buffer, so that a padding byte that was written is a difference.
Bytes reference_output(const Problem& problem, Operands& operands) {
  Bytes output(operands.output.size(), kPoison);
  Tensors tensors = operands.tensors();
  tensors.output = output.data();
  reference_conv2d_transpose(problem, tensors, 1);
  return output;
}

int64_t first_difference(const Bytes& a, const Bytes& b) {
  const auto at = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return at.first == a.end() ? -1 : at.first - a.begin();
}

ProblemDesc dense_desc(int64_t batch, int64_t in_c, int64_t out_c, const Axis& h, const Axis& w) {
  ProblemDesc d;
  d.batch = batch, d.in_c = in_c, d.out_c = out_c, d.h = h, d.w = w;
  d.alignment = 4;
  return d;
}

/// Every tile equals the reference, whatever packs the filters.
void check_exact(const Problem& problem, uint64_t seed) {
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

void check_random(uint64_t seed, const RandomLimits& limits, int problems) {
  std::mt19937_64 random(seed);
  for (int i = 0; i < problems && !::testing::Test::HasFailure(); ++i) {
    check_exact(Problem(random_desc(random, limits)), static_cast<uint64_t>(i));
  }
}

TEST(Simd, EqualsTheReferenceOnSmallIntegers) { check_random(20261201, {}, enumeration(20000, 1500)); }

// Channels past the blocks of every instruction set, in every type.
TEST(Simd, EqualsTheReferenceOnManyChannels) {
  RandomLimits limits;
  limits.max_channels = 150, limits.max_in = 5, limits.max_kernel = 3;
  check_random(7, limits, enumeration(400, 40));
}

// Rows longer than a strip, a tile and a piece of any loop.
TEST(Simd, EqualsTheReferenceOnLongRows) {
  RandomLimits limits;
  limits.max_in = 70, limits.max_channels = 3, limits.max_batch = 1;
  check_random(9, limits, enumeration(300, 30));
}

// Extents, strides, kernels and dilations far from those of any network.
TEST(Simd, EqualsTheReferenceOnExtremeAxes) {
  std::mt19937_64 random(11);
  RandomLimits limits;
  limits.max_in = 40, limits.max_kernel = 33, limits.max_stride = 37, limits.max_dilation = 19;
  limits.max_channels = 3, limits.max_batch = 1;
  const int problems = enumeration(600, 60);
  for (int i = 0; i < problems && !HasFailure(); ++i) {
    ProblemDesc d = random_desc(random, limits);
    // One axis at a time: the reference visits every tap of every output.
    d.h = random_axis(random, RandomLimits{});
    if (random() % 2 == 0) std::swap(d.h, d.w);
    d.input_strides = d.output_strides = d.residual_strides = {};
    check_exact(Problem(d), static_cast<uint64_t>(i));
  }
}

TEST(Simd, EqualsTheReferenceOnHugeAxes) {
  const Axis small{.in = 2, .kernel = 2, .stride = 1, .dilation = 1, .pad_begin = 1, .out = 2};
  for (const Axis& axis : {
           Axis{.in = 3, .kernel = 3, .stride = 46889, .dilation = 1, .pad_begin = 1, .out = 93781},
           Axis{.in = 3, .kernel = 3, .stride = 1, .dilation = 46889, .pad_begin = 1, .out = 93780},
           Axis{
               .in = 2, .kernel = 5000, .stride = 7, .dilation = 1, .pad_begin = 2500, .out = 2600},
           Axis{.in = 9000, .kernel = 3, .stride = 1, .dilation = 1, .pad_begin = 8990, .out = 40},
           Axis{.in = 40000, .kernel = 4, .stride = 2, .dilation = 3, .pad_begin = 4, .out = 80002},
           Axis{.in = 3, .kernel = 300, .stride = 300, .dilation = 7, .pad_begin = 0, .out = 2694},
           Axis{.in = 5, .kernel = 2, .stride = 600, .dilation = 300, .pad_begin = -9, .out = 2800},
       }) {
    for (const int64_t channels : {1, 17}) {
      for (const bool is_width : {false, true}) {
        const ProblemDesc d = is_width ? dense_desc(1, channels, 2, small, axis)
                                       : dense_desc(1, channels, 2, axis, small);
        check_exact(Problem(d), 1);
      }
    }
  }
}

// Many images and many channels of few pixels, one channel to a group: tiles over images, wide rows.
TEST(Simd, EqualsTheReferenceOnTheShapesOfNetworks) {
  const Axis one{.in = 1, .kernel = 4, .stride = 1, .dilation = 1, .pad_begin = 0, .out = 4};
  const Axis twice{.in = 9, .kernel = 2, .stride = 2, .dilation = 1, .pad_begin = 0, .out = 18};
  const Axis line{.in = 130, .kernel = 16, .stride = 8, .dilation = 1, .pad_begin = 4, .out = 1040};
  const Axis flat{.in = 1, .kernel = 1, .stride = 1, .dilation = 1, .pad_begin = 0, .out = 1};
  std::vector<ProblemDesc> descs = {dense_desc(17, 40, 24, one, one), dense_desc(2, 33, 70, twice, twice),
                                    dense_desc(1, 24, 9, flat, line), dense_desc(3, 12, 3, kUp2, kUp2),
                                    dense_desc(1, 66, 66, kUp2, kUp2), dense_desc(2, 3, 3, line, flat)};
  descs[4].groups = 66;
  for (ProblemDesc d : descs) {
    for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
      for (const DType type : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
        d.layout = layout;
        d.dtype = d.output_dtype = d.bias_dtype = type;
        d.alignment = 8;
        check_exact(Problem(d), 5);
      }
    }
  }
}

// ---- Numbers that round, and numbers that are none. ---------------------------------------------

void expect_within_bound(const Problem& problem, uint64_t seed) {
  Operands operands = uniform(problem, seed);
  for (const int tile : tiles_for(problem)) {
    Prepared(problem, tile, {.threads = 1}, operands.filters.data()).launch(operands.tensors());
    const VerifyReport report = verify(problem, operands.tensors(), {.threads = 1});
    EXPECT_TRUE(report.right()) << problem.key() << " " << name_of_tile(tile) << "\n"
                                << describe_mismatch(problem, report);
  }
}

TEST(Simd, StaysWithinTheBoundForEveryActivation) {
  for (int activation = 0; activation <= static_cast<int>(Activation::silu); ++activation) {
    for (const DType type : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
      for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
        ProblemDesc d = dense_desc(1, 33, 19, kUp2, kUp2);
        d.layout = layout;
        d.dtype = d.output_dtype = d.bias_dtype = type;
        d.alignment = 8;
        d.has_bias = true;
        d.activation = static_cast<Activation>(activation);
        if (d.activation == Activation::leaky_relu) d.activation_a = 0.1;
        if (d.activation == Activation::clamp) d.activation_a = -0.3, d.activation_b = 0.7;
        expect_within_bound(Problem(d), static_cast<uint64_t>(activation));
      }
    }
  }
}

// One tap of one channel: the activation of a number that is read, from where it is zero to where it
// overflows. The bound's share for the sum is then next to nothing.
TEST(Simd, ActivatesEveryMagnitude) {
  const Axis line{.in = 4001, .kernel = 1, .stride = 1, .dilation = 1, .pad_begin = 0, .out = 4001};
  for (int activation = 0; activation <= static_cast<int>(Activation::silu); ++activation) {
    for (const DType type : {DType::f32, DType::f64}) {
      ProblemDesc d = dense_desc(1, 1, 1, Axis{}, line);
      d.dtype = d.output_dtype = d.bias_dtype = type;
      d.alignment = 8;
      d.activation = static_cast<Activation>(activation);
      if (d.activation == Activation::leaky_relu) d.activation_a = 0.1;
      if (d.activation == Activation::clamp) d.activation_a = -0.3, d.activation_b = 0.7;
      const Problem problem(d);
      Operands operands = uniform(problem, 1);
      store(type, operands.filters.data(), 0, 1);
      for (int64_t i = 0; i < line.in; ++i) {
        const double magnitude = std::exp2(static_cast<double>(i / 2) / 2000 * 160 - 130);
        store(type, operands.input.data(), i, i % 2 == 0 ? magnitude : -magnitude);
      }
      for (const int tile : tiles_for(problem)) {
        Prepared(problem, tile, {.threads = 1}, operands.filters.data()).launch(operands.tensors());
        const VerifyReport report = verify(problem, operands.tensors(), {.threads = 1});
        EXPECT_TRUE(report.right()) << problem.key() << " " << name_of_tile(tile) << "\n"
                                    << describe_mismatch(problem, report);
      }
    }
  }
}

TEST(Simd, StaysWithinTheBoundOnRandomProblems) {
  std::mt19937_64 random(5);
  RandomLimits limits;
  limits.inexact_activations = true, limits.zero_sizes = false, limits.max_channels = 24;
  for (int i = 0; i < enumeration(1000, 100) && !HasFailure(); ++i) {
    expect_within_bound(Problem(random_desc(random, limits)), static_cast<uint64_t>(i));
  }
}

// The methods `tiles` and `depthwise` add as the formula says, so that gather's strict sums are theirs.
TEST(Simd, TilesAddInTheOrderOfTheFormula) {
  expect_sums_fused_and_in_order([](const Problem& problem, const Tensors& tensors) {
    const int tile = tiles_for(problem).front();
    ASSERT_EQ(name_of_tile(tile).substr(0, 5), "tiles");
    if (name_of_tile(tile) == "tiles_portable") return reference_conv2d_transpose(problem, tensors, 1);
    Prepared(problem, tile, {.threads = 1}, tensors.filters).launch(tensors);
  });
}

// A product with a pixel that does not exist is not made: infinite filters at the border stay unseen
// where their taps miss the input.
TEST(Simd, MultipliesNothingBeyondTheBorder) {
  for (const int64_t channels : {3, 40}) {
    const Problem problem(dense_desc(2, 5, channels, kUp2, kUp2));
    Operands operands = small_integers(problem, 8);
    const FilterStrides f = problem.filter_strides();
    for (int64_t k = 0; k < channels; ++k) {
      for (int64_t c = 0; c < 5; ++c) {
        store(DType::f32, operands.filters.data(), f.offset(3, 0, k, c),
              std::numeric_limits<double>::infinity());
      }
    }
    Bytes expected = reference_output(problem, operands);
    const auto nans = [&](const Bytes& bytes) {
      int64_t count = 0;
      for (std::size_t i = 0; i < bytes.size() / sizeof(float); ++i) {
        count += std::isnan(load(DType::f32, bytes.data(), static_cast<int64_t>(i))) ? 1 : 0;
      }
      return count;
    };
    for (const int tile : tiles_for(problem)) {
      Prepared(problem, tile, {}, operands.filters.data()).launch(operands.tensors());
      EXPECT_EQ(nans(operands.output), nans(expected)) << name_of_tile(tile);
    }
    EXPECT_LT(nans(expected), static_cast<int64_t>(expected.size() / sizeof(float)));
  }
}

// ---- Memory. ------------------------------------------------------------------------------------

TEST(Simd, ResidualMayBeTheOutput) {
  for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
    for (const DType type : {DType::f32, DType::f16}) {
      ProblemDesc d = dense_desc(2, 5, 18, kUp2, kUp2);
      d.layout = layout;
      d.dtype = d.output_dtype = d.bias_dtype = type;
      d.has_bias = d.has_residual = true;
      d.activation = Activation::relu;
      const Problem problem(d);
      for (const int tile : tiles_for(problem)) {
        Operands operands = small_integers(problem, 1);
        const Bytes expected = reference_output(problem, operands);
        Tensors tensors = operands.tensors();
        tensors.output = operands.residual.data();
        Prepared(problem, tile, {}, operands.filters.data()).launch(tensors);
        EXPECT_EQ(first_difference(operands.residual, expected), -1)
            << problem.key() << " " << name_of_tile(tile);
      }
    }
  }
}

TEST(Simd, NeedsNoMoreAlignmentThanDeclared) {
  for (const bool has_residual : {false, true}) {
    ProblemDesc d = dense_desc(1, 33, 20, kUp2, kUp2);
    d.has_residual = has_residual;
    const Problem problem(d);
    for (const int tile : tiles_for(problem)) {
      Operands operands = small_integers(problem, 2);
      const Bytes expected = reference_output(problem, operands);
      const auto shift = [](Bytes& data) {
        data.insert(data.begin(), sizeof(float), kPoison);
        return data.data() + sizeof(float);
      };
      Tensors tensors = operands.tensors();
      tensors.input = shift(operands.input);
      tensors.filters = shift(operands.filters);
      tensors.output = shift(operands.output);
      if (has_residual) tensors.residual = shift(operands.residual);
      Prepared(problem, tile, {}, tensors.filters).launch(tensors);
      operands.output.erase(operands.output.begin(), operands.output.begin() + sizeof(float));
      EXPECT_EQ(first_difference(operands.output, expected), -1) << name_of_tile(tile);
    }
  }
}

TEST(Simd, WritesNothingBehindItsWorkspaceAndPackedFilters) {
  std::mt19937_64 random(17);
  RandomLimits limits;
  limits.max_channels = 40;
  for (int i = 0; i < 100; ++i) {
    const Problem problem(random_desc(random, limits));
    if (problem.empty_output()) continue;
    for (const int tile : tiles_for(problem)) {
      Operands operands = small_integers(problem, 1);
      const auto state = simd_kernel.prepare(
          problem, tile, {.prepacked_filters = i % 2 == 0, .threads = 2}, cpu_facts());
      constexpr std::size_t kGuard = 4096;
      Bytes workspace(state->workspace_bytes + kGuard, kPoison);
      Bytes packed(state->packed_filter_bytes + kGuard, kPoison);
      Tensors tensors = operands.tensors();
      tensors.workspace = workspace.data();
      if (i % 2 == 0) {
        simd_kernel.prepack(problem, *state, tensors.filters, packed.data(), nullptr);
        tensors.filters = packed.data();
      }
      simd_kernel.launch(problem, *state, tensors, nullptr);
      const auto is_poison = [](std::byte b) { return b == kPoison; };
      EXPECT_TRUE(std::all_of(workspace.end() - kGuard, workspace.end(), is_poison))
          << problem.key() << " " << name_of_tile(tile);
      EXPECT_TRUE(std::all_of(packed.end() - kGuard, packed.end(), is_poison))
          << problem.key() << " " << name_of_tile(tile);
    }
  }
}

TEST(Simd, SaysWhatItNeedsWhereTheWorkspaceIsLimited) {
  const Axis axis{.in = 32, .kernel = 4, .stride = 2, .dilation = 1, .pad_begin = 1, .out = 64};
  const Problem problem(dense_desc(1, 64, 24, axis, axis));
  const Options limited{.kernels = {"simd"}, .workspace_limit = 0, .threads = 1};
  try {
    make_plan(problem, limited);
    FAIL() << "planned without a workspace";
  } catch (const Unsupported& declined) {
    EXPECT_NE(std::string(declined.what()).find(" bytes of workspace, the limit is 0"), std::string::npos)
        << declined.what();
  }
}

TEST(Simd, ResizedPlansReadTheSamePackedFilters) {
  for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
    ProblemDesc d = dense_desc(1, 20, 24, kUp2, kUp2);
    d.layout = layout;
    const Plan plan = make_plan(Problem(d), {.kernels = {"simd"}, .prepacked_filters = true});
    Operands filters = small_integers(plan.problem(), 1);
    Bytes packed(plan.state().packed_filter_bytes);
    prepack(plan, filters.filters.data(), packed.data(), packed.size(), nullptr);
    for (const auto& [n, h, w] : {std::tuple<int64_t, int64_t, int64_t>{1, 1, 1}, {3, 30, 2}, {2, 2, 90}}) {
      const Plan other = resized(plan, n, h, w);
      ASSERT_EQ(other.state().packed_filter_bytes, packed.size());
      Operands operands = small_integers(other.problem(), 3);
      operands.filters = filters.filters;
      const Bytes expected = reference_output(other.problem(), operands);
      Bytes workspace(workspace_bytes_upto(plan, n, h, w));
      Tensors tensors = operands.tensors();
      tensors.filters = packed.data(), tensors.workspace = workspace.data();
      run(other, tensors, {.workspace = workspace.size()}, nullptr);
      EXPECT_EQ(first_difference(operands.output, expected), -1) << other.problem().key();
    }
  }
}

// ---- Threads. -----------------------------------------------------------------------------------

TEST(Simd, ThreadsShareAPlan) {
  ProblemDesc d = dense_desc(2, 24, 20, kUp2, kUp2);
  d.dtype = d.output_dtype = d.bias_dtype = DType::f16;
  d.has_bias = true;
  const Problem problem(d);
  Operands filters = small_integers(problem, 1);
  const Prepared prepared(problem, tiles_for(problem).front(),
                          {.prepacked_filters = true, .threads = 2}, filters.filters.data());
  const auto work = [&](uint64_t seed, int64_t* difference) {
    Operands operands = small_integers(problem, seed);
    operands.filters = filters.filters;
    const Bytes expected = reference_output(problem, operands);
    for (int run = 0; run < 50 && *difference == -1; ++run) {
      std::fill(operands.output.begin(), operands.output.end(), kPoison);
      prepared.launch(operands.tensors());
      *difference = first_difference(operands.output, expected);
    }
  };
  int64_t differences[2] = {-1, -1};
  std::thread other(work, 2, &differences[0]);
  work(3, &differences[1]);
  other.join();
  EXPECT_EQ(differences[0], -1);
  EXPECT_EQ(differences[1], -1);
}

// On numbers that round: another order of any sum would show.
TEST(Simd, AnyNumberOfThreadsGivesTheSameBits) {
  const Axis axis{.in = 50, .kernel = 3, .stride = 2, .dilation = 1, .pad_begin = 1, .out = 100};
  const Problem problem(dense_desc(3, 40, 70, axis, axis));
  Operands operands = uniform(problem, 4);
  for (const int tile : tiles_for(problem)) {
    if (name_of_tile(tile).ends_with("portable")) continue;  // takes long
    Bytes first;
    for (const int threads : {1, 2, 3, 7}) {
      std::fill(operands.output.begin(), operands.output.end(), kPoison);
      Prepared(problem, tile, {.threads = threads}, operands.filters.data()).launch(operands.tensors());
      if (first.empty()) first = operands.output;
      EXPECT_EQ(first_difference(operands.output, first), -1) << threads << " " << name_of_tile(tile);
    }
  }
}

TEST(Simd, TakesTheCallersThreads) {
  const Axis axis{.in = 50, .kernel = 3, .stride = 2, .dilation = 1, .pad_begin = 1, .out = 100};
  const Problem problem(dense_desc(3, 40, 70, axis, axis));
  Operands operands = small_integers(problem, 4);
  const Bytes expected = reference_output(problem, operands);
  int calls = 0;
  const CallersThreads callers = {
      [](void* user, int32_t count, void (*body)(void*, int32_t), void* context) {
        ++*static_cast<int*>(user);
        std::vector<std::thread> threads;
        for (int32_t i = 0; i < count; ++i) threads.emplace_back(body, context, i);
        for (std::thread& thread : threads) thread.join();
      },
      &calls};
  const int tile = tiles_for(problem).front();
  Prepared(problem, tile, {.threads = 3, .callers_threads = callers}, operands.filters.data())
      .launch(operands.tensors());
  EXPECT_EQ(first_difference(operands.output, expected), -1);
  EXPECT_EQ(calls, 1);
}

TEST(Simd, RefusesTilesThatAProblemCannotHave) {
  const Problem problem(dense_desc(1, 2, 2, kUp2, kUp2));
  const auto reason = [&](const std::string& name) {
    for (std::size_t tile = 0; tile < simd_kernel.tiles.size(); ++tile) {
      if (name == simd_kernel.tiles[tile]) {
        return simd_kernel.consider(problem, static_cast<int>(tile), {}, cpu_facts()).reason;
      }
    }
    return std::string("no such tile");
  };
  EXPECT_EQ(reason("depthwise_portable"), "not one channel to a group");
  EXPECT_EQ(reason("tiles_portable"), "");
  EXPECT_EQ(reason("columns_portable"), "");
}

}  // namespace
}  // namespace tconv::test
