// SPDX-License-Identifier: Apache-2.0
// test_api_refusals.cpp: the public faces, C and C++, against every bad input that crashed some
// framework: refused by name, before anything large is allocated or anything is written.
#include <gtest/gtest.h>
#include <tconv/tconv.h>

#include <cstring>
#include <functional>

#include "tests/support/count_allocations.h"
#include "tests/support/fake_gpu.h"

namespace tconv {
namespace {

TensorFlowArgs good_tensorflow() {
  TensorFlowArgs a;
  a.input_shape = {1, 8, 8, 4};
  a.filter_shape = {3, 3, 2, 4};
  a.output_shape = Numbers{1, 16, 16, 2};
  a.strides = {2};
  return a;
}

struct BadTensorFlow {
  const char* what;
  std::function<void(TensorFlowArgs&)> spoil;
};

// The list of semantics: each of these crashed, hung or corrupted a framework that was shipped.
const BadTensorFlow kBadTensorFlow[] = {
    {"filter_shape[0] = 0",
     [](auto& a) {
       a.filter_shape = {0, 3, 2, 4};
     }},
    {"filter_shape[1] = 0",
     [](auto& a) {
       a.filter_shape = {3, 0, 2, 4};
     }},
    {"input_shape", [](auto& a) { a.input_shape = {}; }},
    {"input_shape",
     [](auto& a) {
       a.input_shape = {8, 8, 4};
     }},
    {"input_shape",
     [](auto& a) {
       a.input_shape = {1, 1, 8, 8, 4};
     }},
    {"filter_shape", [](auto& a) { a.filter_shape = {}; }},
    {"filter_shape",
     [](auto& a) {
       a.filter_shape = {3, 2, 4};
     }},
    {"output_shape", [](auto& a) { a.output_shape = Numbers{}; }},
    {"output_shape", [](auto& a) { a.output_shape = Numbers{16}; }},
    {"output_shape",
     [](auto& a) {
       a.output_shape = Numbers{16, 16, 2};
     }},
    {"output_shape",
     [](auto& a) {
       a.output_shape = Numbers{1, 1, 16, 16, 2};
     }},
    {"strides", [](auto& a) { a.strides = {0}; }},
    {"strides",
     [](auto& a) {
       a.strides = {2, -1};
     }},
    {"strides", [](auto& a) { a.strides = {}; }},
    {"strides",
     [](auto& a) {
       a.strides = {1, 2, 2};
     }},
    {"strides",
     [](auto& a) {
       a.strides = {2, 2, 2, 1};
     }},
    {"dilations", [](auto& a) { a.dilations = Numbers{0}; }},
    {"dilations",
     [](auto& a) {
       a.dilations = Numbers{1, -2};
     }},
    {"output_shape",
     [](auto& a) {
       a.output_shape = Numbers{2, -2};
     }},
    {"output_shape",
     [](auto& a) {
       a.output_shape = Numbers{1, 17, 16, 2};
     }},
    {"output_shape",
     [](auto& a) {
       a.strides = {10}, a.output_shape = Numbers{114078056, 179835296};
     }},
    {"output_shape",
     [](auto& a) {
       a.output_shape = Numbers{INT64_MAX, INT64_MAX};
     }},
    {"input_shape",
     [](auto& a) {
       a.input_shape = {1, INT64_MAX, INT64_MAX, 4};
     }},
    {"",
     [](auto& a) {
       a.input_shape = {1 << 20, 1 << 22, 1 << 22, 4}, a.output_shape.reset();
     }},
    {"filter_shape",
     [](auto& a) {
       a.filter_shape = {3, 3, 2, 5};
     }},
    {"padding", [](auto& a) { a.padding = "same"; }},
    {"padding", [](auto& a) { a.padding = "FULL"; }},
    {"data_format", [](auto& a) { a.data_format = "NWHC"; }},
    {"groups", [](auto& a) { a.groups = 3; }},
    {"groups", [](auto& a) { a.groups = -1; }},
    {"bias_dtype", [](auto& a) { a.has_bias = true, a.bias_dtype = DType::f16; }},
    {"alignment", [](auto& a) { a.alignment = 24; }},
};

TEST(CppFace, RefusesEveryBadInputByNameBeforeAnyLargeAllocation) {
  ASSERT_NO_THROW(Problem{good_tensorflow()});
  for (const BadTensorFlow& bad : kBadTensorFlow) {
    TensorFlowArgs a = good_tensorflow();
    bad.spoil(a);
    test::take_largest_allocation();
    try {
      const Problem problem(a);
      ADD_FAILURE() << "accepted " << problem.key() << ", expected a refusal of " << bad.what;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Code::invalid) << e.what();
      EXPECT_NE(std::string(e.what()).find(bad.what), std::string::npos) << e.what();
      EXPECT_GT(std::string(e.what()).size(), 10U);
    }
    EXPECT_LT(test::take_largest_allocation(), 4096U);
  }
}

TEST(CFace, RefusesTheSameListAndWritesNothing) {
  for (const BadTensorFlow& bad : kBadTensorFlow) {
    TensorFlowArgs a = good_tensorflow();
    bad.spoil(a);
    const tconv_tensorflow_args args = detail::to_args(a);
    tconv_problem_desc desc = detail::to_c(static_cast<const Details&>(a));
    const tconv_problem_desc before = desc;
    const tconv_status translated = tconv_problem_desc_from_tensorflow(&args, &desc);
    auto* const sentinel = reinterpret_cast<tconv_problem*>(&desc);
    tconv_problem* problem = sentinel;
    if (translated == TCONV_OK) {
      EXPECT_EQ(tconv_problem_create(&desc, &problem), TCONV_INVALID) << bad.what;
    } else {
      EXPECT_EQ(translated, TCONV_INVALID) << bad.what;
      EXPECT_EQ(std::memcmp(&desc, &before, sizeof desc), 0) << bad.what;
    }
    EXPECT_EQ(problem, sentinel);
    EXPECT_NE(std::string(tconv_last_error()).find(bad.what), std::string::npos)
        << tconv_last_error();
  }
}

TEST(CFace, RefusesNullAndUnsizedStructs) {
  tconv_problem* problem = nullptr;
  tconv_plan* plan = nullptr;
  char* text = nullptr;
  tconv_problem_desc desc{};
  EXPECT_EQ(tconv_problem_create(nullptr, &problem), TCONV_INVALID);
  EXPECT_EQ(tconv_problem_create(&desc, &problem), TCONV_INVALID);
  EXPECT_NE(std::string(tconv_last_error()).find("struct_size = 0"), std::string::npos);
  desc.struct_size = sizeof desc;
  EXPECT_EQ(tconv_problem_create(&desc, nullptr), TCONV_INVALID);
  EXPECT_EQ(tconv_problem_create(&desc, &problem), TCONV_INVALID);  // a kernel of 0 taps
  EXPECT_EQ(tconv_plan_create(nullptr, nullptr, &plan), TCONV_INVALID);
  EXPECT_EQ(tconv_run(nullptr, nullptr, nullptr), TCONV_INVALID);
  EXPECT_EQ(tconv_run_host(nullptr, nullptr), TCONV_INVALID);
  EXPECT_EQ(tconv_time_host(nullptr, nullptr, 1, 1, nullptr), TCONV_INVALID);
  EXPECT_EQ(tconv_plan_resized(nullptr, 1, 1, 1, &plan), TCONV_INVALID);
  std::size_t bytes = 7;
  EXPECT_EQ(tconv_plan_workspace_bytes_upto(nullptr, 1, 1, 1, &bytes), TCONV_INVALID);
  EXPECT_EQ(bytes, 7U);
  EXPECT_EQ(tconv_verify(nullptr, nullptr, nullptr, nullptr), TCONV_INVALID);
  EXPECT_EQ(tconv_diagnose(nullptr, nullptr, nullptr, TCONV_TEXT, &text), TCONV_INVALID);
  EXPECT_EQ(tconv_problem_describe(nullptr, TCONV_TEXT, &text), TCONV_INVALID);
  EXPECT_EQ(tconv_plan_explain(nullptr, TCONV_TEXT, &text), TCONV_INVALID);
  EXPECT_EQ(tconv_plan_counters(nullptr, TCONV_TEXT, &text), TCONV_INVALID);
  EXPECT_EQ(tconv_kernels(7, &text), TCONV_INVALID);
  EXPECT_EQ(tconv_kernels(TCONV_TEXT, nullptr), TCONV_INVALID);
  EXPECT_EQ(text, nullptr);
  EXPECT_STREQ(tconv_problem_key(nullptr), "");
  EXPECT_STREQ(tconv_plan_kernel(nullptr), "");
  EXPECT_EQ(tconv_plan_workspace_bytes(nullptr), 0U);
  tconv_problem_destroy(nullptr);
  tconv_plan_destroy(nullptr);
  tconv_text_free(nullptr);
}

TEST(CFace, RefusesOptionsOutOfRange) {
  const Problem problem(good_tensorflow());
  const std::pair<const char*, std::function<void(tconv_options&)>> bad[] = {
      {"options.device = 3", [](auto& o) { o.device = 3; }},
      {"options.math = -1", [](auto& o) { o.math = -1; }},
      {"options.workspace_limit = -2", [](auto& o) { o.workspace_limit = -2; }},
      {"options.threads = -1", [](auto& o) { o.threads = -1; }},
      {"kernels = 'gahter'", [](auto& o) { o.kernels = "gahter"; }},
      {"kernels = ''", [](auto& o) { o.kernels = "reference,"; }},
      {"tile = 'x'", [](auto& o) { o.tile = "x"; }},
      {"device_model = 'h300'", [](auto& o) { o.device_model = "h300"; }},
      {"device_model = 'h200'", [](auto& o) { o.device_model = "h200", o.device = 1; }},
      {"options.struct_size", [](auto& o) { o.struct_size = 8; }},
  };
  for (const auto& [what, spoil] : bad) {
    auto options = detail::sized<tconv_options>();
    spoil(options);
    tconv_plan* plan = nullptr;
    EXPECT_EQ(tconv_plan_create(problem.c_handle(), &options, &plan), TCONV_INVALID) << what;
    EXPECT_NE(std::string(tconv_last_error()).find(what), std::string::npos) << tconv_last_error();
    EXPECT_EQ(plan, nullptr);
  }
}

TEST(CFace, CudaIsRefusedWithASentence) {
  test::FakeGpu fake;
  fake.absent = "there is none";
  const Problem problem(good_tensorflow());
  auto options = detail::sized<tconv_options>();
  options.device = TCONV_DEVICE_CUDA;
  tconv_plan* plan = nullptr;
  EXPECT_EQ(tconv_plan_create(problem.c_handle(), &options, &plan), TCONV_UNSUPPORTED);
  EXPECT_NE(std::string(tconv_last_error()).find("no device cuda: there is none"),
            std::string::npos);
}

}  // namespace
}  // namespace tconv
