// SPDX-License-Identifier: Apache-2.0
// test_old_caller.cpp: an engine that was compiled against an older header. old_header/ is a copy
// of the public headers as they were before options.parallel_for; it is never brought up to date.
#include <gtest/gtest.h>

#include <string>

#include "tests/host/c_api/old_header/tconv_c.h"

namespace {

template <typename Struct>
Struct sized() {
  Struct s = {};
  s.struct_size = sizeof s;
  return s;
}

constexpr int64_t kShape[] = {1, 4, 4, 1}, kFilterShape[] = {3, 3, 1, 1}, kOnes[] = {1, 1};
constexpr int64_t kOnnxPads[] = {1, 1, 1, 1};

/// TFLite's "Simple", in three frameworks' words: the sum of its outputs is 3860.
tconv_problem_desc described(int convention) {
  auto desc = sized<tconv_problem_desc>();
  if (convention == 0) {
    auto args = sized<tconv_tensorflow_args>();
    args.input_shape = kShape, args.input_rank = 4;
    args.filter_shape = kFilterShape, args.filter_rank = 4;
    args.strides = kOnes, args.strides_count = 1;
    EXPECT_EQ(tconv_problem_desc_from_tensorflow(&args, &desc), TCONV_OK) << tconv_last_error();
  } else if (convention == 1) {
    constexpr int64_t kPlanes[] = {1, 1, 4, 4}, kWeights[] = {1, 1, 3, 3};
    auto args = sized<tconv_pytorch_args>();
    args.input_shape = kPlanes, args.input_rank = 4;
    args.weight_shape = kWeights, args.weight_rank = 4;
    args.padding = kOnes, args.padding_count = 1;
    EXPECT_EQ(tconv_problem_desc_from_pytorch(&args, &desc), TCONV_OK) << tconv_last_error();
  } else {
    constexpr int64_t kPlanes[] = {1, 1, 4, 4}, kWeights[] = {1, 1, 3, 3};
    auto args = sized<tconv_onnx_args>();
    args.x_shape = kPlanes, args.x_rank = 4;
    args.w_shape = kWeights, args.w_rank = 4;
    args.pads = kOnnxPads, args.pads_count = 4;
    EXPECT_EQ(tconv_problem_desc_from_onnx(&args, &desc), TCONV_OK) << tconv_last_error();
  }
  return desc;
}

TEST(OldCaller, RunsAndVerifies) {
  for (const int convention : {0, 1, 2}) {
    const tconv_problem_desc desc = described(convention);
    tconv_problem* problem = nullptr;
    ASSERT_EQ(tconv_problem_create(&desc, &problem), TCONV_OK) << tconv_last_error();
    auto info = sized<tconv_problem_info>();
    EXPECT_EQ(tconv_problem_get_info(problem, &info), TCONV_OK);
    EXPECT_EQ(info.output_bytes, 64);

    auto options = sized<tconv_options>();
    options.device = TCONV_DEVICE_CPU;
    options.prepacked_filters = 1;
    tconv_plan* plan = nullptr;
    ASSERT_EQ(tconv_plan_create(problem, &options, &plan), TCONV_OK) << tconv_last_error();

    alignas(64) float x[16], f[9], y[16] = {};
    for (int i = 0; i < 16; ++i) x[i] = static_cast<float>(i + 1);
    for (int i = 0; i < 9; ++i) f[i] = static_cast<float>(i + 1);
    auto tensors = sized<tconv_tensors>();
    tensors.input = x, tensors.filters = f, tensors.output = y;
    ASSERT_EQ(tconv_run_host(plan, &tensors), TCONV_OK) << tconv_last_error();
    float sum = 0;
    for (const float value : y) sum += value;
    EXPECT_EQ(sum, 3860);

    auto verify_options = sized<tconv_verify_options>();
    auto report = sized<tconv_verify_report>();
    EXPECT_EQ(tconv_verify(problem, &tensors, &verify_options, &report), TCONV_OK);
    EXPECT_EQ(report.checked, 16);
    auto comparison = sized<tconv_comparison>();
    EXPECT_EQ(tconv_compare_host(plan, nullptr, &tensors, &comparison), TCONV_OK);
    EXPECT_EQ(comparison.total, 16);
    tconv_plan_destroy(plan);
    tconv_problem_destroy(problem);
  }
}

}  // namespace
