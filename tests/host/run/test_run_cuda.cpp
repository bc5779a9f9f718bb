// SPDX-License-Identifier: Apache-2.0
// test_run_cuda.cpp: what `run`, `run_host`, `resized` and verification do around a row for CUDA,
// over a fake GPU: order of checks, errors, leaks, costs.
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "src/host/explain/explain.h"
#include "src/host/plan/plan.h"
#include "src/host/run/run.h"
#include "tests/support/count_allocations.h"
#include "tests/support/fake_gpu.h"
#include "tests/support/fake_rows.h"
#include "tests/support/support.h"

namespace tconv::host {
extern const Kernel reference_kernel;
}  // namespace tconv::host

namespace tconv::test {
namespace {

constexpr const Kernel* kTable[] = {&rows::kFake, &reference_kernel};

ProblemDesc full_desc() {
  ProblemDesc d;
  d.name = "decoder";
  d.in_c = 3, d.out_c = 4;
  d.h = d.w = {.in = 3, .kernel = 3, .stride = 2, .pad_begin = 1, .out = 6};
  d.has_bias = d.has_residual = true;
  d.activation = Activation::prelu;
  return d;
}

class RunCuda : public testing::Test {
 protected:
  RunCuda() { fake_.on_launch = rows::compute; }

  Plan plan(const Options& options = {}) const { return make_plan(problem_, options, kTable); }
  /// The fake's device memory is host memory, so these operands can be "device" tensors too.
  Tensors tensors() {
    operands_.workspace.resize(4096);
    return operands_.tensors();
  }
  /// Expects that `body` throws an Error whose message has all parts, and that nothing is launched.
  template <typename Error, typename Body>
  void expect_refused(const std::vector<std::string>& parts, Body&& body) {
    const int64_t launched = fake_.launches;
    try {
      body();
      ADD_FAILURE() << "nothing was refused";
    } catch (const Error& e) {
      for (const std::string& part : parts) {
        EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << part << ": " << e.what();
      }
    }
    EXPECT_EQ(fake_.launches, launched);
  }
  Bytes expected() {
    Operands copy = small_integers(problem_, 1);
    run(make_plan(problem_, {.device = DeviceKind::cpu, .kernels = {"reference"}}), copy.tensors(),
        {}, nullptr);
    return copy.output;
  }

  FakeGpu fake_;
  Problem problem_{full_desc()};
  Operands operands_ = small_integers(problem_, 1);
  const StatedBytes stated_{.workspace = 4096};
};

// ---- run ----------------------------------------------------------------------------------------

TEST_F(RunCuda, LaunchesOnTheStreamOfTheCaller) {
  int stream = 0;
  Launch seen;
  fake_.on_launch = [&](const Launch& launch) { seen = launch; };
  run(plan(), tensors(), stated_, &stream);
  EXPECT_EQ(fake_.launches, 1);
  EXPECT_EQ(seen.stream, &stream);
  EXPECT_EQ(seen.grid[0], 7U);
  EXPECT_EQ(seen.block[0], 128U);
  EXPECT_STREQ(seen.name, "fake");
  EXPECT_EQ(fake_.copies + fake_.synchronised + fake_.allocations, 0);
}

TEST_F(RunCuda, AllocatesNothingAndCostsLittle) {
  fake_.on_launch = nullptr;
  const Plan made = plan();
  const Tensors t = tensors();
  run(made, t, stated_, nullptr);
  const int64_t before = allocation_count();
  constexpr int kRuns = 20000;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kRuns; ++i) run(made, t, stated_, nullptr);
  const std::chrono::duration<double, std::micro> spent = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(allocation_count() - before, 0);
  // The bar is 2 us (bench/bench_run.cpp measures it); this leaves room for a busy machine.
  EXPECT_LT(spent.count() / kRuns, 20);
}

TEST_F(RunCuda, PlansAndResizedPlansCostLittle) {
  const Plan made = plan();
  const auto mean_us = [](int times, auto&& body) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < times; ++i) body();
    const std::chrono::duration<double, std::micro> spent =
        std::chrono::steady_clock::now() - begin;
    return spent.count() / times;
  };
  // The bars are 200 us and 20 us (bench/bench_run.cpp); this leaves room for a busy machine.
  EXPECT_LT(mean_us(200, [&] { (void)plan(); }), 1000);
  EXPECT_LT(mean_us(200, [&] { (void)resized(made, 2, 7, 9); }), 200);
}

