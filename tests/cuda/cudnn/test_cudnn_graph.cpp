// SPDX-License-Identifier: Apache-2.0
// test_cudnn_graph.cpp: cuDNN itself checks the graphs of the row `cudnn`, which needs no GPU; and
// what the row says where cuDNN or the GPU is missing.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <random>

#include "src/cuda/cudnn/graph.h"
#include "src/host/problem/errors.h"
#include "tests/support/support.h"

namespace tconv::host {
extern const Kernel cudnn_kernel;
}  // namespace tconv::host

namespace tconv::test {
namespace {

DeviceFacts some_gpu(int ordinal) {
  DeviceFacts facts;
  facts.kind = DeviceKind::cuda;
  facts.name = "a GPU";
  facts.ordinal = ordinal;
  facts.f32_macs_per_us = 3e7, facts.bytes_per_us = 4e6, facts.f64_macs_per_us = 1e7;
  facts.f16_tensor_macs_per_us = 4e8, facts.tf32_tensor_macs_per_us = 2e8;
  return facts;
}

bool cudnn_is_here() { return dlopen("libcudnn.so.9", RTLD_NOW) != nullptr; }

/// What cuDNN says against any form of the problem.
void expect_accepted(const Problem& problem) {
  for (const bool prepacked : {false, true}) {
    for (const CudnnForm& form : cudnn_forms(problem, prepacked)) {
      EXPECT_EQ(cudnn_refusal(make_cudnn_graph(problem, form)), "")
          << problem.key() << " epilogue " << static_cast<int>(form.epilogue) << " packed "
          << form.packed_filters;
    }
  }
}

TEST(CudnnGraphs, RandomProblemsAreAcceptedOrDeclinedInWords) {
  if (!cudnn_is_here()) GTEST_SKIP() << "libcudnn.so.9 cannot be opened: " << dlerror();
  std::mt19937_64 random(7);
  const int problems = enumeration(3000, 300);
  int accepted = 0;
  for (int i = 0; i < problems; ++i) {
    const Problem problem(random_desc(random, {.inexact_activations = true}));
    if (!cudnn_cannot_express(problem).empty()) continue;
    ++accepted;
    expect_accepted(problem);
  }
  // A fourth of the problems has inputs whose elements share an address, which cuDNN never takes.
  EXPECT_GT(accepted, problems / 6);
}

/// The reasons are not over-cautious: cuDNN does refuse what they decline.
TEST(CudnnGraphs, DeclinedGeometryIsRefusedByCudnnToo) {
  if (!cudnn_is_here()) GTEST_SKIP() << "libcudnn.so.9 cannot be opened: " << dlerror();
  std::mt19937_64 random(8);
  int declined = 0;
  for (int i = 0; i < 1000; ++i) {
    ProblemDesc d = random_desc(random, {.strided_tensors = false, .zero_sizes = false});
    const Problem problem(d);
    if (cudnn_cannot_express(problem).empty()) continue;
    CudnnGraph graph = make_cudnn_graph(problem, cudnn_forms(problem, false).front());
    EXPECT_NE(cudnn_refusal(graph), "") << problem.key();
    ++declined;
  }
  EXPECT_GT(declined, 100);
}

TEST(CudnnGraphs, NamedProblems) {
  if (!cudnn_is_here()) GTEST_SKIP() << "libcudnn.so.9 cannot be opened: " << dlerror();
  for (const char* key : {
           "f16:nhwc:n8:c512:k256:h64k2s2o128:w64k2s2o128:bias",
           "f32:nchw:n1:c21:k21:h16k64s32o544:w16k64s32o544",
       }) {
    const Problem problem(parse_key(key));
    EXPECT_EQ(cudnn_cannot_express(problem), "") << key;
    expect_accepted(problem);
  }
}

TEST(CudnnRow, DeclinesADeviceModel) {
  const Problem problem(parse_key("f16:nhwc:n8:c512:k256:h64k2s2o128:w64k2s2o128"));
  const std::string reason = cudnn_kernel.declines(problem, {}, some_gpu(kNotHere));
  EXPECT_NE(reason.find("on the GPU itself"), std::string::npos) << reason;
  EXPECT_EQ(cudnn_kernel.declines(problem, {}, some_gpu(0)), "");
}

TEST(CudnnRow, EstimatesFollowTheRates) {
  const Problem problem(parse_key("f32:nhwc:n8:c512:k256:h64k2s2o128:w64k2s2o128"));
  const auto estimate = [&](Math math) {
    return cudnn_kernel.consider(problem, 0, {.math = math}, some_gpu(0)).estimate_us;
  };
  EXPECT_LT(estimate(Math::tf32), estimate(Math::strict));
  EXPECT_EQ(estimate(Math::tf32x3), estimate(Math::strict));
  EXPECT_GT(estimate(Math::tf32), problem.useful_macs() / some_gpu(0).tf32_tensor_macs_per_us);
}

/// Without cuDNN or without a GPU the planner gets a sentence and takes the next row.
TEST(CudnnRow, SaysWhatIsMissing) {
  const Problem problem(parse_key("f16:nhwc:n8:c512:k256:h64k2s2o128:w64k2s2o128"));
  const bool opened = cudnn_is_here();
  if (opened && gpu().absence().empty()) GTEST_SKIP() << "nothing is missing here";
  try {
    (void)cudnn_kernel.prepare(problem, 0, {}, some_gpu(0));
    FAIL() << "prepared without a GPU";
  } catch (const Unsupported& reason) {
    const std::string text = reason.what();
    EXPECT_NE(text.find(opened ? "cuDNN cannot be started: " : "cuDNN cannot be opened: "),
              std::string::npos)
        << text;
  }
}

}  // namespace
}  // namespace tconv::test
