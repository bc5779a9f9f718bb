// SPDX-License-Identifier: Apache-2.0
// test_cudnn_gpu.cpp: the row `cudnn` on a GPU, against the row `reference`. Not yet run on one.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>

#include "src/host/cpu/reference.h"
#include "src/host/plan/devices.h"
#include "src/host/plan/plan.h"
#include "src/host/problem/errors.h"
#include "src/host/run/run.h"
#include "src/host/verify/verify.h"
#include "tests/gpu/device_operands.h"

namespace tconv::host {
extern const Kernel cudnn_kernel;
}  // namespace tconv::host

namespace tconv::test {
namespace {

/// A plan of the row, or none with cuDNN's reason, which is never empty.
std::optional<Plan> cudnn_plan(const Problem& problem, Options options = {}) {
  options.device = DeviceKind::cuda;
  options.kernels = {"cudnn"};
  try {
    return make_plan(problem, options);
  } catch (const Unsupported& declined) {
    EXPECT_NE(std::string(declined.what()).find("cudnn: "), std::string::npos) << declined.what();
    return std::nullopt;
  }
}

/// Runs with a workspace of exactly the plan's size, which starts as NaN.
Bytes output_of(const Plan& plan, const Operands& operands) {
  const DeviceOperands device(operands);
  const std::size_t bytes = plan.workspace_bytes();
  const DeviceCopy workspace(Bytes(bytes + 1, kPoison));
  const DeviceCopy packed(Bytes(plan.packed_filter_bytes() + 1, kPoison));
  Tensors tensors = device.tensors();
  tensors.workspace = workspace.data();
  if (plan.options().prepacked_filters) {
    prepack(plan, device.filters.data(), packed.data(), plan.packed_filter_bytes(), nullptr);
    tensors.filters = packed.data();
  }
  run(plan, tensors, {.workspace = bytes}, nullptr);
  return device.output.download();
}

/// The whole buffer, so that a padding byte that was written is a difference.
Bytes reference_output(const Problem& problem, const Operands& operands) {
  Operands copy = operands;
  reference_conv2d_transpose(problem, copy.tensors(), 1);
  return copy.output;
}

/// Problems that cuDNN has engines for: whole vectors of channels in every group.
ProblemDesc friendly_desc(std::mt19937_64& random) {
  RandomLimits limits;
  limits.zero_sizes = false;
  limits.max_channels = 4, limits.max_in = 12;
  ProblemDesc d = random_desc(random, limits);
  d.in_c *= 8, d.out_c *= 8;
  d.input_strides = d.output_strides = d.residual_strides = {};
  d.alignment = 16;
  return d;
}

struct Taken {
  int taken = 0, asked = 0;
};

void expect_exact(const Problem& problem, uint64_t seed, std::map<DType, Taken>& count) {
  const Operands operands = small_integers(problem, seed);
  for (const bool prepacked : {false, true}) {
    ++count[problem.desc().dtype].asked;
    const auto plan = cudnn_plan(problem, {.prepacked_filters = prepacked});
    if (!plan) continue;
    ++count[problem.desc().dtype].taken;
    const Bytes expected = reference_output(problem, operands), got = output_of(*plan, operands);
    const auto at = std::mismatch(expected.begin(), expected.end(), got.begin());
    EXPECT_TRUE(at.first == expected.end())
        << problem.key() << " " << plan->tile() << " prepacked " << prepacked << " seed " << seed
        << " differs at byte " << at.first - expected.begin();
  }
}

void record(const std::map<DType, Taken>& count) {
  for (const auto& [type, share] : count) {
    testing::Test::RecordProperty(name_of(type), std::to_string(share.taken) + " of " +
                                                     std::to_string(share.asked) + " taken");
  }
}

TEST(CudnnOnGpu, EqualsTheReferenceOnSmallIntegers) {
  std::mt19937_64 random(20261127);
  std::map<DType, Taken> count;
  for (int i = 0; i < enumeration(600, 100) && !testing::Test::HasFailure(); ++i) {
    expect_exact(Problem(friendly_desc(random)), static_cast<uint64_t>(i), count);
  }
  record(count);
  for (const DType type : {DType::f16, DType::bf16, DType::f32}) EXPECT_GT(count[type].taken, 0);
}

// Odd channels, slices, one-pixel images: whatever cuDNN takes must be right.
TEST(CudnnOnGpu, EqualsTheReferenceWhereverItTakesARandomProblem) {
  std::mt19937_64 random(20261128);
  std::map<DType, Taken> count;
  for (int i = 0; i < enumeration(1000, 150) && !testing::Test::HasFailure(); ++i) {
    const Problem problem(random_desc(random));
    if (!problem.empty_output()) expect_exact(problem, static_cast<uint64_t>(i), count);
  }
  record(count);
}

TEST(CudnnOnGpu, StaysWithinTheBoundOnUniformData) {
  std::mt19937_64 random(3);
  int taken = 0;
  for (int i = 0; i < enumeration(300, 60) && !testing::Test::HasFailure(); ++i) {
    const Problem problem(friendly_desc(random));
    const auto plan = cudnn_plan(problem);
    if (!plan) continue;
    ++taken;
    Operands operands = uniform(problem, static_cast<uint64_t>(i));
    operands.output = output_of(*plan, operands);
    const VerifyReport report = verify(problem, operands.tensors(), {});
    EXPECT_TRUE(report.right()) << plan->tile() << ": " << describe_mismatch(problem, report);
  }
  EXPECT_GT(taken, 0);
}

TEST(CudnnOnGpu, HonoursTheWorkspaceLimit) {
  std::mt19937_64 random(4);
  for (int i = 0; i < 30 && !testing::Test::HasFailure(); ++i) {
    const Problem problem(friendly_desc(random));
    const auto free = cudnn_plan(problem);
    if (!free) continue;
    for (const int64_t limit : {int64_t{0}, static_cast<int64_t>(free->workspace_bytes()) - 1}) {
      if (limit < 0) continue;
      const auto plan = cudnn_plan(problem, {.workspace_limit = limit});
      if (!plan) continue;
      EXPECT_LE(plan->workspace_bytes(), static_cast<std::size_t>(limit));
      const Operands operands = small_integers(problem, 1);
      EXPECT_TRUE(output_of(*plan, operands) == reference_output(problem, operands))
          << problem.key() << " " << plan->tile();
    }
  }
}

TEST(CudnnOnGpu, GivesTheSamePlanAndTheSameBits) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 10 && !testing::Test::HasFailure(); ++i) {
    const Problem problem(friendly_desc(random));
    const auto plan = cudnn_plan(problem);
    if (!plan) continue;
    const Operands operands = uniform(problem, static_cast<uint64_t>(i));
    const Bytes first = output_of(*plan, operands);
    for (int again = 0; again < 5; ++again) {
      const auto same = cudnn_plan(problem);
      ASSERT_TRUE(same.has_value());
      EXPECT_STREQ(same->tile(), plan->tile());
      ASSERT_TRUE(output_of(*same, operands) == first) << problem.key() << " " << plan->tile();
    }
  }
}