TEST_F(RunCuda, AnotherCurrentDeviceIsRefusedAndNotSwitched) {
  fake_.add("l4");
  const Plan made = plan();
  fake_.current = 1;
  expect_refused<DeviceError>({"device 0 (fake h200)", "device 1 is current"},
                              [&] { run(made, tensors(), stated_, nullptr); });
  EXPECT_EQ(fake_.current, 1);
  EXPECT_EQ(plan().device().name, "fake l4") << "a new plan is for the device that is current";
}

TEST_F(RunCuda, APendingErrorIsReportedAndNotCleared) {
  const Plan made = plan();
  fake_.pending = "cudaErrorIllegalAddress: an illegal memory access was encountered";
  fake_.current = 3;  // after a sticky error this is of no interest
  expect_refused<DeviceError>({"pending before this call", "cudaErrorIllegalAddress"},
                              [&] { run(made, tensors(), stated_, nullptr); });
  EXPECT_NE(fake_.pending, "");
}

TEST_F(RunCuda, BadPointersAreRefusedWithoutLookingAtThem) {
  const Plan made = plan();
  Tensors t = tensors();
  // Addresses of no memory: whoever reads through them crashes.
  t.input = reinterpret_cast<const void*>(uintptr_t{16} << 32);
  t.output = reinterpret_cast<void*>((uintptr_t{16} << 32) + 4);
  expect_refused<InvalidProblem>({"tensors.output = 4", "0 modulo 16"},
                                 [&] { run(made, t, stated_, nullptr); });
  t.output = nullptr;
  expect_refused<InvalidProblem>({"tensors.output = null"},
                                 [&] { run(made, t, stated_, nullptr); });
  t.output = reinterpret_cast<void*>(uintptr_t{32} << 32);
  fake_.on_launch = nullptr;
  EXPECT_NO_THROW(run(made, t, stated_, nullptr));
}

TEST_F(RunCuda, ALaunchThatFailsNamesRowProblemAndCall) {
  fake_.fail_launch = "cudaErrorInvalidConfiguration: invalid configuration argument";
  try {
    run(plan(), tensors(), stated_, nullptr);
    FAIL() << "ran";
  } catch (const DeviceError& e) {
    const std::string what = e.what();
    for (const std::string& part :
         {std::string("row fake"), std::string("decoder"), problem_.key(),
          std::string("cudaLaunchKernel failed"), std::string("cudaErrorInvalidConfiguration")}) {
      EXPECT_NE(what.find(part), std::string::npos) << what;
    }
  }
}

TEST_F(RunCuda, APlanForAModelIsNotRun) {
  const Plan made = plan({.device_model = "a100"});
  EXPECT_EQ(fake_.loads, 0);
  const std::vector<std::string> parts = {"device model a100", "not here", problem_.key()};
  expect_refused<Unsupported>(parts, [&] { run(made, tensors(), stated_, nullptr); });
  expect_refused<Unsupported>(parts, [&] { run_host(made, tensors(), {}, 1, 1, nullptr); });
  EXPECT_EQ(fake_.allocations, 0);
}

TEST_F(RunCuda, PrepackChecksTheDeviceToo) {
  const Plan made = plan({.prepacked_filters = true});
  Bytes packed(made.packed_filter_bytes());
  EXPECT_NO_THROW(prepack(made, operands_.filters.data(), packed.data(), packed.size(), nullptr));
  fake_.current = 1;
  EXPECT_THROW(prepack(made, operands_.filters.data(), packed.data(), packed.size(), nullptr),
               DeviceError);
}

