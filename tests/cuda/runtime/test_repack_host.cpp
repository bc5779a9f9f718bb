// SPDX-License-Identifier: Apache-2.0
// test_repack_host.cpp: our kernels around cuDNN's, their own source compiled by the host compiler
// and run thread after thread.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "src/cuda/cudnn/graph.h"
#include "src/host/cpu/reference.h"
#include "tests/support/cuda_on_host/repack_on_host.h"
#include "tests/support/fake_gpu.h"
#include "tests/support/support.h"

namespace tconv::test {
namespace {

class RepackOnHost : public testing::Test {
 protected:
  RepackOnHost() {
    gpu_.on_launch = [this](const Launch& launch) {
      launched_ = launch.kernel;
      run_repack_on_host(launch);
    };
  }
  FakeGpu gpu_;
  const void* launched_ = nullptr;
};

TEST_F(RepackOnHost, PutsEveryFilterWhereItBelongs) {
  std::mt19937_64 random(20261124);
  for (int i = 0; i < enumeration(5000, 500); ++i) {
    const Problem problem(random_desc(random, {.zero_sizes = false}));
    const ProblemDesc& d = problem.desc();
    const FilterStrides from = problem.filter_strides(), to = packed_filter_strides(problem);
    const auto bytes = static_cast<std::size_t>(problem.filter_bytes());
    const Bytes filters =
        filled(d.dtype, problem.filter_bytes(), [](int64_t e) { return 1.0 + e % 2000; });
    Bytes packed(bytes + 1, kPoison);
    const int64_t launches = gpu_.launches;
    repack_on_host(problem, to, filters.data(), packed.data());
    EXPECT_EQ(gpu_.launches, launches + 1);
    EXPECT_EQ(packed[bytes], kPoison) << problem.key();
    int64_t wrong = 0;
    for (int64_t r = 0; r < d.h.kernel; ++r)
      for (int64_t s = 0; s < d.w.kernel; ++s)
        for (int64_t k = 0; k < problem.out_c_per_group(); ++k)
          for (int64_t c = 0; c < d.in_c; ++c)
            wrong += load(d.dtype, packed.data(), to.offset(r, s, k, c)) !=
                     load(d.dtype, filters.data(), from.offset(r, s, k, c));
    EXPECT_EQ(wrong, 0) << problem.key();
  }
}

/// The sums of `problem`, from the reference: no bias, no residual, no activation, f32 (f64).
Bytes sums_of(const Problem& problem, const Operands& operands, const Strides& strides) {
  ProblemDesc d = problem.desc();
  d.has_bias = d.has_residual = false;
  d.activation = Activation::identity;
  d.activation_a = d.activation_b = 0;
  d.output_dtype = d.dtype == DType::f64 ? DType::f64 : DType::f32;
  d.bias_dtype = d.dtype;
  d.output_strides = strides;
  d.residual_strides = {};
  const Problem plain(d);
  Bytes sums(static_cast<std::size_t>(plain.output_bytes()) + 1, kPoison);
  Tensors tensors;
  tensors.input = operands.input.data();
  tensors.filters = operands.filters.data();
  tensors.output = sums.data();
  reference_conv2d_transpose(plain, tensors, 1);
  return sums;
}

TEST_F(RepackOnHost, EpilogueEqualsTheReferencesOnSmallIntegers) {
  std::mt19937_64 random(20261125);
  int in_place = 0;
  for (int i = 0; i < enumeration(10000, 1000); ++i) {
    const Problem problem(random_desc(random, {.zero_sizes = false}));
    Operands operands = small_integers(problem, static_cast<uint64_t>(i));
    Bytes expected(operands.output.size(), kPoison);
    Tensors tensors = operands.tensors();
    tensors.output = expected.data();
    reference_conv2d_transpose(problem, tensors, 1);
    tensors.output = operands.output.data();

    // Where the row puts the sums: in the output itself or densely in a workspace.
    const auto graph = make_cudnn_graph(problem, {.epilogue = CudnnEpilogue::after});
    Bytes sums = sums_of(problem, operands, graph.result_strides);
    const void* from = sums.data();
    if (graph.result_is_output) {
      ++in_place;
      operands.output = sums;
      tensors.output = operands.output.data();
      from = operands.output.data();
    }
    epilogue_on_host(problem, from, graph.result_strides, tensors);
    EXPECT_TRUE(operands.output == expected) << problem.key();
  }
  EXPECT_GT(in_place, 50);
}

TEST_F(RepackOnHost, LoadsWhatItLaunches) {
  ProblemDesc d;
  d.in_c = d.out_c = 4;
  d.h = d.w = {.in = 2, .kernel = 2, .stride = 2, .dilation = 1, .pad_begin = 0, .out = 4};
  for (const DType type : {DType::f16, DType::bf16, DType::f32, DType::f64}) {
    d.dtype = d.output_dtype = d.bias_dtype = type;
    const Problem problem(d);
    Operands operands = small_integers(problem, 1);
    Bytes packed(operands.filters.size());
    load_repack_on_host(problem);
    repack_on_host(problem, packed_filter_strides(problem), operands.filters.data(), packed.data());
    EXPECT_EQ(gpu_.loaded, launched_);
    load_epilogue_on_host(problem);
    const Bytes sums = sums_of(problem, operands, problem.desc().output_strides);
    epilogue_on_host(problem, sums.data(), problem.desc().output_strides, operands.tensors());
    EXPECT_EQ(gpu_.loaded, launched_);
  }
}

}  // namespace
}  // namespace tconv::test
