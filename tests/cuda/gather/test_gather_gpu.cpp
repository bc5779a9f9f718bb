// SPDX-License-Identifier: Apache-2.0
// test_gather_gpu.cpp: the row `gather` on a GPU, against the row `reference`. Not yet run on one.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "src/host/cpu/reference.h"
#include "src/host/plan/plan.h"
#include "src/host/run/run.h"
#include "src/host/verify/verify.h"
#include "tests/gpu/device_operands.h"
#include "tests/support/activation_ends.h"

namespace tconv::test {
namespace {

Plan gather_plan(const Problem& problem, bool prepacked = false) {
  return make_plan(
      problem, {.device = DeviceKind::cuda, .kernels = {"gather"}, .prepacked_filters = prepacked});
}

Bytes gather_output(const Problem& problem, const Operands& operands) {
  const DeviceOperands device(operands);
  run(gather_plan(problem), device.tensors(), {}, nullptr);
  return device.output.download();
}

/// The whole buffer, so that a padding byte that was written is a difference.
Bytes reference_output(const Problem& problem, const Operands& operands) {
  Operands copy = operands;
  reference_conv2d_transpose(problem, copy.tensors(), 1);
  return copy.output;
}

void expect_exact(const ProblemDesc& desc, uint64_t seed) {
  const Problem problem(desc);
  const Operands operands = small_integers(problem, seed);
  const Bytes expected = reference_output(problem, operands);
  const Bytes got = gather_output(problem, operands);
  const auto at = std::mismatch(expected.begin(), expected.end(), got.begin());
  EXPECT_TRUE(at.first == expected.end())
      << problem.key() << " seed " << seed << " differs at byte " << at.first - expected.begin();
}

TEST(GatherOnGpu, EqualsTheReferenceOnSmallIntegers) {
  std::mt19937_64 random(20261123);
  const int problems = enumeration(6000, 1500);
  for (int i = 0; i < problems && !testing::Test::HasFailure(); ++i) {
    expect_exact(random_desc(random), static_cast<uint64_t>(i));
  }
}

// A single tap may have any dilation: one of 2^40 asks for indices of 64 bits and changes nothing.
TEST(GatherOnGpu, EqualsTheReferenceWith64BitIndices) {
  std::mt19937_64 random(7);
  const int problems = enumeration(2000, 500);
  for (int i = 0; i < problems && !testing::Test::HasFailure(); ++i) {
    ProblemDesc d = random_desc(random);
    d.h.kernel = 1;
    d.h.dilation = int64_t{1} << 40;
    expect_exact(d, static_cast<uint64_t>(i));
  }
}

TEST(GatherOnGpu, EqualsTheReferenceOnManyChannelsAndBlocks) {
  std::mt19937_64 random(8);
  RandomLimits limits;
  limits.max_channels = 70, limits.max_in = 20;
  const int problems = enumeration(300, 40);
  for (int i = 0; i < problems && !testing::Test::HasFailure(); ++i) {
    expect_exact(random_desc(random, limits), static_cast<uint64_t>(i));
  }
}

TEST(GatherOnGpu, TakesAStrideOf46889) {
  ProblemDesc d;
  d.w = {.in = 3, .kernel = 2, .stride = 46889, .dilation = 1, .pad_begin = 0, .out = 93780};
  d.has_bias = true;
  expect_exact(d, 1);
}

TEST(GatherOnGpu, WritesAnOutputWithoutInput) {
  for (const bool no_channels : {false, true}) {
    ProblemDesc d;
    d.out_c = 3;
    d.h.out = d.w.out = 5;
    d.has_bias = true;
    (no_channels ? d.in_c : d.h.in) = 0;
    expect_exact(d, 3);
  }
}

TEST(GatherOnGpu, StaysWithinTheBoundOnUniformData) {
  std::mt19937_64 random(17);
  RandomLimits limits;
  limits.inexact_activations = true;
  const int problems = enumeration(3000, 500);
  for (int i = 0; i < problems && !testing::Test::HasFailure(); ++i) {
    const Problem problem(random_desc(random, limits));
    if (problem.empty_output()) continue;
    Operands operands = uniform(problem, static_cast<uint64_t>(i));
    operands.output = gather_output(problem, operands);
    const VerifyReport report = verify(problem, operands.tensors(), {});
    EXPECT_TRUE(report.right()) << describe_mismatch(problem, report);
  }
}

TEST(GatherOnGpu, ActivationsAreRightAtTheirEnds) {
  for (const DType type : {DType::f32, DType::f64}) {
    for (int activation = 0; activation <= 9; ++activation) {
      Operands operands;
      const Problem problem = activation_ends(type, static_cast<Activation>(activation), operands);
      operands.output = gather_output(problem, operands);
      const VerifyReport report = verify(problem, operands.tensors(), {});
      EXPECT_TRUE(report.right()) << describe_mismatch(problem, report);
    }
  }
}

TEST(GatherOnGpu, TheResidualMayBeTheOutput) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 300; ++i) {
    ProblemDesc d = random_desc(random, {.zero_sizes = false});
    d.has_residual = true;
    d.residual_strides = d.output_strides;
    const Problem problem(d);
    Operands operands = small_integers(problem, static_cast<uint64_t>(i));
    operands.output = operands.residual;  // bytes between the elements are compared, too
    const Bytes expected = reference_output(problem, operands);
    const DeviceOperands device(operands);
    Tensors tensors = device.tensors();
    tensors.residual = tensors.output;
    run(gather_plan(problem), tensors, {}, nullptr);
    ASSERT_EQ(device.output.download(), expected) << problem.key();
  }
}