// ---- Verification -------------------------------------------------------------------------------

TEST_F(RunCuda, VerifiedRunsCompareCopiesWithTheReference) {
  const Plan made = plan({.verify = true});
  EXPECT_NO_THROW(run(made, tensors(), stated_, nullptr));
  EXPECT_EQ(fake_.copies, 6);  // input, filters, bias, slopes, residual, output
  EXPECT_GT(fake_.synchronised, 0);
  fake_.on_launch = [](const Launch& launch) {
    const auto& arguments = *static_cast<const rows::Arguments*>(launch.arguments[0]);
    rows::compute(launch);
    static_cast<float*>(arguments.tensors.output)[5] += 1;
  };
  EXPECT_THROW(run(made, tensors(), stated_, nullptr), Mismatch);
}

TEST_F(RunCuda, AVerifiedResidualMayBeTheOutput) {
  Tensors in_place = tensors();
  in_place.residual = in_place.output = operands_.residual.data();
  EXPECT_NO_THROW(run(plan({.verify = true}), in_place, stated_, nullptr));
}

TEST_F(RunCuda, DuringCaptureARunIsNotVerifiedAndTheLogSaysSo) {
  std::vector<std::string> lines;
  const Plan made =
      plan({.verify = true, .log = [&](const std::string& line) { lines.push_back(line); }});
  fake_.capturing = true;
  fake_.on_launch = nullptr;  // nothing is computed during capture
  EXPECT_NO_THROW(run(made, tensors(), stated_, nullptr));
  EXPECT_EQ(fake_.launches, 1);
  EXPECT_EQ(fake_.copies + fake_.synchronised, 0) << "either would break the capture";
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("not verified"), std::string::npos) << lines[0];
  EXPECT_NE(lines[0].find(problem_.key()), std::string::npos) << lines[0];
}

// ---- run_host -----------------------------------------------------------------------------------

TEST_F(RunCuda, RunHostCopiesRunsAndFreesEverything) {
  run_host(plan(), operands_.tensors(), {}, 1, 1, nullptr);
  EXPECT_EQ(operands_.output, expected());
  EXPECT_FALSE(fake_.leaks());
  EXPECT_EQ(fake_.allocations, 7);  // six tensors and a workspace
}

TEST_F(RunCuda, RunHostPacksWhatThePlanWantsPacked) {
  run_host(plan({.prepacked_filters = true}), operands_.tensors(), {}, 1, 1, nullptr);
  EXPECT_EQ(operands_.output, expected());
  EXPECT_FALSE(fake_.leaks());
}

TEST_F(RunCuda, RunHostKeepsWhatNoRunWrites) {
  ProblemDesc d = full_desc();
  d.output_strides = dense_strides(d.layout, {1, 6, 6, 8});
  const Problem strided(d);
  Operands on_gpu = small_integers(strided, 2), on_cpu = on_gpu;
  run_host(make_plan(strided, {}, kTable), on_gpu.tensors(), {}, 1, 1, nullptr);
  const Options cpu = {.device = DeviceKind::cpu, .kernels = {"reference"}};
  run_host(make_plan(strided, cpu, kTable), on_cpu.tensors(), {}, 1, 1, nullptr);
  EXPECT_EQ(on_gpu.output, on_cpu.output);
}

TEST_F(RunCuda, TimesComeFromEventsAroundTheRuns) {
  double us[3] = {};
  fake_.event_us = 12;
  run_host(plan(), operands_.tensors(), {}, 3, 4, us);
  EXPECT_EQ(fake_.launches, 12);
  for (const double time : us) EXPECT_EQ(time, 3);
  EXPECT_FALSE(fake_.leaks());
}

