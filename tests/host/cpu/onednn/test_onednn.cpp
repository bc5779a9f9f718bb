// SPDX-License-Identifier: Apache-2.0
// test_onednn.cpp: the row `onednn` against the row `reference`, bit for bit on small integers and
// within the derived bound on everything else.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <dnnl.hpp>
#include <map>
#include <optional>
#include <string>
#include <thread>

#include "src/host/cpu/reference.h"
#include "src/host/plan/plan.h"
#include "src/host/problem/errors.h"
#include "src/host/run/run.h"
#include "src/host/verify/verify.h"
#include "tests/support/support.h"

namespace tconv::host {
extern const Kernel onednn_kernel;
}  // namespace tconv::host

namespace tconv::test {
namespace {

std::string why_not(const Problem& problem) {
  return onednn_kernel.declines(problem, {}, cpu_facts());
}

/// A prepared row and its packed filters.
struct Prepared {
  Problem problem;
  std::shared_ptr<const KernelState> state;
  Bytes packed;

  Prepared(const Problem& p, const Options& options, const void* filters)
      : problem(p), state(onednn_kernel.prepare(p, 0, options, cpu_facts())) {
    if (!options.prepacked_filters) return;
    packed.resize(state->packed_filter_bytes, kPoison);
    onednn_kernel.prepack(problem, *state, filters, packed.data(), nullptr);
  }
  /// Runs on the operands' tensors with a workspace that holds NaN.
  void launch(Tensors tensors) const {
    Bytes workspace(state->workspace_bytes, kPoison);
    tensors.workspace = workspace.data();
    if (!packed.empty()) tensors.filters = packed.data();
    onednn_kernel.launch(problem, *state, tensors, nullptr);
  }
};

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
constexpr Axis kUp2{.in = 7, .kernel = 4, .stride = 2, .dilation = 1, .pad_begin = 1, .out = 14};

/// Every problem that the row takes, run both ways; returns whether it was taken.
bool check_exact(const Problem& problem, uint64_t seed) {
  if (problem.empty_output() || !why_not(problem).empty()) return false;
  Operands operands = small_integers(problem, seed);
  const Bytes expected = reference_output(problem, operands);
  for (const bool prepacked : {false, true}) {
    const Options options{.prepacked_filters = prepacked,
                          .threads = 1 + static_cast<int>(seed % 2)};
    const Prepared prepared(problem, options, operands.filters.data());
    std::fill(operands.output.begin(), operands.output.end(), kPoison);
    prepared.launch(operands.tensors());
    EXPECT_EQ(first_difference(operands.output, expected), -1)
        << problem.key() << " prepacked " << prepacked << " seed " << seed;
  }
  return true;
}

TEST(OneDnn, EqualsTheReferenceOnSmallIntegers) {
  std::mt19937_64 random(20261123);
  const int problems = enumeration(5000, 600);
  int taken = 0;
  for (int i = 0; i < problems && !HasFailure(); ++i) {
    taken += check_exact(Problem(random_desc(random)), static_cast<uint64_t>(i));
  }
  EXPECT_GE(taken * 2, problems);
}

// Channels past the blocks of 16 of oneDNN's kernels, in every type.
TEST(OneDnn, EqualsTheReferenceOnManyChannels) {
  std::mt19937_64 random(7);
  RandomLimits limits;
  limits.max_channels = 70, limits.max_in = 9;
  limits.dtypes = {DType::f16, DType::bf16, DType::f32};
  const int problems = enumeration(400, 60);
  int taken = 0;
  for (int i = 0; i < problems && !HasFailure(); ++i) {
    taken += check_exact(Problem(random_desc(random, limits)), static_cast<uint64_t>(i));
  }
  EXPECT_GE(taken * 2, problems);
}

// Extents, strides, kernels and dilations far from those of any network.
TEST(OneDnn, EqualsTheReferenceOnExtremeAxes) {
  std::mt19937_64 random(11);
  RandomLimits limits;
  limits.max_in = 40, limits.max_kernel = 33, limits.max_stride = 37, limits.max_dilation = 19;
  limits.max_channels = 3, limits.max_batch = 1;
  limits.dtypes = {DType::f32};
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

TEST(OneDnn, EqualsTheReferenceOnHugeAxes) {
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
        EXPECT_TRUE(check_exact(Problem(d), 1)) << Problem(d).key();
      }
    }
  }
}

