// SPDX-License-Identifier: Apache-2.0
// ceilings.cpp: see ceilings.h. Not yet run on a GPU.
#include "bench/gpu/ceilings.h"

#include "bench/gpu/check.h"
#include "bench/gpu/timed_plan.h"
#include "src/host/problem/errors.h"

namespace tconv::bench {
namespace {

using host::Copy;
using host::DeviceMemory;
using host::DType;

/// A matrix product as a transposed convolution of 1x1: pixels times channels.
host::Problem product(DType type, int64_t m, int64_t n, int64_t k) {
  host::ProblemDesc d;
  d.dtype = d.output_dtype = d.bias_dtype = type;
  d.in_c = k, d.out_c = n;
  d.h.in = d.h.out = m;
  return host::Problem(d);
}

/// Device copies of `bytes`, read and written once each launch.
struct CopyWork {
  std::size_t bytes;
  DeviceMemory from{bytes}, to{bytes};
  std::unique_ptr<LaunchGraph> graph;
  int64_t launches;

  CopyWork(Launcher& launcher, std::size_t size, int64_t count) : bytes(size), launches(count) {
    host::gpu().fill(from.data(), 0x3a, bytes, launcher.stream());
    graph = launcher.capture([&] {
      for (int64_t i = 0; i < launches; ++i) {
        host::gpu().copy(to.data(), from.data(), bytes, Copy::on_device, launcher.stream());
      }
    });
  }
};

/// m = n = k.
struct ProductWork {
  host::Problem problem;
  HostData data{problem, 1};
  RotatingBuffers buffers;
  std::unique_ptr<LaunchGraph> graph;
  int64_t launches;

  ProductWork(Launcher& launcher, const Cublas& cublas, DType type, bool tf32, int size,
              int64_t count)
      : problem(product(type, size, size, size)),
        buffers(problem, data, 1, launcher.stream()),
        launches(count) {
    const host::Tensors t = buffers.tensors(0, false);
    buffers.poison(0, launcher.stream());
    const auto multiply = [&] {
      cublas.multiply(type, tf32, size, size, size, t.input, t.filters, t.output,
                      launcher.stream());
    };
    multiply();  // loads its kernel, which cannot be done while a stream is captured
    host::gpu().synchronise(launcher.stream());
    graph = launcher.capture([&] {
      for (int64_t i = 0; i < launches; ++i) multiply();
    });
  }
};

/// Where cuBLAS is missing: a product by a kernel of ours.
struct GatherWork {
  host::Problem problem = product(DType::f32, 4096, 512, 512);
  HostData data{problem, 1};
  RotatingBuffers buffers;
  TimedPlan plan;