TEST_F(RunCuda, RunHostRefusesBeforeItAllocates) {
  Tensors t = operands_.tensors();
  const Plan made = plan();
  EXPECT_THROW(run_host(made, t, {}, 0, 1, nullptr), InvalidProblem);
  EXPECT_THROW(run_host(made, t, {}, 1, 0, nullptr), InvalidProblem);
  t.residual = t.output;
  EXPECT_THROW(run_host(made, t, {}, 2, 1, nullptr), InvalidProblem);
  t.bias = nullptr;
  EXPECT_THROW(run_host(made, t, {}, 1, 1, nullptr), InvalidProblem);
  EXPECT_EQ(fake_.allocations, 0);
}

TEST_F(RunCuda, RunHostSurvivesRunningOutOfMemoryAnywhere) {
  const Plan made = plan({.prepacked_filters = true});
  for (int64_t nth = 0; nth < 8; ++nth) {
    fake_.allocations = 0;
    fake_.fail_allocation = nth;
    expect_refused<DeviceError>({"cudaErrorMemoryAllocation", "bytes of device memory",
                                 "1000 of 2000 bytes are free", problem_.key()},
                                [&] { run_host(made, operands_.tensors(), {}, 1, 1, nullptr); });
    EXPECT_FALSE(fake_.leaks()) << nth;
  }
  fake_.allocations = 0;
  fake_.fail_allocation = 8;
  EXPECT_NO_THROW(run_host(made, operands_.tensors(), {}, 1, 1, nullptr));
}

TEST_F(RunCuda, RunHostLeaksNothingWhenALaunchFails) {
  fake_.fail_launch = "cudaErrorLaunchFailure: unspecified launch failure";
  EXPECT_THROW(run_host(plan(), operands_.tensors(), {}, 2, 2, nullptr), DeviceError);
  EXPECT_FALSE(fake_.leaks());
}

// ---- resized ------------------------------------------------------------------------------------

TEST_F(RunCuda, ResizedKeepsRowPadsAndPackedFilters) {
  const Plan made = plan({.prepacked_filters = true});
  const Plan other = resized(made, 2, 5, 4);
  EXPECT_EQ(&other.kernel(), &made.kernel());
  const ProblemDesc &d = other.problem().desc(), &old = problem_.desc();
  EXPECT_EQ(d.batch, 2);
  EXPECT_EQ(d.h.in, 5);
  EXPECT_EQ(d.h.pad_begin, old.h.pad_begin);
  EXPECT_EQ(d.h.pad_end(), old.h.pad_end());
  EXPECT_EQ(d.w.pad_end(), old.w.pad_end());
  EXPECT_EQ(other.resized_from(), problem_.key());
  EXPECT_EQ(nlohmann::json::parse(explain(other, true))["resized_from"], problem_.key());
  EXPECT_NE(explain(other, false).find("resized    from"), std::string::npos);

  Operands packed = small_integers(other.problem(), 5), plain = packed;
  ASSERT_EQ(other.packed_filter_bytes(), made.packed_filter_bytes());
  Bytes filters(made.packed_filter_bytes());
  prepack(made, packed.filters.data(), filters.data(), filters.size(), nullptr);
  packed.filters = filters;
  packed.workspace.resize(other.workspace_bytes());
  run(other, packed.tensors(), {.workspace = packed.workspace.size()}, nullptr);
  run(make_plan(other.problem(), {.kernels = {"reference"}}), plain.tensors(), {}, nullptr);
  EXPECT_EQ(packed.output, plain.output);
}

TEST_F(RunCuda, ResizedToItsOwnSizesIsTheSameProblem) {
  const Plan made = plan();
  EXPECT_EQ(resized(made, 1, 3, 3).problem().key(), problem_.key());
}