// The geometries for which the row leaves oneDNN's order of implementations.
TEST(OneDnn, EqualsTheReferenceWhereItPrefersTheMatrixProduct) {
  const Axis big{.in = 33, .kernel = 2, .stride = 2, .dilation = 1, .pad_begin = 0, .out = 66};
  const Axis sparse{.in = 5, .kernel = 4, .stride = 8, .dilation = 1, .pad_begin = 0, .out = 36};
  for (const ProblemDesc& desc :
       {dense_desc(2, 64, 3, kUp2, kUp2),
        dense_desc(1, 512, 128, {.in = 32}, {.in = 33, .out = 33}),
        dense_desc(1, 80, 48, sparse, sparse), dense_desc(1, 40, 1, big, kUp2)}) {
    for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
      ProblemDesc d = desc;
      d.layout = layout;
      EXPECT_TRUE(check_exact(Problem(d), 3)) << Problem(d).key();
    }
  }
}

// ---- Every activation, on data that rounds. -----------------------------------------------------

void expect_within_bound(const Problem& problem, uint64_t seed) {
  Operands operands = uniform(problem, seed);
  Prepared(problem, {.threads = 1}, operands.filters.data()).launch(operands.tensors());
  const VerifyReport report = verify(problem, operands.tensors(), {.threads = 1});
  EXPECT_TRUE(report.right()) << problem.key() << "\n" << describe_mismatch(problem, report);
}

TEST(OneDnn, StaysWithinTheBoundForEveryActivation) {
  for (int activation = 0; activation <= static_cast<int>(Activation::silu); ++activation) {
    for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
      ProblemDesc d = dense_desc(1, 33, 19, kUp2, kUp2);
      d.dtype = d.output_dtype = d.bias_dtype = type;
      d.has_bias = true;
      d.activation = static_cast<Activation>(activation);
      if (d.activation == Activation::leaky_relu) d.activation_a = 0.1;
      if (d.activation == Activation::clamp) d.activation_a = -0.3, d.activation_b = 0.7;
      expect_within_bound(Problem(d), static_cast<uint64_t>(activation));
    }
  }
}

TEST(OneDnn, StaysWithinTheBoundOnRandomProblems) {
  std::mt19937_64 random(5);
  RandomLimits limits;
  limits.inexact_activations = true, limits.zero_sizes = false, limits.max_channels = 24;
  for (int i = 0; i < enumeration(1000, 100) && !HasFailure(); ++i) {
    const Problem problem(random_desc(random, limits));
    if (why_not(problem).empty()) expect_within_bound(problem, static_cast<uint64_t>(i));
  }
}

// ---- Memory. ------------------------------------------------------------------------------------

TEST(OneDnn, ResidualMayBeTheOutput) {
  for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
    for (const DType type : {DType::f32, DType::f16}) {
      ProblemDesc d = dense_desc(2, 5, 18, kUp2, kUp2);
      d.layout = layout;
      d.dtype = d.output_dtype = d.bias_dtype = type;
      d.has_bias = d.has_residual = true;
      d.activation = Activation::relu;
      const Problem problem(d);
      Operands operands = small_integers(problem, 1);
      const Bytes expected = reference_output(problem, operands);
      Tensors tensors = operands.tensors();
      tensors.output = operands.residual.data();
      Prepared(problem, {}, operands.filters.data()).launch(tensors);
      EXPECT_EQ(first_difference(operands.residual, expected), -1) << problem.key();
    }
  }
}