  explicit GatherWork(Launcher& launcher)
      : buffers(problem, data, 1, launcher.stream()),
        plan(launcher, buffers,
             make_plan(problem, {.device = host::DeviceKind::cuda, .kernels = {"gather"}})) {
    plan.capture(false);
  }
};

Json ceiling_line(const char* what, double us, const Interval& interval) {
  return {{"kind", "ceiling"},
          {"id", std::string("ceiling|") + what},
          {"unit", "ceilings"},
          {"what", what},
          {"us", us},
          {"us_low", interval.low},
          {"us_high", interval.high}};
}

Json timed_line(Launcher& launcher, const char* what, LaunchGraph& graph, int64_t launches) {
  const Contender one[] = {{what, [&] { return sample_us(launcher, graph, launches); }}};
  const Rounds rounds = run_rounds(one, {}, {});
  return ceiling_line(what, median(rounds.us[0]), bootstrap_median(rounds.us[0], 1));
}

void measure_copy(Launcher& launcher, ResultLines& results) {
  constexpr std::size_t kBytes = std::size_t{1} << 30;
  const CopyWork copy(launcher, kBytes, 4);
  Json line = timed_line(launcher, "copy 1 GiB", *copy.graph, copy.launches);
  line["bytes_per_us"] = 2 * static_cast<double>(kBytes) / line["us"].get<double>();
  results.append(line);
}

struct ProductKind {
  const char* what;
  DType type;
  bool tf32;
};
constexpr ProductKind kProducts[] = {{"product f16", DType::f16, false},
                                     {"product f32", DType::f32, false},
                                     {"product bf16", DType::bf16, false},
                                     {"product tf32", DType::f32, true}};

void measure_product(Launcher& launcher, const Cublas& cublas, const Compare& compare,
                     const ProductKind& kind, ResultLines& results) {
  constexpr int kSize = 8192;
  if (!cublas.absence().empty()) {
    Json line = {{"kind", "not run"}, {"unit", "ceilings"}, {"what", kind.what}};
    line["reason"] = cublas.absence();
    results.append(line);
    return;
  }
  const ProductWork work(launcher, cublas, kind.type, kind.tf32, kSize, 1);
  const OutputCheck check(work.problem, work.data, compare, launcher.stream());
  const Verdict verdict = check.check(work.buffers.tensors(0, false).output, kind.tf32);
  Json line = {{"kind", "mismatch"}, {"unit", "ceilings"}, {"what", kind.what}};
  if (!verdict.right) {
    line["reason"] = verdict.words;
    results.append(line);
    return;
  }
  line = timed_line(launcher, kind.what, *work.graph, work.launches);
  line["macs_per_us"] = work.problem.useful_macs() / line["us"].get<double>();
  line["tflops"] = 2e-6 * line["macs_per_us"].get<double>();
  line["verified"] = true;
  results.append(line);
}

}  // namespace

struct Anchors::Work {
  Launcher& launcher;
  CopyWork copy;
  std::unique_ptr<ProductWork> product;
  std::unique_ptr<GatherWork> gather;
};

Anchors::Anchors(Launcher& launcher, const Cublas& cublas)
    // Both a few hundred microseconds on an H200, and beyond its L2.
    : work_(new Work{launcher, {launcher, std::size_t{256} << 20, 2}, nullptr, nullptr}) {
  if (cublas.absence().empty()) {
    work_->product = std::make_unique<ProductWork>(launcher, cublas, DType::f16, false, 4096, 2);
  } else {
    work_->gather = std::make_unique<GatherWork>(launcher);
  }
}

Anchors::~Anchors() = default;

std::vector<Contender> Anchors::contenders() const {
  Work* work = work_.get();
  std::vector<Contender> anchors;
  anchors.push_back({"anchor copy", [work] {
                       return sample_us(work->launcher, *work->copy.graph, work->copy.launches);
                     }});
  if (work->product != nullptr) {
    anchors.push_back({"anchor product", [work] {
                         return sample_us(work->launcher, *work->product->graph,
                                          work->product->launches);
                       }});
  } else {
    anchors.push_back({"anchor gather", [work] { return work->gather->plan.sample(); }});
  }
  return anchors;
}

void measure_ceilings(Launcher& launcher, const Cublas& cublas, const Compare& compare,
                      ResultLines& results) {
  if (!results.has("ceiling|copy 1 GiB")) measure_copy(launcher, results);
  for (const ProductKind& kind : kProducts) {
    if (results.has(std::string("ceiling|") + kind.what)) continue;
    measure_product(launcher, cublas, compare, kind, results);
  }
  results.append({{"kind", "end"}, {"unit", "ceilings"}});
}

Ceilings read_ceilings(const ResultLines& results) {
  Ceilings ceilings;
  for (const Json& line : results.lines()) {
    const std::string what = line.value("what", "");
    if (what == "copy 1 GiB") ceilings.bytes_per_us = line.value("bytes_per_us", 0.0);
    if (what == "product f16") ceilings.f16_macs_per_us = line.value("macs_per_us", 0.0);
    if (what == "product f32") ceilings.f32_macs_per_us = line.value("macs_per_us", 0.0);
  }
  return ceilings;
}

}  // namespace tconv::bench