TEST(CudnnOnGpu, EveryProposalThatTheRulesAdmitIsRight) {
  std::mt19937_64 random(6);
  int proposed = 0, built = 0;
  for (int i = 0; i < 10 && !testing::Test::HasFailure(); ++i) {
    const Problem problem(friendly_desc(random));
    if (!cudnn_kernel.declines(problem, {}, cuda_facts()).empty()) continue;
    std::vector<Proposal> proposals;
    try {
      proposals = cudnn_kernel.proposals(problem, {}, cuda_facts(), false);
    } catch (const Unsupported&) {
      continue;
    }
    const Operands operands = small_integers(problem, static_cast<uint64_t>(i));
    for (const Proposal& proposal : proposals) {
      if (!proposal.excluded.empty()) continue;
      ++proposed;
      const auto plan = cudnn_plan(problem, {.tile = proposal.tile});
      if (!plan) continue;
      ++built;
      EXPECT_STREQ(plan->tile(), proposal.tile.c_str());
      EXPECT_TRUE(output_of(*plan, operands) == reference_output(problem, operands))
          << problem.key() << " " << plan->tile();
    }
  }
  RecordProperty("proposed", proposed);
  RecordProperty("built", built);
  EXPECT_GT(built, 0);
}

// What a machine without this GPU says of it, from cuDNN's own description.
TEST(CudnnOnGpu, DescribesItselfSoThatItsProposalsAreKnownElsewhere) {
  DeviceFacts here = all_devices(true).at(0);
  if (here.cudnn_properties.empty()) GTEST_SKIP() << "this cuDNN describes no device";
  DeviceFacts model = here;
  model.ordinal = kNotHere;
  std::mt19937_64 random(7);
  for (int i = 0; i < 10 && !testing::Test::HasFailure(); ++i) {
    const Problem problem(friendly_desc(random));
    const auto tiles = [&](const DeviceFacts& device) {
      std::vector<std::string> names;
      try {
        for (const Proposal& proposal : cudnn_kernel.proposals(problem, {}, device, false)) {
          names.push_back(proposal.from + " " + proposal.tile);
        }
      } catch (const Unsupported&) {
        names.emplace_back("none");
      }
      return names;
    };
    if (!cudnn_kernel.declines(problem, {}, here).empty()) continue;
    EXPECT_EQ(tiles(model), tiles(here)) << problem.key();
  }
}

// The first call of the plan is the captured one, repack and epilogue included.
TEST(CudnnOnGpu, TheFirstCallCanBeCaptured) {
  for (const Activation activation : {Activation::relu, Activation::silu}) {
    ProblemDesc d;
    d.in_c = 64, d.out_c = 32, d.has_bias = true, d.activation = activation;
    d.dtype = d.output_dtype = d.bias_dtype = DType::f16;
    d.h = d.w = {.in = 9, .kernel = 4, .stride = 2, .dilation = 1, .pad_begin = 1, .out = 18};
    const Problem problem(d);
    const auto plan = cudnn_plan(problem);
    if (!plan) GTEST_SKIP() << "cuDNN has no engine for " << problem.key();
    const Operands operands = uniform(problem, 1);
    const DeviceOperands device(operands);
    const DeviceCopy workspace(Bytes(plan->workspace_bytes() + 1, kPoison));
    Tensors tensors = device.tensors();
    tensors.workspace = workspace.data();

    cudaStream_t stream = nullptr;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
    EXPECT_NO_THROW(run(*plan, tensors, {.workspace = plan->workspace_bytes()}, stream));
    ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
    EXPECT_TRUE(device.output.download() == operands.output) << "capturing must not run anything";
    ASSERT_EQ(cudaGraphLaunch(executable, stream), cudaSuccess);
    gpu().synchronise(stream);
    Operands done = operands;
    done.output = device.output.download();
    const VerifyReport report = verify(problem, done.tensors(), {});
    EXPECT_TRUE(report.right()) << plan->tile() << ": " << describe_mismatch(problem, report);
    EXPECT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
    EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
    EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
  }
}

}  // namespace
}  // namespace tconv::test