TEST(OneDnn, NeedsNoMoreAlignmentThanDeclared) {
  ProblemDesc d = dense_desc(1, 33, 20, kUp2, kUp2);
  d.has_residual = true;
  for (const bool writes_in_place : {false, true}) {
    d.has_residual = !writes_in_place;
    const Problem problem(d);
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
    if (d.has_residual) tensors.residual = shift(operands.residual);
    Prepared(problem, {}, tensors.filters).launch(tensors);
    operands.output.erase(operands.output.begin(), operands.output.begin() + sizeof(float));
    EXPECT_EQ(first_difference(operands.output, expected), -1) << problem.key();
  }
}

TEST(OneDnn, WritesNothingBehindItsWorkspaceAndPackedFilters) {
  std::mt19937_64 random(17);
  RandomLimits limits;
  limits.max_channels = 40;
  for (int i = 0; i < 100; ++i) {
    const Problem problem(random_desc(random, limits));
    if (problem.empty_output() || !why_not(problem).empty()) continue;
    Operands operands = small_integers(problem, 1);
    const auto state = onednn_kernel.prepare(
        problem, 0, {.prepacked_filters = i % 2 == 0, .threads = 2}, cpu_facts());
    constexpr std::size_t kGuard = 4096;
    Bytes workspace(state->workspace_bytes + kGuard, kPoison);
    Bytes packed(state->packed_filter_bytes + kGuard, kPoison);
    Tensors tensors = operands.tensors();
    tensors.workspace = workspace.data();
    if (i % 2 == 0) {
      onednn_kernel.prepack(problem, *state, tensors.filters, packed.data(), nullptr);
      tensors.filters = packed.data();
    }
    onednn_kernel.launch(problem, *state, tensors, nullptr);
    const auto is_poison = [](std::byte b) { return b == kPoison; };
    EXPECT_TRUE(std::all_of(workspace.end() - kGuard, workspace.end(), is_poison)) << problem.key();
    EXPECT_TRUE(std::all_of(packed.end() - kGuard, packed.end(), is_poison)) << problem.key();
  }
}

/// The plan for `limit` bytes, run in exactly as many; or a sentence with what is needed. Returns
/// whether there was a plan.
bool check_limit(const Problem& problem, std::size_t limit) {
  const auto bytes = static_cast<int64_t>(limit);
  std::optional<Plan> plan;
  try {
    plan = make_plan(problem, {.kernels = {"onednn"}, .workspace_limit = bytes, .threads = 1});
  } catch (const Unsupported& declined) {
    const std::string what = declined.what(), words = "onednn: needs ";
    const std::size_t at = what.find(words);
    EXPECT_NE(what.find(" bytes of workspace, the limit is " + std::to_string(bytes)),
              std::string::npos)
        << what;
    EXPECT_GT(at == std::string::npos ? 0 : std::stoll(what.substr(at + words.size())), bytes)
        << what;
    return false;
  }
  EXPECT_LE(plan->workspace_bytes(), limit) << problem.key();
  Operands operands = small_integers(problem, 9);
  const Bytes expected = reference_output(problem, operands);
  operands.workspace = Bytes(limit + 1, kPoison);
  run(*plan, operands.tensors(), {.workspace = limit}, nullptr);
  EXPECT_EQ(first_difference(operands.output, expected), -1) << problem.key() << " in " << limit;
  EXPECT_EQ(operands.workspace.back(), kPoison) << problem.key() << " in " << limit;
  return true;
}

// Whichever implementations oneDNN has here, and whatever scratch they want.
TEST(OneDnn, KeepsToAWorkspaceLimitOrSaysWhatItNeeds) {
  const Axis axis{.in = 32, .kernel = 4, .stride = 2, .dilation = 1, .pad_begin = 1, .out = 64};
  for (const int64_t out_c : {3, 24}) {
    for (const DType type : {DType::f32, DType::f16}) {
      ProblemDesc d = dense_desc(1, 64, out_c, axis, axis);
      d.dtype = d.output_dtype = d.bias_dtype = type;
      const Problem problem(d);
      const auto unlimited =
          onednn_kernel.prepare(problem, 0, {.threads = 1}, cpu_facts())->workspace_bytes;
      EXPECT_TRUE(check_limit(problem, unlimited)) << problem.key();
      if (unlimited > 0) check_limit(problem, unlimited - 1);
      check_limit(problem, unlimited / 2);
      // f16 operands are widened into the workspace.
      EXPECT_FALSE(check_limit(problem, 0) && type == DType::f16) << problem.key();
    }
  }
}

