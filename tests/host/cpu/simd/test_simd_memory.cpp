// SPDX-License-Identifier: Apache-2.0
// test_simd_memory.cpp: the family `simd` and the caller's memory, its sizes and its threads.
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "src/host/cpu/simd/kernels.h"
#include "src/host/problem/errors.h"
#include "src/host/run/run.h"
#include "tests/host/cpu/simd/simd_runs.h"

namespace tconv::test {
namespace {

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
    EXPECT_NE(std::string(declined.what()).find(" bytes of workspace, the limit is 0"),
              std::string::npos)
        << declined.what();
  }
}

TEST(Simd, ResizedPlansReadTheSamePackedFilters) {
  for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
    ProblemDesc d = dense_desc(1, 20, 24, kUp2, kUp2);
    d.layout = layout;
    const Plan plan = make_plan(Problem(d), {.kernels = {"simd"}, .prepacked_filters = true});
    Operands filters = small_integers(plan.problem(), 1);
    Bytes packed(plan.packed_filter_bytes());
    prepack(plan, filters.filters.data(), packed.data(), packed.size(), nullptr);
    for (const auto& [n, h, w] :
         {std::tuple<int64_t, int64_t, int64_t>{1, 1, 1}, {3, 30, 2}, {2, 2, 90}}) {
      const Plan other = resized(plan, n, h, w);
      ASSERT_EQ(other.packed_filter_bytes(), packed.size());
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

// The largest of many sizes says what all of them need: every tile, layouts, borders, one pixel,
// and sizes at which boxes are cut in other ways.
TEST(Simd, NeedsNoMoreForLess) {
  std::mt19937_64 random(31);
  RandomLimits limits;
  limits.strided_tensors = false, limits.max_batch = 3;
  const auto upto = [&](int64_t most) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(most)) + 1;
  };
  int compared = 0;
  for (int i = 0; i < enumeration(2000, 200); ++i) {
    const Problem problem(random_desc(random, limits));
    for (const int tile : tiles_for(problem)) {
      const Options options{
          .kernels = {"simd"}, .tile = name_of_tile(tile), .prepacked_filters = true, .threads = 2};
      try {
        const Plan plan = make_plan(problem, options);
        const int64_t n = upto(40), h = upto(300), w = upto(3000);
        const std::size_t most = workspace_bytes_upto(plan, n, h, w);
        const Plan smaller = resized(plan, upto(n), upto(h), upto(w));
        EXPECT_LE(smaller.workspace_bytes(), most)
            << smaller.problem().key() << " " << name_of_tile(tile) << " in " << n << " " << h
            << " " << w;
        ++compared;
      } catch (const Unsupported&) {     // sizes that a tile does not take
      } catch (const InvalidProblem&) {  // outputs that pads leave nothing of
      }
    }
  }
  EXPECT_GT(compared, enumeration(2000, 200));
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
      Prepared(problem, tile, {.threads = threads}, operands.filters.data())
          .launch(operands.tensors());
      if (first.empty()) first = operands.output;
      EXPECT_EQ(first_difference(operands.output, first), -1)
          << threads << " " << name_of_tile(tile);
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

// An older instruction set is for who asks for it.
TEST(Simd, ChoosesTheBestInstructionsOfTheProcessor) {
  const std::string best = simd::best_target()->name;
  const Axis picture{
      .in = 300, .kernel = 8, .stride = 2, .dilation = 1, .pad_begin = 7, .out = 600};
  ProblemDesc enlarged = dense_desc(1, 3, 3, picture, picture);
  enlarged.groups = 3;
  EXPECT_TRUE(
      std::string(make_plan(Problem(enlarged), {.kernels = {"simd"}}).tile()).ends_with(best));
  std::mt19937_64 random(37);
  for (int i = 0; i < 300; ++i) {
    const Problem problem(random_desc(random));
    const Plan plan = make_plan(problem, {.kernels = {"simd"}});
    EXPECT_TRUE(std::string(plan.tile()).ends_with(best)) << problem.key() << " " << plan.tile();
  }
}

TEST(Simd, RefusesTilesThatAProblemCannotHave) {
  Problem problem(dense_desc(1, 2, 2, kUp2, kUp2));
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
  const auto wide = [](int64_t stride) {
    return Axis{.in = 9, .kernel = 1024, .stride = stride, .dilation = 1, .out = stride * 8 + 1024};
  };
  problem = Problem(dense_desc(1, 2, 2, kUp2, wide(512)));
  EXPECT_EQ(reason("columns_portable"), "more than 1024 taps");  // 4 of height
  const Axis one{.in = 1, .kernel = 1, .stride = 1, .dilation = 1, .out = 1};
  problem = Problem(dense_desc(1, 2, 2, one, wide(512)));
  EXPECT_EQ(reason("columns_portable"), "");
  problem = Problem(dense_desc(1, 2, 2, one, wide(513)));
  EXPECT_EQ(reason("columns_portable"), "more than 512 phases");
}

}  // namespace
}  // namespace tconv::test
