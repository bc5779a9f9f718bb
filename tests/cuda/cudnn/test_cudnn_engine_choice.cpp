// SPDX-License-Identifier: Apache-2.0
// test_cudnn_engine_choice.cpp: what of the row `cudnn` is plain logic, over made-up lists: which
// engine configuration is taken, how a problem becomes a graph, and the pool of handles. Needs no
// cuDNN.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <random>
#include <thread>

#include "src/cuda/cudnn/engine_choice.h"
#include "src/cuda/cudnn/graph.h"
#include "src/cuda/cudnn/handle_pool.h"
#include "tests/support/support.h"

namespace tconv::test {
namespace {

// ---- Choosing. ----------------------------------------------------------------------------------

constexpr PlanRules kStrictF32{DType::f32, Math::strict, true, -1};

EngineConfig engine(int64_t id, std::vector<PlanNote> notes = {}) {
  return {.engine = id, .knobs = {}, .notes = std::move(notes)};
}

/// Builds everything with `workspace` bytes; remembers what was built.
struct Builds {
  std::vector<int64_t> workspace;
  std::vector<std::size_t> asked;
  PlanBuild operator()(std::size_t i) {
    asked.push_back(i);
    return {.workspace_bytes = i < workspace.size() ? workspace[i] : 0, .refusal = {}};
  }
};

PlanChoice choose(const std::vector<EngineConfig>& configs, const PlanRules& rules,
                  Builds& builds) {
  return choose_plan(configs, rules, [&](std::size_t i) { return builds(i); });
}

TEST(PlanName, SaysEngineAndKnobsInAFixedOrder) {
  EXPECT_EQ(name_of(engine(12)), "engine12");
  const EngineConfig a{.engine = 12, .knobs = {{7, 0}, {3, 1}}, .notes = {}};
  const EngineConfig b{.engine = 12, .knobs = {{3, 1}, {7, 0}}, .notes = {}};
  EXPECT_EQ(name_of(a), "engine12_k3=1_k7=0");
  EXPECT_EQ(name_of(a), name_of(b));
}

TEST(PlanRules, StrictF32IsF32) {
  const PlanRules tf32{DType::f32, Math::tf32, true, -1}, x3{DType::f32, Math::tf32x3, true, -1};
  for (const PlanNote note : {PlanNote::tensor_core, PlanNote::down_converts}) {
    EXPECT_NE(excluded(engine(1, {note}), kStrictF32), "");
    EXPECT_NE(excluded(engine(1, {note}), x3), "") << "cuDNN has no 3xTF32";
  }
  EXPECT_EQ(excluded(engine(1, {PlanNote::tensor_core}), tf32), "");
  EXPECT_NE(excluded(engine(1, {PlanNote::down_converts}), tf32), "");
  EXPECT_EQ(excluded(engine(1), kStrictF32), "");
}

TEST(PlanRules, NarrowTypesUseTensorCores) {
  for (const DType type : {DType::f16, DType::bf16, DType::f64}) {
    const PlanRules rules{type, Math::strict, true, -1};
    EXPECT_EQ(excluded(engine(1, {PlanNote::tensor_core}), rules), "");
    EXPECT_NE(excluded(engine(1, {PlanNote::reduced_sums}), rules), "");
    EXPECT_NE(excluded(engine(1, {PlanNote::transform}), rules), "");
    EXPECT_NE(excluded(engine(1, {PlanNote::reorders_filters}), rules), "");
  }
}

TEST(PlanRules, DeterminismIsAnOption) {
  PlanRules rules = kStrictF32;
  EXPECT_NE(excluded(engine(1, {PlanNote::nondeterministic}), rules), "");
  rules.deterministic = false;
  EXPECT_EQ(excluded(engine(1, {PlanNote::nondeterministic}), rules), "");
}

TEST(ChoosePlan, TakesTheFirstThatIsAdmitted) {
  Builds builds;
  const auto choice =
      choose({engine(5, {PlanNote::nondeterministic}), engine(9), engine(1)}, kStrictF32, builds);
  ASSERT_TRUE(choice.found());
  EXPECT_EQ(choice.index, 1u);
  EXPECT_EQ(builds.asked, std::vector<std::size_t>{1}) << "nothing else may be built";
  EXPECT_EQ(choice.reason, "");
}

TEST(ChoosePlan, KeepsTheHeuristicsOrderWhereConfigurationsTie) {
  Builds builds;
  EXPECT_EQ(choose({engine(7), engine(3)}, kStrictF32, builds).index, 0u);
  EXPECT_EQ(choose({engine(3), engine(7)}, kStrictF32, builds).index, 0u);
}

TEST(ChoosePlan, HonoursTheWorkspaceLimit) {
  PlanRules rules = kStrictF32;
  rules.workspace_limit = 1024;
  Builds builds{.workspace = {1025, 1024, 0}, .asked = {}};
  const std::vector configs = {engine(1), engine(2), engine(3)};
  const auto choice = choose(configs, rules, builds);
  EXPECT_EQ(choice.index, 1u);
  EXPECT_EQ(choice.workspace_bytes, 1024);
  rules.workspace_limit = 0;
  builds.asked.clear();
  EXPECT_EQ(choose(configs, rules, builds).index, 2u);
  rules.workspace_limit = -1;
  EXPECT_EQ(choose(configs, rules, builds).index, 0u);
}

TEST(ChoosePlan, GoesOnAfterARefusalAndTriesNothingTwice) {
  int builds = 0;
  const std::vector configs = {engine(1), engine(1), engine(2)};
  const auto choice = choose_plan(configs, kStrictF32, [&](std::size_t i) -> PlanBuild {
    ++builds;
    return {.workspace_bytes = 8, .refusal = i < 2 ? "NOT_SUPPORTED" : ""};
  });
  EXPECT_EQ(choice.index, 2u);
  EXPECT_EQ(builds, 2) << "the second engine 1 is the first one again";
}

TEST(ChoosePlan, SaysWhyThereIsNone) {
  const auto none = [](std::size_t) { return PlanBuild{}; };
  EXPECT_EQ(choose_plan({}, kStrictF32, none).reason, "cuDNN's heuristics propose no engine");
  PlanRules rules = kStrictF32;
  rules.workspace_limit = 100;
  const std::vector configs = {engine(1, {PlanNote::tensor_core}),
                               engine(2, {PlanNote::tensor_core}), engine(3), engine(4), engine(5)};
  const auto choice = choose_plan(configs, rules, [](std::size_t i) -> PlanBuild {
    return {.workspace_bytes = 101, .refusal = i < 4 ? "no such kernel " + std::to_string(i) : ""};
  });
  EXPECT_FALSE(choice.found());
  EXPECT_EQ(
      choice.reason,
      "of the engine configurations that cuDNN proposes, 2 on tensor cores, which round f32 to "
      "TF32 (math is not tf32); 1 with more than 100 bytes of workspace; 2 refused by cuDNN, "
      "the first with: no such kernel 2");
}

// ---- Problems as graphs. ------------------------------------------------------------------------

ProblemDesc dense_desc() {
  constexpr Axis kUp2{.in = 8, .kernel = 4, .stride = 2, .dilation = 1, .pad_begin = 1, .out = 16};
  ProblemDesc d;
  d.batch = 2, d.in_c = 32, d.out_c = 16, d.h = kUp2, d.w = kUp2;
  d.dtype = d.output_dtype = d.bias_dtype = DType::f16;
  return d;
}

const CudnnTensor& tensor(const CudnnGraph& graph, int64_t id) {
  const auto found = std::ranges::find(graph.tensors, id, &CudnnTensor::id);
  EXPECT_NE(found, graph.tensors.end());
  return *found;
}

std::string reason(const ProblemDesc& d) { return cudnn_cannot_express(Problem(d)); }

TEST(CudnnGeometry, DeclinesWithASentence) {
  EXPECT_EQ(reason(dense_desc()), "");
  ProblemDesc d = dense_desc();
  d.h.pad_begin = -1;
  d.h.out = d.h.full() + 1;
  EXPECT_NE(reason(d).find("no negative padding (height)"), std::string::npos);
  d = dense_desc();
  d.w.pad_begin = 0;
  d.w.out = d.w.full() + d.w.stride;
  EXPECT_NE(reason(d).find("less than a stride past the last tap (width)"), std::string::npos);
  d.w.out = d.w.full() + d.w.stride - 1;
  EXPECT_EQ(reason(d), "");
  d = dense_desc();
  d.in_c = 0;
  EXPECT_NE(reason(d), "");
  d = dense_desc();
  d.batch = 0;
  EXPECT_NE(reason(d), "");
  d = dense_desc();
  d.input_strides = dense_strides(Layout::nhwc, {1, 8, 8, 32});
  d.input_strides.n = 0;
  EXPECT_NE(reason(d).find("share an address"), std::string::npos);
  d.input_strides.n = d.input_strides.h;
  EXPECT_NE(reason(d).find("share an address"), std::string::npos);
  d = dense_desc();
  d.batch = int64_t{1} << 25;
  EXPECT_NE(reason(d).find("2^31 - 1"), std::string::npos);
  d = dense_desc();
  d.h.stride = int64_t{1} << 32;
  d.h.in = 1, d.h.pad_begin = 0, d.h.out = d.h.full();
  EXPECT_NE(reason(d).find("32 bits (height)"), std::string::npos);
}

/// The size of the forward convolution's output for the padding that was chosen.
int64_t forward_size(const Axis& a, int64_t pre, int64_t post) {
  return floor_div(a.out + pre + post - a.keff(), a.stride) + 1;
}

TEST(CudnnGeometry, PaddingInvertsTheForwardConvolution) {
  std::mt19937_64 random(1);
  int taken = 0, symmetric = 0;
  for (int i = 0; i < 5000; ++i) {
    ProblemDesc d = dense_desc();
    d.h = random_axis(random, {.zero_sizes = false});
    const Problem problem(d);
    if (!cudnn_cannot_express(problem).empty()) continue;
    ++taken;
    const auto graph = make_cudnn_graph(problem, {});
    const int64_t pre = graph.pre_pads[0], post = graph.post_pads[0];
    EXPECT_EQ(pre, d.h.pad_begin);
    EXPECT_GE(post, 0);
    EXPECT_EQ(forward_size(d.h, pre, post), d.h.in) << problem.key();
    symmetric += pre == post;
    const bool possible = pre >= d.h.pad_end() && pre <= d.h.pad_end() + d.h.stride - 1;
    EXPECT_EQ(pre == post, possible) << problem.key();
  }
  EXPECT_GT(taken, 500);
  EXPECT_GT(symmetric, 100);
}

TEST(CudnnGraph, GivesFiltersTheirTrueStrides) {
  ProblemDesc d = dense_desc();
  d.groups = 2;
  for (const FilterOrder order :
       {FilterOrder::hwoi, FilterOrder::ihwo, FilterOrder::ohwi, FilterOrder::iohw}) {
    d.filter_order = order;
    const Problem problem(d);
    const auto graph = make_cudnn_graph(problem, {});
    const CudnnTensor& filters = tensor(graph, kFilters);
    EXPECT_EQ(filters.extents, (CudnnDims{32, 8, 4, 4}));
    const FilterStrides f = problem.filter_strides();
    EXPECT_EQ(filters.strides, (CudnnDims{f.c, f.k, f.r, f.s}));
  }
  const Problem nhwc(d);
  EXPECT_EQ(tensor(make_cudnn_graph(nhwc, {.packed_filters = true}), kFilters).strides,
            (CudnnDims{128, 1, 32, 8}));
  d.layout = Layout::nchw;
  EXPECT_EQ(tensor(make_cudnn_graph(Problem(d), {.packed_filters = true}), kFilters).strides,
            (CudnnDims{128, 16, 4, 1}));
}

TEST(CudnnGraph, KeepsTheStridesOfSlices) {
  ProblemDesc d = dense_desc();
  d.input_strides = dense_strides(Layout::nhwc, {2, 8, 8, 40});
  d.output_strides = dense_strides(Layout::nhwc, {2, 16, 16, 24});
  const auto graph = make_cudnn_graph(Problem(d), {});
  EXPECT_EQ(tensor(graph, kInput).strides, (CudnnDims{2560, 1, 320, 40}));
  EXPECT_EQ(tensor(graph, kResult).strides, (CudnnDims{6144, 1, 384, 24}));
}

TEST(CudnnGraph, GivesOneElementDimensionsTheLayoutsStride) {
  ProblemDesc d = dense_desc();
  d.batch = 1;
  d.in_c = 1;
  d.input_strides = {.n = 3, .h = 8, .w = 1, .c = 1};
  EXPECT_EQ(tensor(make_cudnn_graph(Problem(d), {}), kInput).strides, (CudnnDims{64, 1, 8, 1}));
}

TEST(CudnnForms, PackOnlyWhereTheOrderDiffers) {
  ProblemDesc d = dense_desc();
  const auto forms = [&](bool prepacked) { return cudnn_forms(Problem(d), prepacked); };
  d.filter_order = FilterOrder::ihwo;
  ASSERT_EQ(forms(false).size(), 1u);
  EXPECT_FALSE(forms(false)[0].packed_filters);
  d.filter_order = FilterOrder::hwoi;
  ASSERT_EQ(forms(false).size(), 2u);
  EXPECT_FALSE(forms(false)[0].packed_filters);
  EXPECT_TRUE(forms(false)[1].packed_filters);
  ASSERT_EQ(forms(true).size(), 1u);
  EXPECT_TRUE(forms(true)[0].packed_filters);
  d.filter_order = FilterOrder::iohw;
  EXPECT_EQ(forms(false).size(), 2u);
  d.layout = Layout::nchw;
  EXPECT_EQ(forms(false).size(), 1u);
}

std::vector<CudnnEpilogue> epilogues(const ProblemDesc& d) {
  std::vector<CudnnEpilogue> all;
  for (const CudnnForm& form : cudnn_forms(Problem(d), true)) all.push_back(form.epilogue);
  return all;
}

TEST(CudnnForms, FuseOnlyWhatIsExact) {
  using E = CudnnEpilogue;
  ProblemDesc d = dense_desc();
  EXPECT_EQ(epilogues(d), std::vector{E::none});
  d.output_dtype = DType::f32;
  EXPECT_EQ(epilogues(d), std::vector{E::fused});
  d.output_dtype = DType::bf16;
  EXPECT_EQ(epilogues(d), (std::vector{E::fused, E::after}));
  d = dense_desc();
  d.has_bias = true;
  EXPECT_EQ(epilogues(d), (std::vector{E::fused, E::after}));
  for (const Activation a : {Activation::prelu, Activation::sigmoid, Activation::tanh,
                             Activation::gelu, Activation::gelu_tanh, Activation::silu}) {
    d.activation = a;
    EXPECT_EQ(epilogues(d), std::vector{E::after}) << name_of(a);
  }
  d.activation = Activation::relu;
  EXPECT_EQ(epilogues(d), (std::vector{E::fused, E::after}));
  d.has_residual = true;  // may be the output itself
  EXPECT_EQ(epilogues(d), std::vector{E::after});
  d.has_residual = false;
  d.dtype = d.output_dtype = d.bias_dtype = DType::f64;
  EXPECT_EQ(epilogues(d), std::vector{E::after});
}

TEST(CudnnGraph, ChainsTheEpilogueThroughVirtualSums) {
  ProblemDesc d = dense_desc();
  d.has_bias = true;
  d.bias_dtype = DType::f32;
  d.activation = Activation::leaky_relu;
  d.activation_a = 0.25;
  const auto graph = make_cudnn_graph(Problem(d), {.epilogue = CudnnEpilogue::fused});
  ASSERT_EQ(graph.pointwise.size(), 2u);
  EXPECT_EQ(graph.pointwise[0].operand, kBias);
  EXPECT_EQ(graph.pointwise[1].slope, 0.25);
  int64_t written = graph.sums;
  for (const CudnnPointwise& operation : graph.pointwise) {
    EXPECT_EQ(operation.input, written);
    EXPECT_TRUE(tensor(graph, written).is_virtual);
    EXPECT_EQ(tensor(graph, written).dtype, DType::f32) << "rounded once";
    written = operation.output;
  }
  EXPECT_EQ(written, kResult);
  EXPECT_TRUE(graph.result_is_output);
  EXPECT_EQ(tensor(graph, kResult).dtype, DType::f16);
}

TEST(CudnnGraph, KeepsUnroundedSumsForTheEpilogueAfter) {
  ProblemDesc d = dense_desc();
  d.activation = Activation::silu;
  const CudnnForm after{.epilogue = CudnnEpilogue::after};
  auto graph = make_cudnn_graph(Problem(d), after);
  EXPECT_FALSE(graph.result_is_output);
  EXPECT_EQ(graph.result_bytes, 2 * 16 * 16 * 16 * 4);
  EXPECT_EQ(tensor(graph, kResult).dtype, DType::f32);
  d.dtype = d.output_dtype = d.bias_dtype = DType::f32;
  graph = make_cudnn_graph(Problem(d), after);
  EXPECT_TRUE(graph.result_is_output) << "in place: f32 holds its own sums";
  EXPECT_EQ(graph.result_bytes, 0);
  EXPECT_TRUE(graph.pointwise.empty());
  d.has_residual = true;  // may be the output itself
  EXPECT_FALSE(make_cudnn_graph(Problem(d), after).result_is_output);
}

// ---- Handles. -----------------------------------------------------------------------------------

TEST(HandlePool, GrowsToItsLimitAndReportsFailure) {
  HandlePool<int> pool;
  EXPECT_FALSE(pool.grow([](int&) { return false; }));
  int next = 0;
  const auto create = [&](int& handle) { return handle = ++next, true; };
  for (std::size_t i = 0; i < 2 * HandlePool<int>::kMost; ++i) EXPECT_TRUE(pool.grow(create));
  EXPECT_EQ(pool.made(), HandlePool<int>::kMost);
  EXPECT_EQ(next, static_cast<int>(HandlePool<int>::kMost));
  HandlePool<int> one;
  EXPECT_TRUE(one.grow(create));
  EXPECT_TRUE(one.grow([](int&) { return false; })) << "what is there still serves";
}

TEST(HandlePool, NeverLendsAHandleTwice) {
  HandlePool<int> pool;
  int next = 0;
  for (int i = 0; i < 2; ++i) pool.grow([&](int& handle) { return handle = next++, true; });
  std::array<std::atomic<int>, 2> users{};
  std::atomic<int> clashes{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        const HandleLease<int> lease(pool);
        auto& user = users[static_cast<std::size_t>(lease.get())];
        if (++user != 1) ++clashes;
        std::this_thread::yield();
        --user;
      }
    });
  }
  threads.clear();  // joins
  EXPECT_EQ(clashes, 0);
}

}  // namespace
}  // namespace tconv::test