// ---- Threads. -----------------------------------------------------------------------------------

TEST(OneDnn, ThreadsShareAPlan) {
  ProblemDesc d = dense_desc(2, 24, 20, kUp2, kUp2);
  d.dtype = d.output_dtype = d.bias_dtype = DType::f16;
  d.has_bias = true;
  const Problem problem(d);
  Operands filters = small_integers(problem, 1);
  const Prepared prepared(problem, {.prepacked_filters = true, .threads = 2},
                          filters.filters.data());
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

TEST(OneDnn, AnyNumberOfThreadsGivesTheSameBits) {
  const Axis axis{.in = 20, .kernel = 3, .stride = 2, .dilation = 1, .pad_begin = 1, .out = 40};
  const Problem problem(dense_desc(3, 20, 17, axis, axis));
  Operands operands = small_integers(problem, 4);
  const Bytes expected = reference_output(problem, operands);
  for (const int threads : {1, 2, 3, 7}) {
    std::fill(operands.output.begin(), operands.output.end(), kPoison);
    Prepared(problem, {.threads = threads}, operands.filters.data()).launch(operands.tensors());
    EXPECT_EQ(first_difference(operands.output, expected), -1) << threads;
  }
}

// ---- The processor. -----------------------------------------------------------------------------

// So that a run under a cap (see tests/CMakeLists.txt) cannot be one without.
TEST(OneDnn, UsesNoMoreInstructionsThanItsEnvironmentAllows) {
  const char* cap = std::getenv("DNNL_MAX_CPU_ISA");
  if (cap == nullptr) GTEST_SKIP() << "DNNL_MAX_CPU_ISA is not set";
  const std::map<std::string, dnnl::cpu_isa> caps = {
      {"SSE41", dnnl::cpu_isa::sse41}, {"AVX", dnnl::cpu_isa::avx}, {"AVX2", dnnl::cpu_isa::avx2}};
  const auto allowed = caps.find(cap);
  if (allowed == caps.end()) GTEST_SKIP() << "DNNL_MAX_CPU_ISA=" << cap;
  // A set of instructions has the bits of all that it contains.
  const auto used = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  EXPECT_EQ(used & ~static_cast<unsigned>(allowed->second), 0U) << cap << ", but " << used;
}

// ---- What it declines. --------------------------------------------------------------------------

TEST(OneDnn, DeclinesWithASentence) {
  ProblemDesc d = dense_desc(1, 2, 2, kUp2, kUp2);
  EXPECT_EQ(why_not(Problem(d)), "");
  d.dtype = d.output_dtype = d.bias_dtype = DType::f64;
  d.alignment = 8;
  EXPECT_EQ(why_not(Problem(d)), "oneDNN has no f64");

  ProblemDesc empty = dense_desc(1, 0, 2, kUp2, kUp2);
  EXPECT_EQ(why_not(Problem(empty)), "no input reaches any output");
  ProblemDesc unreached = dense_desc(1, 2, 2, kUp2, kUp2);
  unreached.h.pad_begin = -100;
  EXPECT_EQ(why_not(Problem(unreached)), "no input reaches any output");

  const Axis large{
      .in = 32768, .kernel = 1, .stride = 1, .dilation = 1, .pad_begin = 0, .out = 32768};
  EXPECT_NE(why_not(Problem(dense_desc(1, 1, 1, large, large))), "");
  ProblemDesc strided = dense_desc(1, 1, 1, kUp2, kUp2);
  strided.h = {.in = 2, .kernel = 1, .stride = int64_t{1} << 31, .out = 3};
  EXPECT_EQ(why_not(Problem(strided)), "") << "one input reaches the output: the stride is moot";
}

}  // namespace
}  // namespace tconv::test
