// SPDX-License-Identifier: Apache-2.0
// test_gpu_seam.cpp: the seam that this build has, on a machine with or without a GPU; the
// sentences about what is missing; and which device a plan is for.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "src/cuda/igemm_sm80/plan.h"
#include "src/host/device/device_memory.h"
#include "src/host/explain/explain.h"
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
  if (g.absence().empty() || has(g.absence(), "no CUDA kernels")) {
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
  EXPECT_TRUE(has(driver_missing_message(), "no NVIDIA driver"));
  const std::string old = driver_too_old_message(12040, 13000);
  EXPECT_TRUE(has(old, "CUDA 12.4") && has(old, "CUDA 13.0") && has(old, "update")) << old;
  EXPECT_TRUE(has(no_device_message(), "CUDA_VISIBLE_DEVICES"));
  EXPECT_TRUE(has(cuda_failed_message("cudaErrorSystemNotReady: x"), "cudaErrorSystemNotReady"));
  EXPECT_EQ(failed_call_message("call", "error", "it", "do"), "call failed (error) for it: do");
  EXPECT_EQ(failed_call_message("call", "error", "it"), "call failed (error) for it");
}

TEST(Words, ArchitecturesRunWhereTheProgrammingGuideSays) {
  const char* all = "80-real,86-real,89-real,90a-real,100-real,120-real,120-virtual";
  for (const int sm : {80, 86, 87, 89, 90, 100, 103, 120, 121, 130}) {
    EXPECT_EQ(architecture_gap(all, sm), "") << sm;
  }
  const std::string gap = architecture_gap("86-real,90a-real,120-real,120-virtual", 80);
  EXPECT_TRUE(has(gap, "code for sm_86, sm_90a, sm_120, PTX for sm_120")) << gap;
  EXPECT_TRUE(has(gap, "the GPU is sm_80")) << gap;
  EXPECT_TRUE(has(gap, "TCONV_CUDA_ARCHITECTURES=80")) << gap;
  EXPECT_EQ(architecture_gap(all, 75),
            "tconv has no code for GPUs before sm_80, and the GPU is sm_75")
      << "and no architecture to build it for";
  EXPECT_EQ(architecture_gap("120-real", 121), "") << "a DGX Spark";
  EXPECT_NE(architecture_gap("120a-real", 121), "");
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
       {driver_missing_message(), driver_too_old_message(12040, 13000), no_device_message()}) {
    fake.absent = why;
    const Plan made = plan({});
    EXPECT_EQ(made.device().kind, DeviceKind::cpu);
    EXPECT_EQ(made.device_note(), why);
    EXPECT_TRUE(has(explain(made, false), why));
    EXPECT_EQ(nlohmann::json::parse(explain(made, true))["device_note"], why);
    try {
      plan({.device = DeviceKind::cuda});
      FAIL() << "made a plan without a GPU";
    } catch (const Unsupported& e) {
      EXPECT_EQ(std::string(e.what()), "no device cuda: " + why);
    }
  }
}

TEST(DeviceChoice, AGpuThatSeemsToBeHereAndIsPassedOverIsNews) {
  FakeGpu fake;
  fake.absent = driver_too_old_message(12040, 13000);
  const auto json = [](const Plan& made) { return nlohmann::json::parse(explain(made, true)); };
  EXPECT_FALSE(plan({}).passes_over_gpu());
  EXPECT_FALSE(json(plan({})).contains("gpu_not_used"));
  fake.seems = true;
  const Plan made = plan({});
  EXPECT_TRUE(made.passes_over_gpu());
  EXPECT_EQ(json(made)["gpu_not_used"], fake.absent);
  EXPECT_TRUE(resized(made, 2, 3, 3).passes_over_gpu());
  for (const Options& options :
       {Options{.device = DeviceKind::cpu}, Options{.kernels = {"reference"}},
        Options{.device_model = "h200"}}) {
    EXPECT_FALSE(plan(options).passes_over_gpu());
  }
  fake.absent = "", fake.seems = false;
  EXPECT_FALSE(plan({}).passes_over_gpu());
  fake.set_sm(75);
  EXPECT_TRUE(plan({}).passes_over_gpu()) << "no code for it";
}

