// SPDX-License-Identifier: Apache-2.0
// test_api.cpp: the good path through the public faces, C and C++.
#include <gtest/gtest.h>
#include <tconv/tconv.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "tests/support/fake_gpu.h"

namespace tconv {
namespace {

/// TFLite's "Simple": arange 4x4 by arange 3x3, stride 1, SAME.
struct Simple {
  alignas(64) float input[16], filters[9], output[16] = {};
  alignas(64) std::byte workspace[1 << 16];
  Tensors tensors;
  TensorFlowArgs args;
  Simple() {
    for (int i = 0; i < 16; ++i) input[i] = static_cast<float>(i + 1);
    for (int i = 0; i < 9; ++i) filters[i] = static_cast<float>(i + 1);
    args.input_shape = {1, 4, 4, 1};
    args.filter_shape = {3, 3, 1, 1};
    tensors.input = input, tensors.input_bytes = sizeof input;
    tensors.filters = filters, tensors.filters_bytes = sizeof filters;
    tensors.output = output, tensors.output_bytes = sizeof output;
    tensors.workspace = workspace, tensors.workspace_bytes = sizeof workspace;
  }
  float sum() const {
    float total = 0;
    for (const float y : output) total += y;
    return total;
  }
};

TEST(CppFace, TheWholeWay) {
  Simple s;
  const Problem problem(s.args);
  EXPECT_EQ(problem.output_shape(), (Numbers{1, 4, 4, 1}));
  EXPECT_EQ(problem.info().output_bytes, 64);
  EXPECT_EQ(problem.key(), "f32:nhwc:n1:c1:k1:h4k3s1p1o4:w4k3s1p1o4");
  EXPECT_EQ(Problem(problem.key()).key(), problem.key());
  Options options;
  options.kernels = "reference";
  const Plan plan(problem, options);
  EXPECT_EQ(plan.kernel(), "reference");
  EXPECT_EQ(plan.device(), Device::cpu);
  EXPECT_EQ(plan.workspace_bytes(), 0U);
  plan.run(s.tensors);
  EXPECT_EQ(s.sum(), 3860);
  VerifyReport report;
  EXPECT_TRUE(verify(problem, s.tensors, report).ok());
  EXPECT_EQ(report.checked, 16);
  EXPECT_EQ(report.whole, 1);
  s.output[5] += 1;
  EXPECT_EQ(verify(problem, s.tensors, report).code(), Code::mismatch);
  EXPECT_EQ(report.mismatches, 1);
  EXPECT_EQ(report.p, 1);
  EXPECT_EQ(report.q, 1);
  EXPECT_EQ(report.got, report.expected + 1);
  EXPECT_NE(plan.explain().find("reference"), std::string::npos);
  EXPECT_NE(plan.counters().find("reference, tile"), std::string::npos);
  EXPECT_NE(plan.counters().find("predicts nothing else"), std::string::npos);
}

TEST(CppFace, OutputsHaveTheOriginalsRank) {
  TensorFlowArgs tensorflow;
  tensorflow.input_shape = {2, 5, 6};  // NWC
  tensorflow.filter_shape = {3, 4, 6};
  tensorflow.strides = {2};
  EXPECT_EQ(output_shape(tensorflow), (Numbers{2, 10, 4}));
  EXPECT_EQ(Problem(tensorflow).output_shape(), (Numbers{2, 1, 10, 4}));
  PyTorchArgs pytorch;
  pytorch.input_shape = {6, 5, 7};
  pytorch.weight_shape = {6, 4, 3, 3};
  pytorch.stride = Numbers{2};
  pytorch.output_size = Numbers{12, 15};
  EXPECT_EQ(output_shape(pytorch), (Numbers{4, 12, 15}));
  EXPECT_EQ(Problem(pytorch).output_shape(), (Numbers{1, 12, 15, 4}));
  OnnxArgs onnx;
  onnx.x_shape = {1, 6, 5};
  onnx.w_shape = {6, 4, 3};
  EXPECT_EQ(output_shape(onnx), (Numbers{1, 4, 7}));
  onnx.w_shape = {5, 4, 3};
  Numbers untouched = {1};
  EXPECT_EQ(output_shape(onnx, untouched).code(), Code::invalid);
  EXPECT_EQ(untouched, Numbers{1});
}

TEST(CppFace, RunsOnTheCpuSayHowFarTheyAre) {
  Simple s;
  Options options;
  options.kernels = "reference";  // a task for each of the 4 rows
  options.threads = 1;
  std::vector<double> shares;
  options.progress = [](double done, void* user) {
    static_cast<std::vector<double>*>(user)->push_back(done);
  };
  options.progress_user = &shares;
  options.verify = true;  // which has no share in it
  Plan(Problem(s.args), options).run(s.tensors);
  EXPECT_EQ(shares, (std::vector<double>{0.25, 0.5, 0.75, 1}));
}

TEST(CppFace, TwoPlansAreComparedWithoutAnOutput) {
  Simple s;
  const Problem problem(s.args);
  Options options;
  options.device = Device::cpu;
  const Plan plan(problem, options);
  options.kernels = "reference";
  const Plan reference(problem, options);
  s.tensors.output = nullptr, s.tensors.output_bytes = 0;
  Comparison comparison;
  EXPECT_TRUE(compare_host(plan, reference, s.tensors, comparison).ok());
  EXPECT_EQ(comparison.total, 16);
  EXPECT_EQ(comparison.differ, 0);
  ASSERT_EQ(tconv_compare_host(plan.c_handle(), nullptr, &s.tensors, &comparison), TCONV_OK);
  EXPECT_EQ(comparison.allowed, 0);
  const Problem other(std::string("f32:nhwc:n1:c1:k1:h4k3s1p1o5:w4k3s1p1o4"));
  EXPECT_EQ(compare_host(plan, Plan(other, options), s.tensors, comparison).code(), Code::invalid);
  EXPECT_NE(std::string(tconv_last_error()).find("the same problem"), std::string::npos);
}

TEST(CppFace, EveryDefaultPlanAgrees) {
  Simple s;
  const Problem problem(s.args);
  Plan(problem).run_host(s.tensors);  // on whatever device
  EXPECT_EQ(s.sum(), 3860);
  std::fill(std::begin(s.output), std::end(s.output), 0.0F);
  Options options;
  options.device = Device::cpu;
  const Plan plan(problem, options);
  ASSERT_LE(plan.workspace_bytes(), sizeof s.workspace);
  // The declared workspace must be 256-byte aligned.
  void* workspace = s.workspace;
  std::size_t space = sizeof s.workspace;
  s.tensors.workspace = std::align(256, plan.workspace_bytes(), workspace, space);
  s.tensors.workspace_bytes = space;
  plan.run(s.tensors);
  EXPECT_EQ(s.sum(), 3860);
}

TEST(CppFace, HostRunsAreTimedAndBringTheirWorkspace) {
  Simple s;
  Options options;
  options.device = Device::cpu;
  options.prepacked_filters = true;
  const Plan plan(Problem(s.args), options);
  s.tensors.workspace = nullptr, s.tensors.workspace_bytes = 0;
  double us[4] = {};
  ASSERT_EQ(tconv_time_host(plan.c_handle(), &s.tensors, 4, 2, us), TCONV_OK) << tconv_last_error();
  EXPECT_EQ(s.sum(), 3860);
  for (const double time : us) EXPECT_GT(time, 0);
  EXPECT_EQ(tconv_time_host(plan.c_handle(), &s.tensors, 0, 1, us), TCONV_INVALID);
  s.tensors.output_bytes = 60;
  EXPECT_EQ(tconv_run_host(plan.c_handle(), &s.tensors), TCONV_INVALID);
}

TEST(CppFace, WhatIsQuotedIsFitForATerminal) {
  Problem none;
  const Status status = Problem::create(std::string("f32:\x1b[2Jnhwc"), none);
  EXPECT_EQ(status.code(), Code::invalid);
  EXPECT_NE(std::string(status.message()).find("\\x1b[2J"), std::string::npos) << status.message();
  EXPECT_EQ(std::string(status.message()).find('\x1b'), std::string::npos);
  Simple s;
  s.args.name = "deco\x1b[2Jder \xff";
  std::string logged;
  Options options;
  options.log = [](const char* line, void* to) { *static_cast<std::string*>(to) += line; };
  options.log_user = &logged;
  const Plan plan(Problem(s.args), options);
  for (const std::string& text : {plan.explain(), logged}) {
    EXPECT_NE(text.find("deco\\x1b[2Jder \\xff"), std::string::npos) << text;
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
  }
  char* json = nullptr;
  ASSERT_EQ(tconv_plan_explain(plan.c_handle(), TCONV_JSON, &json), TCONV_OK) << tconv_last_error();
  EXPECT_NE(std::string(json).find("deco\\u001b[2Jder"), std::string::npos) << json;
  tconv_text_free(json);
}

TEST(CppFace, PackedFiltersHaveAKey) {
  const auto plan_of = [](const char* problem, const char* kernel) {
    Options options;
    options.kernels = kernel;
    options.prepacked_filters = true;
    return Plan(Problem(std::string(problem)), options);
  };
  const char* problem = "f32:nhwc:n1:c2:k1:h2k3s1p1o2:w9k3s1p1o9";
  const Plan plan = plan_of(problem, "reference");
  EXPECT_EQ(plan.packed_key(), "f32:3x3x1x2:f32:6,2,0,1");
  EXPECT_EQ(plan.packed_filter_bytes(), 256 + 72u);
  EXPECT_EQ(plan.resized(2, 3, 4).packed_key(), plan.packed_key());
  EXPECT_NE(plan_of("f32:nhwc:n1:c2:k1:h2k1s1p0o2:w9k3s1p1o9", "reference").packed_key(),
            plan.packed_key());
  EXPECT_NE(plan.explain().find(plan.packed_key()), std::string::npos);
  EXPECT_STREQ(tconv_plan_packed_key(nullptr), "");
}

TEST(CppFace, PlansAreResized) {
  Simple s;
  Options options;
  options.kernels = "reference";
  const Plan plan(Problem(std::string("f32:nhwc:n1:c1:k1:h2k3s1p1o2:w9k3s1p1o9")), options);
  const Plan resized = plan.resized(1, 4, 4);
  EXPECT_EQ(resized.kernel(), "reference");
  EXPECT_EQ(plan.workspace_bytes_upto(1, 4, 4), resized.workspace_bytes());
  resized.run(s.tensors);
  EXPECT_EQ(s.sum(), 3860);
  EXPECT_THROW(plan.resized(1, -4, 4), Error);
  Plan none;
  EXPECT_EQ(plan.resized(1, 4, -4, none).code(), Code::invalid);
  EXPECT_EQ(none.c_handle(), nullptr);
}

TEST(CppFace, AModelIsPlannedForButNotRun) {
  Simple s;
  Options options;
  options.device_model = "rtx4090";
  Plan plan;
  const Status status = Plan::create(Problem(s.args), options, plan);
  if (!status.ok()) {  // a build without CUDA
    EXPECT_EQ(status.code(), Code::unsupported);
    EXPECT_NE(status.message().find("no rows for cuda"), std::string::npos) << status.message();
    return;
  }
  EXPECT_EQ(plan.device(), Device::cuda);
  EXPECT_NE(plan.explain().find("rtx4090 (model)"), std::string::npos);
  EXPECT_EQ(tconv_run(plan.c_handle(), &s.tensors, nullptr), TCONV_UNSUPPORTED);
  EXPECT_EQ(tconv_run_host(plan.c_handle(), &s.tensors), TCONV_UNSUPPORTED);
  EXPECT_NE(std::string(tconv_last_error()).find("not here"), std::string::npos);
}

TEST(CppFace, WrongBufferSizesAreRefused) {
  Simple s;
  const Plan plan{Problem(s.args)};
  s.tensors.output_bytes = 60;
  EXPECT_THROW(plan.run(s.tensors), Error);
  s.tensors.output_bytes = 64;
  s.tensors.input = nullptr;
  EXPECT_THROW(plan.run(s.tensors), Error);
  for (const float y : s.output) EXPECT_EQ(y, 0);  // nothing was written
}

TEST(CppFace, TheLogCallbackGetsOneLinePerPlan) {
  Simple s;
  s.args.name = "decoder.3";
  std::vector<std::string> lines;
  Options options;
  options.kernels = "reference";
  options.log = [](const char* line, void* user) {
    static_cast<std::vector<std::string>*>(user)->emplace_back(line);
  };
  options.log_user = &lines;
  const Plan plan{Problem(s.args), options};
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("decoder.3: f32:nhwc"), std::string::npos) << lines[0];
  EXPECT_NE(lines[0].find("reference/element"), std::string::npos) << lines[0];
  EXPECT_EQ(lines[0].find('\n'), std::string::npos);
}

TEST(CppFace, ConventionsDifferAsTheyShould) {
  TensorFlowArgs tf;
  tf.input_shape = {1, 8, 8, 4};
  tf.filter_shape = {3, 3, 2, 4};
  tf.output_shape = Numbers{1, 16, 16, 2};
  tf.strides = {2};
  PyTorchArgs pt;
  pt.input_shape = {1, 4, 8, 8};
  pt.weight_shape = {4, 2, 3, 3};
  pt.stride = Numbers{2};
  pt.padding = Numbers{1};
  pt.output_padding = Numbers{1};
  OnnxArgs onnx;
  onnx.x_shape = {1, 4, 8, 8};
  onnx.w_shape = {4, 2, 3, 3};
  onnx.strides = Numbers{2, 2};
  onnx.auto_pad = "SAME_UPPER";
  EXPECT_EQ(Problem(tf).desc().h.pad_begin, 0);
  EXPECT_EQ(Problem(pt).desc().h.pad_begin, 1);
  EXPECT_EQ(Problem(onnx).desc().h.pad_begin, 0);
  for (const Problem& problem : {Problem(tf), Problem(pt), Problem(onnx)}) {
    EXPECT_EQ(problem.output_shape(), (Numbers{1, 16, 16, 2}));
  }
}

TEST(CFace, ListsKernelsAndDevices) {
  char* text = nullptr;
  ASSERT_EQ(tconv_kernels(TCONV_JSON, &text), TCONV_OK);
  EXPECT_NE(std::string(text).find("\"name\":\"reference\""), std::string::npos);
  tconv_text_free(text);
  ASSERT_EQ(tconv_devices(TCONV_JSON, &text), TCONV_OK);
  EXPECT_NE(std::string(text).find("\"device\":\"cpu\""), std::string::npos);
  tconv_text_free(text);
}

TEST(CFace, DevicesAreListedWithTheirFacts) {
  test::FakeGpu fake("a100", 2);
  char* text = nullptr;
  ASSERT_EQ(tconv_devices(TCONV_JSON, &text), TCONV_OK);
  const std::string list = text;
  tconv_text_free(text);
  EXPECT_NE(list.find("\"name\":\"fake a100\""), std::string::npos) << list;
  EXPECT_NE(list.find("\"ordinal\":1"), std::string::npos) << list;
  EXPECT_NE(list.find("\"cuda\":\"\""), std::string::npos) << list;
  EXPECT_LT(list.find("cuda"), list.find("\"cpu\"")) << "the preferred first: " << list;
}

}  // namespace
}  // namespace tconv