TEST(GatherOnGpu, RunsOnPrepackedFilters) {
  std::mt19937_64 random(29);
  for (int i = 0; i < 100; ++i) {
    const Problem problem(random_desc(random, {.zero_sizes = false}));
    const Operands operands = small_integers(problem, static_cast<uint64_t>(i));
    const DeviceOperands device(operands);
    const Plan plan = gather_plan(problem, true);
    const DeviceCopy packed(Bytes(plan.packed_filter_bytes(), kPoison));
    prepack(plan, device.filters.data(), packed.data(), plan.packed_filter_bytes(), nullptr);
    Tensors tensors = device.tensors();
    tensors.filters = packed.data();
    run(plan, tensors, {}, nullptr);
    ASSERT_EQ(device.output.download(), reference_output(problem, operands)) << problem.key();
  }
}

TEST(GatherOnGpu, GivesTheSameBitsOnEveryRun) {
  std::mt19937_64 random(31);
  RandomLimits limits;
  limits.inexact_activations = true;
  limits.max_channels = 40;
  for (int i = 0; i < 20; ++i) {
    const Problem problem(random_desc(random, limits));
    const Operands operands = uniform(problem, static_cast<uint64_t>(i));
    const Bytes first = gather_output(problem, operands);
    for (int again = 0; again < 5; ++again) {
      ASSERT_EQ(gather_output(problem, operands), first) << problem.key();
    }
  }
}

// The first call of the plan is the captured one; the graph runs twice on new contents.
TEST(GatherOnGpu, TheFirstCallCanBeCaptured) {
  ProblemDesc d;
  d.in_c = 5, d.out_c = 7;
  d.dtype = d.output_dtype = d.bias_dtype = DType::f16;
  d.h = d.w = {.in = 9, .kernel = 4, .stride = 2, .dilation = 1, .pad_begin = 1, .out = 18};
  const Problem problem(d);
  const Plan plan = gather_plan(problem);
  const Operands operands = small_integers(problem, 1);
  const DeviceOperands device(operands);

  cudaStream_t stream = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_NO_THROW(run(plan, device.tensors(), {}, stream));
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);

  EXPECT_EQ(device.output.download(), operands.output) << "capturing must not run anything";
  for (const uint64_t seed : {2, 3}) {
    const Operands other = small_integers(problem, seed);
    gpu().copy(device.input.data(), other.input.data(), other.input.size(), Copy::to_device,
               stream);
    gpu().copy(device.filters.data(), other.filters.data(), other.filters.size(), Copy::to_device,
               stream);
    ASSERT_EQ(cudaGraphLaunch(executable, stream), cudaSuccess);
    gpu().synchronise(stream);
    EXPECT_EQ(device.output.download(), reference_output(problem, other));
  }
  EXPECT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
}

