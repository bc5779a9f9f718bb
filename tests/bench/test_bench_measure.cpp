// SPDX-License-Identifier: Apache-2.0
// test_bench_measure.cpp: a unit of the benchmark from end to end without a GPU: over a fake GPU, a
// made-up libcudnn.so.9 that computes on the CPU, and the reference in the place of gather. Times
// are made up; what is verified, written, resumed and refused is real.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <set>

#include "bench/gpu/measure.h"
#include "src/host/problem/errors.h"
#include "tests/cuda/cudnn/fake_cudnn.h"
#include "tests/support/cuda_on_host/repack_on_host.h"
#include "tests/support/fake_gpu.h"
#include "tests/support/fake_rows.h"

namespace tconv::host {
extern const Kernel cudnn_kernel;
}  // namespace tconv::host

namespace tconv::bench {
namespace {

using namespace tconv::host;
using test::FakeCudnn;
using test::FakeGpu;

FakeCudnn& fake() {
  static auto* const found = [] {
    void* library = dlopen(TCONV_FAKE_CUDNN, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(dlerror());
    return reinterpret_cast<test::FakeCudnnFunction>(dlsym(library, test::kFakeCudnnFunction))();
  }();
  return *found;
}

/// Launches again what it was told to capture.
class LoopLauncher final : public Launcher {
 public:
  explicit LoopLauncher(FakeGpu& gpu) : gpu_(gpu) {}
  Stream stream() const override { return nullptr; }
  void forget_error() override { gpu_.pending.clear(); }
  std::unique_ptr<LaunchGraph> capture(const std::function<void()>& enqueue) override {
    struct Loop final : LaunchGraph {
      std::function<void()> body;
      void launch() override { body(); }
    };
    auto loop = std::make_unique<Loop>();
    loop->body = enqueue;
    return loop;
  }

 private:
  FakeGpu& gpu_;
};

CompareResult compare_on_host(const void* a, const void* b, DType type, int64_t count, Stream) {
  CompareResult result;
  for (int64_t i = 0; i < count; ++i) {
    const double x = load(type, a, i), y = load(type, b, i);
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    if (result.differ++ == 0) result.first = i;
    const double distance = std::fabs(x - y);
    result.distance = std::max(
        result.distance, std::isnan(distance) ? std::numeric_limits<double>::infinity() : distance);
  }
  return result;
}

constexpr const char* kTiles[] = {"element"};
constexpr DType kTypes[] = {DType::f16};
/// The rows `gather`, right and wrong, in the place of the real one.
constinit const Kernel kGather = {.name = "gather",
                                  .device = DeviceKind::cuda,
                                  .tiles = kTiles,
                                  .dtypes = kTypes,
                                  .declines = test::rows::declines,
                                  .consider = test::rows::consider,
                                  .prepare = test::rows::prepare,
                                  .launch = test::rows::launch,
                                  .prepack = test::rows::prepack};

/// 2 images of 4x4 pixels: the output has 2 * 8 * 8 * 12 elements, more than are sampled.
Layer small_layer(bool bias) {
  ProblemDesc d;
  d.batch = 2, d.in_c = 5, d.out_c = 12, d.has_bias = bias;
  d.h = d.w = {.in = 4, .kernel = 4, .stride = 2, .dilation = 1, .pad_begin = 1, .out = 8};
  d.dtype = d.output_dtype = d.bias_dtype = DType::f16;
  return {"net / layer", "infer", "class", Problem(d)};
}

class Measure : public testing::Test {
 protected:
  Measure() : path_(testing::TempDir() + "measure_" + std::to_string(getpid()) + ".jsonl") {
    std::filesystem::remove(path_);
    fake().engines = {{.index = 1}, {.index = 2, .knobs = {{3, 4}}}, {.index = 3}, {.index = 4}};
    fake().b_engines = {{.index = 9}};
    fake().fails_to_execute = false;
    gpu_.event_us = 900;
    gpu_.present[0].l2_bytes = 4000;
    gpu_.on_launch = [this](const Launch& launch) {
      if (std::string(launch.name) == "fake") return test::rows::compute(launch);
      // The first of the library's own kernels that is launched packs filters.
      if (repack_ == nullptr) repack_ = launch.kernel;
      test::run_repack_made_by_nvcc(launch, DType::f16, launch.kernel != repack_);
    };
  }
  ~Measure() override { std::filesystem::remove(path_); }

  UnitResult measure_part(Part part) {
    ResultLines results(path_);
    const Machine machine{.launcher = launcher_,
                          .compare = compare_on_host,
                          .device = gpu_.present[0],
                          .table = table_,
                          .anchors = {{"anchor", [] { return 5.0; }}},
                          .ceilings = {.bytes_per_us = 1e6, .f16_macs_per_us = 1e6},
                          .rounds = {},
                          .has_time = [this](double) { return chunks_left_-- > 0; }};
    return measure(machine, {.part = part, .layer = &layer_, .seconds = 1}, results);
  }
  std::vector<Json> lines(const std::string& field, const std::string& value) const {
    std::vector<Json> found;
    const ResultLines results(path_);
    for (const Json& line : results.lines()) {
      if (line.value(field, "") == value) found.push_back(line);
    }
    return found;
  }
  std::vector<std::string> ids() const {
    std::vector<std::string> found;
    const std::string key = layer_.problem.key() + "|";
    for (const Json& line : lines("kind", "timing")) {
      const std::string id = line["id"];
      EXPECT_EQ(id.substr(0, key.size()), key);
      found.push_back(id.substr(key.size()));
    }
    return found;
  }

  FakeGpu gpu_;
  LoopLauncher launcher_{gpu_};
  const void* repack_ = nullptr;
  const Kernel* table_[2] = {&kGather, &cudnn_kernel};
  Layer layer_ = small_layer(false);
  int chunks_left_ = 100;
  std::string path_;
};

TEST_F(Measure, TimesGatherAndTheFirstThreeProposals) {
  const UnitResult result = measure_part(Part::first);
  EXPECT_TRUE(result.complete);
  EXPECT_EQ(result.mismatches, 0);
  EXPECT_EQ(ids(), (std::vector<std::string>{"gather|element|cold", "gather|element|warm",
                                             "cudnn|engine1|cold", "cudnn|engine2_k3=4|cold",
                                             "cudnn|engine3|cold", "cudnn|engine1|warm",
                                             "cudnn|engine2_k3=4|warm", "cudnn|engine3|warm"}));
  for (const Json& line : lines("kind", "timing")) {
    EXPECT_EQ(line["status"], "timed") << line;
    EXPECT_EQ(line["verified"], true) << line;
    EXPECT_EQ(line["sampled"], OutputCheck::kSample);
    EXPECT_EQ(line["rounds"], 9);
    EXPECT_EQ(line["suite_row"], "net / layer");
    EXPECT_GT(line["useful_macs"].get<double>(), 0);
    EXPECT_GT(line["least_bytes"].get<double>(), 0);
    const bool cold = line["state"] == "cold";
    if (cold) {
      EXPECT_GT(line["footprint_bytes"].get<int64_t>(), 3 * gpu_.present[0].l2_bytes);
    }
    // A sample takes 900 us, whatever is in it.
    EXPECT_DOUBLE_EQ(line["us"].get<double>(), 900 / line["launches"].get<double>());
    EXPECT_EQ(line["launches"].get<int64_t>() % line["sets"].get<int64_t>(), 0);
    EXPECT_NEAR(line["roofline_share"].get<double>(),
                line["roofline_us"].get<double>() / line["us"].get<double>(), 1e-12);
    EXPECT_EQ(line.contains("gather_over_this"), line["row"] == "cudnn");
  }
  EXPECT_EQ(lines("kind", "end").size(), 1u);
  EXPECT_TRUE(lines("kind", "proposals").empty());
  EXPECT_FALSE(gpu_.leaks());
}

TEST_F(Measure, GoesOnWhereItWasCutOff) {
  for (int64_t i = 10; i < 17; ++i) fake().engines.push_back({.index = i});
  chunks_left_ = 0;  // the first six have time always
  EXPECT_FALSE(measure_part(Part::plans).complete);
  EXPECT_EQ(lines("row", "cudnn").size(), 12u);
  EXPECT_TRUE(lines("kind", "end").empty());
  chunks_left_ = 100;
  EXPECT_TRUE(measure_part(Part::plans).complete);
  const std::vector<std::string> all = ids();
  EXPECT_EQ(all.size(), 2u * (1 + 11 + 1));
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), all.size());
  ASSERT_EQ(lines("kind", "proposals").size(), 1u);
  EXPECT_EQ(lines("kind", "proposals")[0]["list"].size(), 12u);
  EXPECT_EQ(lines("kind", "proposals")[0]["list"][11]["heuristic"], "B");
}

TEST_F(Measure, AsksForBothWaysToAddABias) {
  layer_ = small_layer(true);
  EXPECT_EQ(measure_part(Part::first).mismatches, 0);
  EXPECT_EQ(lines("plan", "engine1").size(), 2u);
  EXPECT_EQ(lines("plan", "engine1+epilogue").size(), 2u);
  EXPECT_EQ(lines("row", "cudnn").size(), 12u);
}

TEST_F(Measure, FindsAnElementThatIsNotWritten) {
  // One of 1536: the sample need not have it, the comparison with gather does.
  for (const int64_t skipped : {int64_t{0}, int64_t{700}, int64_t{1535}}) {
    std::filesystem::remove(path_);
    fake().engines[1].skips = skipped;
    EXPECT_EQ(measure_part(Part::first).mismatches, 1) << skipped;
    ASSERT_EQ(lines("status", "mismatch").size(), 1u);
    const Json line = lines("status", "mismatch")[0];
    EXPECT_EQ(line["plan"], "engine2_k3=4");
    EXPECT_EQ(line["verified"], false);
    EXPECT_EQ(lines("status", "timed").size(), 6u) << "the others are timed";
  }
}

TEST_F(Measure, LooksAgainAfterTiming) {
  fake().engines = {{.index = 1}, {.index = 2, .wrong_after = 20}};
  EXPECT_EQ(measure_part(Part::first).mismatches, 1);
  ASSERT_EQ(lines("status", "mismatch").size(), 1u);
  EXPECT_EQ(lines("plan", "engine2").size(), 1u);
  EXPECT_EQ(lines("status", "mismatch")[0]["plan"], "engine2");
  EXPECT_EQ(lines("status", "mismatch")[0]["reason"].get<std::string>().find("after it was timed"),
            0u);
  EXPECT_EQ(lines("plan", "engine1").size(), 2u);
}

TEST_F(Measure, TimesWhatIsSlowOnceAndApart) {
  gpu_.event_us = 1e6;  // of any sample
  EXPECT_TRUE(measure_part(Part::first).complete);
  EXPECT_EQ(ids(), (std::vector<std::string>{"gather|element", "cudnn|engine1",
                                             "cudnn|engine2_k3=4", "cudnn|engine3"}));
  EXPECT_EQ(lines("status", "timed")[0]["rounds"], 3);
  EXPECT_TRUE(measure_part(Part::plans).complete);
  EXPECT_EQ(lines("status", "timed").size(), 6u) << "engines 4 and 9 were left";
}

TEST_F(Measure, TimesEnginesWithoutABoundAndSaysSo) {
  constexpr int kFft = 3;
  fake().engines = {{.index = 5, .numerical_notes = {kFft}}};
  EXPECT_EQ(measure_part(Part::first).mismatches, 0);
  ASSERT_EQ(lines("plan", "engine5").size(), 2u);
  EXPECT_EQ(lines("plan", "engine5")[0]["bound"], "none derived: 2 % of the sum of magnitudes");
  EXPECT_EQ(lines("plan", "engine5")[0]["notes"], "FFT or Winograd");
  EXPECT_EQ(lines("row", "gather")[0]["bound"], "derived");
}

TEST_F(Measure, WritesWhyARowIsNotRun) {
  fake().engines.clear(), fake().b_engines.clear();
  EXPECT_TRUE(measure_part(Part::first).complete);
  ASSERT_EQ(lines("status", "not run").size(), 1u);
  EXPECT_NE(lines("status", "not run")[0]["reason"].get<std::string>().find("propose"),
            std::string::npos);
  EXPECT_EQ(lines("row", "gather").size(), 2u);
}

TEST_F(Measure, ForgetsWhatALibraryLeftPending) {
  gpu_.pending = "cudaErrorInvalidValue: invalid argument";
  EXPECT_TRUE(measure_part(Part::first).complete);
  EXPECT_EQ(lines("status", "timed").size(), 8u);
}

TEST_F(Measure, OutlivesADeviceErrorThatTheDeviceOutlives) {
  fake().fails_to_execute = true;
  EXPECT_TRUE(measure_part(Part::first).complete);
  EXPECT_EQ(lines("status", "device error").size(), 3u);
  EXPECT_EQ(lines("status", "timed").size(), 2u);
  EXPECT_FALSE(gpu_.leaks());
}

}  // namespace
}  // namespace tconv::bench
