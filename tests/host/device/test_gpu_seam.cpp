// SPDX-License-Identifier: Apache-2.0
// test_gpu_seam.cpp: the seam that this build has, on a machine with or without a GPU; the
// sentences about what is missing; and which device a plan is for.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "src/host/device/device_memory.h"
#include "src/host/plan/plan.h"
#include "tests/support/fake_gpu.h"
#include "tests/support/fake_rows.h"
#include "tests/support/support.h"

namespace tconv::host {
extern const Kernel reference_kernel;
}  // namespace tconv::host

namespace tconv::test {
namespace {

using testing::Test;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// ---- The seam of this build ---------------------------------------------------------------------

TEST(BuiltInGpu, IsThereOrSaysWhyNot) {
  Gpu& g = built_in_gpu();
  const std::string absence = g.absence();
  EXPECT_EQ(g.absence(), absence) << "asked twice";
  if (absence.empty()) {
    EXPECT_GE(g.devices().size(), 1U);
    return;
  }
  EXPECT_GT(absence.size(), 20U);
  EXPECT_EQ(absence.find('\n'), std::string::npos);
  // Whatever is called nevertheless is an error and not a crash.
  EXPECT_THROW(g.devices(), DeviceError);
  EXPECT_THROW(g.allocate(16), DeviceError);
  EXPECT_THROW(g.synchronise(nullptr), DeviceError);
  EXPECT_THROW(g.create_event(), DeviceError);
}

TEST(BuiltInGpu, FailuresOfOursAreNotLeftBehind) {
  Gpu& g = built_in_gpu();
  if (g.absence() == "" || has(g.absence(), "no CUDA kernels")) {
    GTEST_SKIP() << "needs a CUDA build on a machine without a GPU";
  }
  const std::string before = g.pending_error();
  EXPECT_THROW(g.allocate(16), DeviceError);
  EXPECT_EQ(g.pending_error(), before);
}

TEST(ReplaceGpu, IsUndoneByNull) {
  {
    FakeGpu fake;
    EXPECT_EQ(&gpu(), &fake);
  }
  EXPECT_EQ(&gpu(), &built_in_gpu());
}

// ---- Sentences ----------------------------------------------------------------------------------

TEST(Words, SayWhatIsMissingAndWhatToDo) {
  EXPECT_TRUE(has(driver_missing_words(), "no NVIDIA driver"));
  const std::string old = driver_too_old_words(12040, 13000);
  EXPECT_TRUE(has(old, "CUDA 12.4") && has(old, "CUDA 13.0") && has(old, "update")) << old;
  EXPECT_TRUE(has(no_device_words(), "CUDA_VISIBLE_DEVICES"));
  EXPECT_TRUE(has(cuda_failed_words("cudaErrorSystemNotReady: x"), "cudaErrorSystemNotReady"));
  EXPECT_EQ(failed_call_words("call", "error", "it", "do"), "call failed (error) for it: do");
  EXPECT_EQ(failed_call_words("call", "error", "it"), "call failed (error) for it");
}

TEST(Words, ArchitecturesRunWhereTheProgrammingGuideSays) {
  const char* all = "80-real,86-real,89-real,90a-real,100-real,120-real,120-virtual";
  for (const int sm : {80, 86, 87, 89, 90, 100, 103, 120, 121, 130}) {
    EXPECT_EQ(architecture_gap(all, sm), "") << sm;
  }
  const std::string gap = architecture_gap(all, 75);
  EXPECT_TRUE(has(gap, "sm_80, sm_86, sm_89, sm_90a, sm_100, sm_120, PTX for sm_120")) << gap;
  EXPECT_TRUE(has(gap, "the GPU is sm_75")) << gap;
  EXPECT_EQ(architecture_gap("90a-real", 90), "");
  EXPECT_NE(architecture_gap("90a-real", 100), "") << "specific code runs on nothing newer";
  EXPECT_NE(architecture_gap("90a-virtual", 100), "");
  EXPECT_NE(architecture_gap("86-real", 80), "") << "not on an older minor version";
  EXPECT_EQ(architecture_gap("80-virtual", 120), "") << "PTX runs on everything newer";
  EXPECT_NE(architecture_gap("80-real", 90), "") << "machine code does not";
  EXPECT_EQ(architecture_gap("100f-real", 103), "");
  EXPECT_NE(architecture_gap("100f-virtual", 120), "");
}

// ---- Which device -------------------------------------------------------------------------------

constexpr const Kernel* kTable[] = {&rows::kFake, &reference_kernel};

Problem small_problem() {
  ProblemDesc d;
  d.name = "small";
  d.in_c = d.out_c = 4;
  d.h = d.w = {.in = 3, .kernel = 2, .stride = 2, .out = 6};
  return Problem(d);
}

Plan plan(const Options& options) { return make_plan(small_problem(), options, kTable); }

TEST(DeviceChoice, CpuNeverStartsCuda) {
  FakeGpu fake;
  EXPECT_EQ(plan({.device = DeviceKind::cpu}).device().kind, DeviceKind::cpu);
  EXPECT_EQ(plan({.kernels = {"reference"}}).device().kind, DeviceKind::cpu);
  EXPECT_EQ(plan({.device_model = "h200"}).device().name, "h200 (model)");
  EXPECT_THROW(plan({.kernels = {"referenze"}}), InvalidProblem);
  EXPECT_EQ(fake.absence_calls, 0);
  EXPECT_EQ(fake.loads, 0);
}

TEST(DeviceChoice, AutomaticIsTheGpuThatIsCurrent) {
  FakeGpu fake("a100", 3);
  fake.current = 2;
  const Plan made = plan({});
  EXPECT_STREQ(made.kernel().name, "fake");
  EXPECT_EQ(made.device().ordinal, 2);
  EXPECT_EQ(made.device_note(), "");
  EXPECT_EQ(fake.loads, 1);
}

TEST(DeviceChoice, WithoutAGpuAutomaticIsTheCpuAndSaysWhy) {
  FakeGpu fake;
  for (const std::string& why :
       {driver_missing_words(), driver_too_old_words(12040, 13000), no_device_words()}) {
    fake.absent = why;
    const Plan made = plan({});
    EXPECT_EQ(made.device().kind, DeviceKind::cpu);
    EXPECT_EQ(made.device_note(), why);
    EXPECT_TRUE(has(made.explain(false), why));
    EXPECT_EQ(nlohmann::json::parse(made.explain(true))["device_note"], why);
    try {
      plan({.device = DeviceKind::cuda});
      FAIL() << "made a plan without a GPU";
    } catch (const Unsupported& e) {
      EXPECT_EQ(std::string(e.what()), "no device cuda: " + why);
    }
  }
}

TEST(DeviceChoice, AGpuThatThisBuildHasNoCodeForIsNotUsed) {
  FakeGpu fake;
  fake.set_sm(75);
  const Plan made = plan({});
  EXPECT_EQ(made.device().kind, DeviceKind::cpu);
  EXPECT_TRUE(has(made.device_note(), "fake h200: this build")) << made.device_note();
  EXPECT_TRUE(has(made.device_note(), "the GPU is sm_75")) << made.device_note();
  EXPECT_THROW(plan({.device = DeviceKind::cuda}), Unsupported);
  EXPECT_EQ(fake.loads, 0);
}

TEST(DeviceChoice, AModelIsPlannedForAndNotTouched) {
  FakeGpu fake;
  fake.absent = no_device_words();
  const Plan made = plan({.device = DeviceKind::cuda, .device_model = "l4"});
  EXPECT_STREQ(made.kernel().name, "fake");
  EXPECT_FALSE(made.device().is_here());
  EXPECT_TRUE(has(made.explain(false), "l4 (model)"));
  EXPECT_EQ(fake.absence_calls + fake.loads + fake.allocations, 0);
  EXPECT_THROW(plan({.device = DeviceKind::cpu, .device_model = "l4"}), InvalidProblem);
  EXPECT_THROW(plan({.device_model = "no such model"}), InvalidProblem);
}

TEST(DeviceChoice, ABuildWithoutRowsForAModelSaysSo) {
  const Kernel* cpu_only[] = {&reference_kernel};
  try {
    make_plan(small_problem(), {.device_model = "h200"}, cpu_only);
    FAIL() << "made a plan";
  } catch (const Unsupported& e) {
    EXPECT_TRUE(has(e.what(), "no rows for cuda")) << e.what();
  }
}

TEST(DeviceChoice, AFailureToLoadNamesProblemRowAndRemedy) {
  FakeGpu fake;
  fake.built = "80-real";
  fake.fail_load = "cudaErrorNoKernelImageForDevice: no kernel image is available";
  try {
    plan({});
    FAIL() << "made a plan";
  } catch (const DeviceError& e) {
    for (const char* part : {"row fake", "f32:nhwc", "cudaErrorNoKernelImageForDevice",
                             "code for sm_80, and the GPU is sm_90"}) {
      EXPECT_TRUE(has(e.what(), part)) << e.what();
    }
  }
  EXPECT_FALSE(fake.leaks());
}

TEST(DeviceMemory, IsFreedByItsOwner) {
  FakeGpu fake;
  {
    const DeviceMemory none(0);
    EXPECT_EQ(none.data(), nullptr);
    DeviceMemory a(10), b(20);
    EXPECT_EQ(fake.live_bytes, 30U);
    a = std::move(b);
    const DeviceMemory c(std::move(a));
    EXPECT_NE(c.data(), nullptr);
    const DeviceEvent event;
    EXPECT_EQ(fake.live_events, 1);
  }
  EXPECT_FALSE(fake.leaks());
  EXPECT_EQ(fake.allocations, 2);
}

}  // namespace
}  // namespace tconv::test
