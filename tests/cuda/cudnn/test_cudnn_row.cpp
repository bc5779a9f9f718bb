// SPDX-License-Identifier: Apache-2.0
// test_cudnn_row.cpp: the whole row `cudnn` without a GPU: over a made-up libcudnn.so.9 that
// computes on the CPU (fake_cudnn.cpp), and over our kernels around it, compiled by the host
// compiler. Proves what the row asks and in which order; says nothing of the real library's
// answers.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>

#include "src/cuda/cudnn/graph.h"
#include "src/host/cpu/reference.h"
#include "src/host/device/device_models.h"
#include "src/host/plan/plan.h"
#include "src/host/problem/errors.h"
#include "tests/cuda/cudnn/fake_cudnn.h"
#include "tests/support/cuda_on_host/repack_on_host.h"
#include "tests/support/fake_gpu.h"
#include "tests/support/support.h"

namespace tconv::host {
extern const Kernel cudnn_kernel;
}  // namespace tconv::host

namespace tconv::test {
namespace {

// As in cudnn/graph.h of cuDNN.
constexpr int kTensorCore = 0, kDownConverts = 1, kReducedSums = 2, kFft = 3, kNondeterministic = 4,
              kWinograd = 5, kFiltersReordered = 1;

/// The library that the row finds in the process because it is here before the row looks.
FakeCudnn& fake() {
  static auto* const found = [] {
    void* library = dlopen(TCONV_FAKE_CUDNN, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(dlerror());
    return reinterpret_cast<FakeCudnnFunction>(dlsym(library, kFakeCudnnFunction))();
  }();
  return *found;
}

class CudnnRow : public testing::Test {
 protected:
  CudnnRow() {
    fake().engines = {{.index = 12, .knobs = {{7, 0}, {3, 1}}, .workspace_bytes = 1000}};
    fake().b_engines.clear();
    fake().model_engines.clear();
    fake().fails_to_start = fake().fails_to_execute = false;
    gpu_.on_launch = [this](const Launch& launch) {
      run_repack_made_by_nvcc(launch, running_->desc().dtype, fake().executions > executions_);
    };
  }
  const DeviceFacts& device() const { return gpu_.present[0]; }

  std::shared_ptr<const KernelState> prepare(const Problem& problem, const Options& options = {}) {
    return cudnn_kernel.prepare(problem, 0, options, device());
  }
  std::string why_not(const Problem& problem, const Options& options = {}) {
    try {
      (void)prepare(problem, options);
    } catch (const Unsupported& reason) {
      return reason.what();
    }
    return "";
  }
  /// Runs with a workspace of exactly the size that was asked for.
  void launch(const Problem& problem, const KernelState& state, Operands& operands) {
    operands.workspace = Bytes(state.workspace_bytes + 64, kPoison);
    running_ = &problem;
    executions_ = fake().executions;
    cudnn_kernel.launch(problem, state, operands.tensors(), &stream_);
    EXPECT_EQ(fake().executions, executions_ + 1);
    EXPECT_EQ(fake().last_stream, &stream_);
    const auto tail = operands.workspace.end() - 64;
    EXPECT_TRUE(
        std::all_of(tail, operands.workspace.end(), [](std::byte b) { return b == kPoison; }))
        << "written past the workspace: " << problem.key();
  }

  FakeGpu gpu_;
  const Problem* running_ = nullptr;
  int64_t executions_ = 0;
  int stream_ = 0;
};

ProblemDesc dense_desc() {
  constexpr Axis kUp2{.in = 3, .kernel = 4, .stride = 2, .dilation = 1, .pad_begin = 1, .out = 6};
  ProblemDesc d;
  d.in_c = 4, d.out_c = 2, d.h = kUp2, d.w = kUp2;
  d.filter_order = FilterOrder::ihwo;
  return d;
}

TEST_F(CudnnRow, EqualsTheReferenceOnSmallIntegers) {
  std::mt19937_64 random(20261126);
  int taken = 0, repacked = 0, after = 0;
  for (int i = 0; i < enumeration(8000, 800) && !HasFailure(); ++i) {
    const Problem problem(random_desc(random));
    if (!cudnn_kernel.declines(problem, {}, device()).empty()) continue;
    ++taken;
    fake().engines[0].takes_channels_first_filters = random() % 2 == 0;
    fake().engines[0].fuses = problem.desc().dtype == DType::f32 && random() % 2 == 0;
    if (size_of(problem.desc().dtype) == 2) fake().engines[0].fuses = true;
    Operands operands = small_integers(problem, static_cast<uint64_t>(i));
    Bytes expected(operands.output.size(), kPoison);
    Tensors tensors = operands.tensors();
    tensors.output = expected.data();
    reference_conv2d_transpose(problem, tensors, 1);

    const Options options{.prepacked_filters = random() % 3 == 0};
    const auto state = prepare(problem, options);
    repacked += state->tile_name.find("+repack") != std::string::npos;
    after += state->tile_name.find("+epilogue") != std::string::npos;
    if (options.prepacked_filters) {
      Bytes packed(state->packed_filter_bytes, kPoison);
      running_ = &problem;
      executions_ = fake().executions;
      cudnn_kernel.prepack(problem, *state, operands.filters.data(), packed.data(), &stream_);
      operands.filters = packed;
    }
    launch(problem, *state, operands);
    EXPECT_TRUE(operands.output == expected) << problem.key() << " " << state->tile_name;
  }
  EXPECT_GT(taken, 100);
  EXPECT_GT(repacked, 10);
  EXPECT_GT(after, 10);
}

TEST_F(CudnnRow, NamesEngineAndKnobsAndCountsTheWorkspace) {
  const Problem problem(dense_desc());
  const auto state = prepare(problem);
  EXPECT_EQ(state->tile_name, "engine12_k3=1_k7=0");
  EXPECT_EQ(state->workspace_bytes, 1024u);
  fake().engines[0].takes_channels_first_filters = false;
  ProblemDesc d = dense_desc();
  d.filter_order = FilterOrder::hwoi;
  d.activation = Activation::silu;
  d.has_residual = true;
  const auto around = prepare(Problem(d));
  EXPECT_EQ(around->tile_name, "engine12_k3=1_k7=0+repack+epilogue");
  EXPECT_EQ(around->workspace_bytes, 1024u + 512u + 512u);  // cuDNN's, filters, sums
  EXPECT_EQ(prepare(Problem(d), {.prepacked_filters = true})->workspace_bytes, 1024u + 512u);
  EXPECT_EQ(prepare(Problem(d), {.prepacked_filters = true})->packed_filter_bytes, 512u);
}

TEST_F(CudnnRow, PlanShowsTheNameOfTheEngine) {
  const Kernel* table[] = {&cudnn_kernel};
  const Plan plan = make_plan(Problem(dense_desc()), {}, device(), table);
  EXPECT_STREQ(plan.tile(), "engine12_k3=1_k7=0");
  EXPECT_NE(plan.explain(false).find("engine12_k3=1_k7=0"), std::string::npos);
}

std::vector<std::string> tiles_of(const std::vector<Proposal>& proposals) {
  std::vector<std::string> tiles;
  for (const Proposal& proposal : proposals) tiles.push_back(proposal.from + " " + proposal.tile);
  return tiles;
}
using Names = std::vector<std::string>;

TEST_F(CudnnRow, ListsWhatTheHeuristicsProposeOnceEach) {
  const Problem problem(dense_desc());
  fake().engines = {{.index = 3}, {.index = 1, .numerical_notes = {kTensorCore, kFft}}};
  fake().b_engines = {{.index = 1}, {.index = 8, .knobs = {{2, 5}}}};
  const auto all = cudnn_kernel.proposals(problem, {}, device(), false);
  EXPECT_EQ(tiles_of(all), (Names{"A engine3", "A engine1", "B engine8_k2=5"}));
  EXPECT_EQ(all[1].notes, "tensor cores, FFT or Winograd");
  EXPECT_EQ(all[1].excluded, "by FFT or Winograd, whose error has no such bound");
  EXPECT_EQ(cudnn_kernel.proposals(problem, {.unbounded_error = true}, device(), false)[1].excluded,
            "on tensor cores, which round f32 to TF32 (math is not tf32)");
  EXPECT_EQ(all[0].notes + all[0].excluded, "");
  EXPECT_EQ(tiles_of(cudnn_kernel.proposals(problem, {}, device(), true)),
            (Names{"A engine3", "A engine1"}));
  ProblemDesc d = dense_desc();
  d.has_bias = true;  // fused, and after: two forms
  fake().b_engines.clear();
  EXPECT_EQ(tiles_of(cudnn_kernel.proposals(Problem(d), {}, device(), false)),
            (Names{"A engine3", "A engine1", "A engine3+epilogue", "A engine1+epilogue"}));
  fake().engines.clear();
  EXPECT_THROW((void)cudnn_kernel.proposals(problem, {}, device(), false), Unsupported);
}

TEST_F(CudnnRow, TakesTheTileThatIsNamed) {
  ProblemDesc d = dense_desc();
  d.has_bias = true;
  const Problem problem(d);
  fake().engines = {{.index = 3}, {.index = 1, .numerical_notes = {kFft}}};
  fake().b_engines = {{.index = 8, .knobs = {{2, 5}}}};
  const Kernel* table[] = {&cudnn_kernel};
  for (const Proposal& proposal : cudnn_kernel.proposals(problem, {}, device(), false)) {
    Options options{.tile = proposal.tile, .unbounded_error = true};
    EXPECT_STREQ(make_plan(problem, options, device(), table).tile(), proposal.tile.c_str());
    options.unbounded_error = false;
    if (proposal.excluded.empty()) continue;
    EXPECT_NE(why_not(problem, options).find(proposal.excluded), std::string::npos);
  }
  EXPECT_NE(why_not(problem, {.tile = "engine8"}).find("propose no engine8"), std::string::npos);
  EXPECT_THROW((void)make_plan(problem, {.tile = "engin8"}, device(), table), InvalidProblem);
}

TEST_F(CudnnRow, SaysWhatItKnowsOfAGpu) {
  const auto present = all_devices(true);
  EXPECT_EQ(present[0].cudnn_properties, fake().properties);
  EXPECT_EQ(all_devices(false)[0].cudnn_properties, "");
}

TEST_F(CudnnRow, PlansForAGpuThatOnlyDescribedItself) {
  const Problem problem(dense_desc());
  fake().engines = {{.index = 1}};
  fake().model_engines = {{.index = 7, .numerical_notes = {kFft}}, {.index = 5}};
  DeviceFacts model = device_model("h200");
  EXPECT_NE(cudnn_kernel.declines(problem, {}, model), "");
  model.cudnn_properties = fake().properties;
  EXPECT_EQ(cudnn_kernel.declines(problem, {}, model), "");
  const int64_t handles = fake().handles, loads = gpu_.loads;
  EXPECT_EQ(tiles_of(cudnn_kernel.proposals(problem, {}, model, false)),
            (Names{"A engine7", "A engine5"}));
  const Kernel* table[] = {&cudnn_kernel};
  const Plan plan = make_plan(problem, {}, model, table);
  EXPECT_STREQ(plan.tile(), "engine5");
  const std::string text = plan.explain(false);
  EXPECT_NE(text.find("A engine7, FFT or Winograd: not allowed by FFT"), std::string::npos) << text;
  EXPECT_NE(text.find("A engine5\n"), std::string::npos) << text;
  const std::string json = plan.explain(true);
  EXPECT_NE(json.find(R"("proposals":[{"tile":"engine7","from":"A")"), std::string::npos) << json;
  EXPECT_EQ(fake().handles, handles);
  EXPECT_EQ(gpu_.loads, loads);
  Operands operands = small_integers(problem, 1);
  EXPECT_THROW(cudnn_kernel.launch(problem, plan.state(), operands.tensors(), nullptr),
               DeviceError);
  model.cudnn_properties = "of another cuDNN";
  EXPECT_THROW((void)cudnn_kernel.proposals(problem, {}, model, false), Unsupported);
  EXPECT_THROW((void)cudnn_kernel.prepare(problem, 0, {}, model), Unsupported);
}

TEST_F(CudnnRow, ReadsTheNotesOfEngines) {
  const Problem problem(dense_desc());
  for (const int note :
       {kTensorCore, kDownConverts, kReducedSums, kFft, kNondeterministic, kWinograd}) {
    fake().engines = {{.index = 1, .numerical_notes = {note}}, {.index = 2}};
    EXPECT_EQ(prepare(problem)->tile_name, "engine2") << note;
  }
  fake().engines = {{.index = 1, .behavior_notes = {kFiltersReordered}}, {.index = 2}};
  EXPECT_EQ(prepare(problem)->tile_name, "engine2");
  fake().engines = {{.index = 1, .numerical_notes = {kTensorCore}}, {.index = 2}};
  EXPECT_EQ(prepare(problem, {.math = Math::tf32})->tile_name, "engine1");
  fake().engines[0].numerical_notes = {kNondeterministic};
  EXPECT_EQ(prepare(problem, {.deterministic = false})->tile_name, "engine1");
}

TEST_F(CudnnRow, HonoursTheWorkspaceLimitWithItsOwnPiecesIncluded) {
  ProblemDesc d = dense_desc();
  d.activation = Activation::silu;
  d.has_residual = true;
  const Problem problem(d);
  fake().engines = {{.index = 1, .workspace_bytes = 2000}, {.index = 2, .workspace_bytes = 256}};
  EXPECT_EQ(prepare(problem)->tile_name, "engine1+epilogue");
  for (const int64_t limit : {768, 800, 2303}) {
    const auto state = prepare(problem, {.workspace_limit = limit});
    EXPECT_EQ(state->tile_name, "engine2+epilogue");
    EXPECT_LE(state->workspace_bytes, static_cast<std::size_t>(limit));
  }
  EXPECT_NE(why_not(problem, {.workspace_limit = 767}).find("with more than 0 bytes"),
            std::string::npos)
      << why_not(problem, {.workspace_limit = 767});
  EXPECT_NE(why_not(problem, {.workspace_limit = 100}).find("our kernels around cuDNN need 512"),
            std::string::npos);
}

TEST_F(CudnnRow, SaysForEveryFormWhyItFailed) {
  ProblemDesc d = dense_desc();
  d.filter_order = FilterOrder::hwoi;
  fake().engines = {{.index = 1, .numerical_notes = {kTensorCore}}};
  const std::string reason = why_not(Problem(d));
  EXPECT_NE(reason.find("filters as they are: of the engine configurations"), std::string::npos);
  EXPECT_NE(reason.find("; filters repacked: "), std::string::npos) << reason;
  EXPECT_NE(reason.find("1 on tensor cores"), std::string::npos) << reason;
  fake().engines.clear();
  EXPECT_NE(why_not(Problem(d)).find("propose no engine"), std::string::npos);
}

TEST_F(CudnnRow, MakesHandlesWhenItPlansAndNeverWhenItRuns) {
  const Problem problem(dense_desc());
  const auto state = prepare(problem);
  for (int i = 0; i < 8; ++i) (void)prepare(problem);
  const int64_t handles = fake().handles, plans = fake().plans;
  EXPECT_LE(handles, 5) << "one for planning, at most four for runs";
  Operands operands = small_integers(problem, 1);
  for (int i = 0; i < 20; ++i) launch(problem, *state, operands);
  EXPECT_EQ(fake().handles, handles);
  EXPECT_EQ(fake().plans, plans);
}

TEST_F(CudnnRow, ThreadsMayShareAPlan) {
  const Problem problem(dense_desc());
  const auto first = prepare(problem), second = prepare(problem);
  const int64_t clashes = fake().clashes;
  fake().is_slow = true;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Operands operands = small_integers(problem, static_cast<uint64_t>(t));
      operands.workspace = Bytes(first->workspace_bytes, kPoison);
      const KernelState& state = t % 2 == 0 ? *first : *second;
      for (int i = 0; i < 50; ++i) {
        cudnn_kernel.launch(problem, state, operands.tensors(), nullptr);
      }
    });
  }
  threads.clear();  // joins
  fake().is_slow = false;
  EXPECT_EQ(fake().clashes, clashes);
}

TEST_F(CudnnRow, ReportsWhatFails) {
  const Problem problem(dense_desc());
  const auto state = prepare(problem);
  Operands operands = small_integers(problem, 1);
  operands.workspace = Bytes(state->workspace_bytes, kPoison);
  fake().fails_to_execute = true;
  try {
    cudnn_kernel.launch(problem, *state, operands.tensors(), nullptr);
    FAIL() << "nothing was thrown";
  } catch (const DeviceError& error) {
    EXPECT_STREQ(error.what(), "cudnnBackendExecute failed: FAKE_ERROR");
  }
  fake().fails_to_execute = false;
  launch(problem, *state, operands);  // and the handle is back
  fake().fails_to_start = true;
  DeviceFacts other = device();
  other.ordinal = 3;  // no handle yet
  EXPECT_THROW((void)cudnn_kernel.prepare(problem, 0, {}, other), Unsupported);
}

TEST_F(CudnnRow, PlansTheSameEveryTime) {
  fake().engines = {{.index = 5, .knobs = {{2, 1}, {1, 4}}}, {.index = 4}};
  const Problem problem(dense_desc());
  const std::string name = prepare(problem)->tile_name;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(prepare(problem)->tile_name, name);
}

}  // namespace
}  // namespace tconv::test