TEST_F(RunCuda, ResizedDeclinesWithAReason) {
  Kernel fixed = rows::kFake;
  fixed.fixed_size = "its order depends on the sizes";
  const Kernel* table[] = {&fixed};
  const Plan row = make_plan(problem_, {}, table);
  expect_refused<Unsupported>({"cannot be resized", "the row fake", "its order depends"},
                              [&] { resized(row, 1, 3, 3); });
  expect_refused<Unsupported>({"its order depends"},
                              [&] { (void)workspace_bytes_upto(row, 1, 3, 3); });
  for (const int which : {0, 1, 2}) {
    ProblemDesc d = full_desc();
    (which == 0   ? d.input_strides
     : which == 1 ? d.output_strides
                  : d.residual_strides) = dense_strides(d.layout, {1, 6, 6, 8});
    const Plan strided = make_plan(Problem(d), {}, kTable);
    expect_refused<Unsupported>({"strides of their own"}, [&] { resized(strided, 1, 3, 3); });
  }
  const Plan capped = plan({.workspace_limit = 256});
  EXPECT_NO_THROW(resized(capped, 1, 3, 3));
  expect_refused<Unsupported>({"bytes of workspace, the limit is 256"},
                              [&] { resized(capped, 9, 9, 9); });
  fake_.current = 1;
  expect_refused<DeviceError>({"device 1 is current"}, [&] {
    resized(plan({.device_model = "l4"}), 1, 3, 3);
    resized(capped, 1, 3, 3);
  });
}

TEST_F(RunCuda, ResizedRefusesSizesThatNoProblemHas) {
  const Plan made = plan();
  const int64_t huge = INT64_MAX / 2;
  expect_refused<InvalidProblem>({"h = -1"}, [&] { resized(made, 1, -1, 3); });
  expect_refused<InvalidProblem>({"w = "}, [&] { resized(made, 1, 3, INT64_MAX); });
  expect_refused<InvalidProblem>({}, [&] { resized(made, 1, huge, huge); });
  expect_refused<InvalidProblem>({}, [&] { resized(made, -2, 3, 3); });
  ProblemDesc cut = full_desc();
  cut.h = {.in = 8, .kernel = 1, .stride = 1, .pad_begin = 3, .out = 2};
  const Plan padded = make_plan(Problem(cut), {}, kTable);
  EXPECT_EQ(resized(padded, 1, 6, 3).problem().desc().h.out, 0);
  expect_refused<InvalidProblem>({"h = 5", "cut by the plan's pads"},
                                 [&] { resized(padded, 1, 5, 3); });
}

// Over every row of the table that can be resized, and the fake one, whose workspace grows.
TEST_F(RunCuda, NoSmallerSizeNeedsMoreWorkspaceOrOtherFilters) {
  std::mt19937_64 random(21);
  std::vector<const Kernel*> rows = {&rows::kFake};
  for (const Kernel* kernel : kernel_table()) {
    if (kernel->fixed_size == nullptr) rows.push_back(kernel);
  }
  ASSERT_GE(rows.size(), 2U);
  int checked = 0;
  while (checked < enumeration(20000, 2000)) {
    const Problem problem(random_desc(random, {.strided_tensors = false}));
    const Kernel* row = rows[random() % rows.size()];
    const Kernel* table[] = {row};
    const DeviceFacts device = row->device == DeviceKind::cuda ? device_model("h200") : cpu_facts();
    if (!row->declines(problem, {}, device).empty()) continue;
    const Plan made = make_plan(problem, {.prepacked_filters = random() % 2 == 0}, device, table);
    const auto upto = [&](int64_t most) {
      return static_cast<int64_t>(random() % static_cast<uint64_t>(most + 1));
    };
    const int64_t n = upto(9), h = upto(40), w = upto(40);
    try {
      const std::size_t bound = workspace_bytes_upto(made, n, h, w);
      const Plan smaller = resized(made, upto(n), upto(h), upto(w));
      EXPECT_LE(smaller.workspace_bytes(), bound) << problem.key() << " by " << row->name;
      EXPECT_EQ(smaller.packed_filter_bytes(), made.packed_filter_bytes());
      ++checked;
    } catch (const InvalidProblem&) {  // sizes whose output would be less than nothing
    } catch (const Unsupported& e) {   // a row that takes no empty input
      EXPECT_NE(std::string(e.what()).find("the input is empty"), std::string::npos) << e.what();
    }
  }
}

}  // namespace
}  // namespace tconv::test