TEST(DeviceChoice, ThePciBusTellsOfAGpuWithoutADriver) {
  const std::filesystem::path bus = testing::TempDir() + "tconv_pci";
  std::filesystem::remove_all(bus);
  EXPECT_FALSE(has_nvidia_gpu(bus)) << "no such folder";
  const auto add = [&](const char* address, const char* vendor, const char* kind) {
    std::filesystem::create_directories(bus / address);
    std::ofstream(bus / address / "vendor") << vendor << "\n";
    std::ofstream(bus / address / "class") << kind << "\n";
  };
  add("0000:00:00.0", "0x8086", "0x060000");
  add("0000:00:02.0", "0x8086", "0x030000");  // another vendor's display
  add("0000:01:00.1", "0x10de", "0x040300");  // the sound of a GPU
  EXPECT_FALSE(has_nvidia_gpu(bus));
  add("0000:02:00.0", "0x10de", "0x030200");
  EXPECT_TRUE(has_nvidia_gpu(bus));
  std::filesystem::remove_all(bus);
}

TEST(DeviceChoice, AGpuThatThisBuildHasNoCodeForIsNotUsed) {
  FakeGpu fake;
  fake.set_sm(75);
  const Plan made = plan({});
  EXPECT_EQ(made.device().kind, DeviceKind::cpu);
  EXPECT_TRUE(has(made.device_note(), "fake h200: tconv has no code")) << made.device_note();
  EXPECT_TRUE(has(made.device_note(), "the GPU is sm_75")) << made.device_note();
  EXPECT_THROW(plan({.device = DeviceKind::cuda}), Unsupported);
  EXPECT_EQ(fake.loads, 0);
}

TEST(DeviceChoice, AModelIsPlannedForAndNotTouched) {
  FakeGpu fake;
  fake.absent = no_device_message();
  const Plan made = plan({.device = DeviceKind::cuda, .device_model = "l4"});
  EXPECT_STREQ(made.kernel().name, "fake");
  EXPECT_FALSE(made.device().is_here());
  EXPECT_TRUE(has(explain(made, false), "l4 (model)"));
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
    for (const char* part : {"fake: ", "f32:nhwc", "cudaErrorNoKernelImageForDevice",
                             "code for sm_80, and the GPU is sm_90"}) {
      EXPECT_TRUE(has(e.what(), part)) << e.what();
    }
  }
  EXPECT_FALSE(fake.leaks());
}

TEST(DeviceChoice, ARowThatFailsToLoadLeavesTheProblemToTheNext) {
  FakeGpu fake;
  fake.fail_load = "cudaErrorMemoryAllocation: out of memory";
  Kernel modest = rows::kFake;
  modest.name = "modest";
  modest.prepare = [](const Problem&, int, const Options&, const DeviceFacts&) {
    return std::shared_ptr<const KernelState>(std::make_shared<KernelState>());
  };
  const Kernel* table[] = {&rows::kFake, &modest, &reference_kernel};
  const Plan made = make_plan(small_problem(), {}, table);
  EXPECT_STREQ(made.kernel().name, "modest");
  EXPECT_TRUE(has(made.candidates().front().reason, "cudaErrorMemoryAllocation"));
  // An error of the caller's makes every load fail, and is in the reasons.
  fake.fail_load = fake.pending = "cudaErrorIllegalAddress: an illegal memory access";
  try {
    plan({});
    FAIL() << "made a plan";
  } catch (const DeviceError& e) {
    EXPECT_TRUE(has(e.what(), "cudaErrorIllegalAddress")) << e.what();
  }
}

TEST(DeviceChoice, AModelWithoutCodeInAnyBuildIsDeclinedInASentence) {
  try {
    plan({.device_model = "t4"});
    FAIL() << "made a plan";
  } catch (const Unsupported& e) {
    EXPECT_TRUE(has(e.what(), "on t4 (model)\n  fake: tconv has no code for GPUs before sm_80"))
        << e.what();
  }
  for (const char* model : {"rtx5090", "b200", "a10", "gb10"}) {
    EXPECT_STREQ(plan({.device_model = model}).kernel().name, "fake") << model;
  }
}

// ---- What a virtual GPU does not tell -----------------------------------------------------------