// ---- More than 2^31 elements. -------------------------------------------------------------------

/// `count` f16 elements from `first` on, copied to or from the device.
class Halves {
 public:
  Halves(void* data, int64_t first) : at_(static_cast<Half*>(data) + first) {}
  void write(const std::vector<Half>& values) const {
    gpu().copy(at_, values.data(), values.size() * sizeof(Half), Copy::to_device, nullptr);
    gpu().synchronise(nullptr);
  }
  std::vector<Half> read(int64_t count) const {
    std::vector<Half> values(static_cast<std::size_t>(count));
    gpu().copy(values.data(), at_, values.size() * sizeof(Half), Copy::to_host, nullptr);
    gpu().synchronise(nullptr);
    return values;
  }

 private:
  Half* at_;
};

// Stride 2, two taps (1 and 2): output 2i is input i, output 2i + 1 twice that. Inputs differ
// around the start, the end and where the output passes 2^31 elements.
TEST(GatherOnGpu, WritesMoreThan2To31Elements) {
  constexpr int64_t kInputs = (int64_t{1} << 30) + 5000, kWindow = 2000;
  const int64_t bytes = 3 * kInputs * static_cast<int64_t>(sizeof(Half));
  if (gpu().devices()[static_cast<std::size_t>(gpu().current_device())].memory_bytes < 2 * bytes) {
    GTEST_SKIP() << "needs a GPU with " << 2 * bytes << " bytes of memory";
  }
  ProblemDesc d;
  d.dtype = d.output_dtype = d.bias_dtype = DType::f16;
  d.w = {
      .in = kInputs, .kernel = 2, .stride = 2, .dilation = 1, .pad_begin = 0, .out = 2 * kInputs};
  const Problem problem(d);
  const DeviceMemory input(static_cast<std::size_t>(problem.input_bytes()));
  const DeviceMemory output(static_cast<std::size_t>(problem.output_bytes()));
  const DeviceMemory filters(256);
  gpu().fill(input.data(), 0, static_cast<std::size_t>(problem.input_bytes()), nullptr);
  gpu().fill(output.data(), 0xff, static_cast<std::size_t>(problem.output_bytes()), nullptr);
  Halves(filters.data(), 0).write({round_to<Half>(1), round_to<Half>(2)});
  std::vector<Half> window(kWindow);
  for (int64_t i = 0; i < kWindow; ++i) {
    window[static_cast<std::size_t>(i)] = round_to<Half>(static_cast<double>(i + 1));
  }
  const std::vector<int64_t> starts = {0, (int64_t{1} << 30) - kWindow / 2, kInputs - kWindow};
  for (const int64_t start : starts) Halves(input.data(), start).write(window);

  Tensors tensors;
  tensors.input = input.data();
  tensors.filters = filters.data();
  tensors.output = output.data();
  run(gather_plan(problem), tensors, {}, nullptr);
  for (const int64_t start : starts) {
    const auto got = Halves(output.data(), 2 * start).read(2 * kWindow);
    for (int64_t i = 0; i < 2 * kWindow; ++i) {
      const double expected = static_cast<double>(i / 2 + 1) * static_cast<double>(i % 2 + 1);
      ASSERT_EQ(widen(got[static_cast<std::size_t>(i)]), widen(round_to<Half>(expected)))
          << "output " << 2 * start + i;
    }
  }
}

}  // namespace
}  // namespace tconv::test