TEST(VirtualGpu, EveryRowEstimatesATime) {
  FakeGpu fake;
  DeviceFacts& facts = fake.present.at(0);
  facts.name = "GRID", facts.clock_mhz = facts.bytes_per_us = 0;
  set_model_rates(facts);  // as the CUDA seam does
  std::mt19937_64 random(32);
  int cuts = 0;
  for (int i = 0; i < 200; ++i) {
    const Problem problem(random_desc(random));
    for (const Kernel* row : kernel_table()) {
      if (row->device != DeviceKind::cuda || !row->declines(problem, {}, facts).empty()) continue;
      for (int t = 0; t < static_cast<int>(row->tiles.size()); ++t) {
        const auto [reason, us] = row->consider(problem, t, {}, facts);
        if (!reason.empty()) continue;
        EXPECT_TRUE(std::isfinite(us) && us > 0) << row->name << " " << problem.key() << ": " << us;
      }
    }
    const igemm::Tile& tile = igemm::kTiles[i % igemm::kTileCount];
    const igemm::Plan cut = igemm::plan_tile(problem, tile, facts);
    if (!cut.refused.empty()) continue;
    ++cuts;
    const double us = igemm::estimate_us(problem, tile, cut, facts);
    EXPECT_TRUE(std::isfinite(us) && us > 0) << problem.key() << ": " << us;
  }
  EXPECT_GE(cuts, 10);
}

// ---- Shared memory ------------------------------------------------------------------------------

TEST(Carveout, HoldsTheBlocksThatAreWanted) {
  const DeviceFacts h200 = device_model("h200"), a10 = device_model("a10");
  EXPECT_EQ(preferred_carveout(h200, 100 << 10, 0), kAnyCarveout);
  EXPECT_EQ(preferred_carveout(h200, 100 << 10, 1), kAnyCarveout) << "the driver sees to one";
  EXPECT_EQ(preferred_carveout(h200, 56 << 10, 2), 50) << "2 x 57 of 228 KiB";
  EXPECT_EQ(preferred_carveout(h200, (56 << 10) + 1, 2), 51);
  EXPECT_EQ(preferred_carveout(h200, 113 << 10, 2), 100);
  EXPECT_EQ(preferred_carveout(h200, 200 << 10, 2), 100) << "never more than there is";
  EXPECT_EQ(preferred_carveout(a10, 32 << 10, 3), 99) << "3 x 33 of 100 KiB";
}

TEST(Carveout, IsAskedForByTheRowThatCountsOnSeveralBlocks) {
  const auto table = kernel_table();
  const auto found = std::ranges::find_if(
      table, [](const Kernel* row) { return std::string(row->name) == "igemm_sm80"; });
  if (found == table.end()) GTEST_SKIP() << "this build has no row igemm_sm80";
  const Kernel& row = **found;
  ProblemDesc d;
  d.dtype = DType::f16;
  d.batch = 8, d.in_c = d.out_c = 256;
  d.h = d.w = {.in = 64, .kernel = 2, .stride = 2, .out = 128};
  const Problem problem(d);
  int asked = 0;
  for (const char* model : {"h200", "a100", "rtx4090", "gb10"}) {
    for (int tile = 0; tile < igemm::kTileCount; ++tile) {
      FakeGpu fake(model);
      const DeviceFacts& facts = fake.present.at(0);
      const igemm::Plan cut = igemm::plan_tile(problem, igemm::kTiles[tile], facts);
      if (!cut.refused.empty()) continue;
      (void)row.prepare(problem, tile, {}, facts);
      EXPECT_EQ(fake.carveouts.size(), cut.resident > 1 ? 1U : 0U) << model << " " << tile;
      if (cut.resident < 2) continue;
      ++asked;
      const int64_t wanted = cut.resident * (cut.shared_bytes + kReservedSharedBytes);
      const int percent = fake.carveouts.begin()->second;
      EXPECT_LE(percent, 100);
      EXPECT_GE(percent * facts.shared_bytes_per_core, 100 * wanted) << model << " " << tile;
      EXPECT_LT((percent - 1) * facts.shared_bytes_per_core, 100 * wanted) << model << " " << tile;
    }
  }
  EXPECT_GE(asked, 4);
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
