// SPDX-License-Identifier: Apache-2.0
// bench_gpu.cpp: the benchmark on a GPU: every layer of the suite `core`, f16 and f32, NHWC and
// NCHW, small and large batches, by our rows and by what cuDNN's heuristics propose; against the
// measured ceilings of the machine. Not yet run on a GPU.
//
// The order is that of worth, results are appended one by one, and a call goes on where the last
// one ended: so it may be cut off at any time.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>

#include "bench/gpu/ceilings.h"
#include "bench/gpu/machine.h"
#include "bench/gpu/measure.h"
#include "bench/gpu/work.h"
#include "src/cuda/runtime/compare.h"
#include "src/host/problem/errors.h"

namespace {

using namespace tconv::bench;
namespace host = tconv::host;

enum Exit { kDone = 0, kMismatch = 1, kUsage = 2, kNoGpu = 3, kDeviceError = 4, kMoreToDo = 75 };

constexpr const char* kHelpEnd = R"(
Appends to FILE one JSON line per measurement and one (kind head) per call; skips what FILE has.
Exit codes: 75 out of time, call again; 0 all is done; 1 all is done, and FILE has verifications that
failed (status mismatch); 3 no GPU; 4 the device failed (its line says on what; the next call goes
on after it); 2 usage or FILE.)";

struct Arguments {
  std::string out, match, part = "all", commit;
  double seconds = 540;
  bool dry_run = false;
};

class Clock {
 public:
  explicit Clock(double budget) : budget_(budget) {}
  double spent() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  double left() const { return budget_ - spent(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double budget_;
};

bool selected(const Arguments& arguments, const Unit& unit) {
  return arguments.part == "all" || arguments.part == kPartNames[static_cast<int>(unit.part)];
}

/// A unit that ended the program twice without a result is not begun again.
bool to_do(const Unit& unit, const ResultLines& results) {
  return !results.ended(unit.id()) && results.vain_begins(unit.id()) < 2;
}

// ---- Without a GPU. -----------------------------------------------------------------------------

/// Prints one line per measurement; returns the seconds.
double print_unit(const Unit& unit) {
  const char* part = kPartNames[static_cast<int>(unit.part)];
  if (unit.layer == nullptr) {
    for (const char* what :
         {"copy 1 GiB", "product f16", "product f32", "product bf16", "product tf32"}) {
      std::printf("%-8s  %-60s  %6.2f s\n", part, what, unit.seconds / 5);
    }
    return unit.seconds;
  }
  const ExpectedTimes times = expected_times(*unit.layer);
  std::printf("%-8s  %s (%s, batch %s): setup, gather's result and its check  %6.2f s\n", part,
              unit.layer->name.c_str(), unit.layer->problem.key().c_str(),
              unit.layer->batch.c_str(), times.setup_s);
  const auto print = [&](const std::string& what, const double(&seconds)[2]) {
    std::printf("%-8s    %-20s cold  %6.2f s\n", part, what.c_str(), seconds[0]);
    std::printf("%-8s    %-20s warm  %6.2f s\n", part, what.c_str(), seconds[1]);
  };
  if (unit.part == Part::first) print("gather", times.gather_s);
  for (int i = 1; i <= expected_proposals(unit); ++i) {
    print("cudnn, proposal " + std::to_string(i), times.plan_s);
  }
  return unit.seconds;
}

int dry_run(const Arguments& arguments, const std::vector<Unit>& work, const ResultLines* results) {
  double seconds[4] = {};
  int done = 0;
  for (const Unit& unit : work) {
    if (!selected(arguments, unit)) continue;
    if (results != nullptr && !to_do(unit, *results)) {
      ++done;
    } else {
      seconds[static_cast<int>(unit.part)] += print_unit(unit);
    }
  }
  double sum = 0;
  for (int part = 0; part < 4; ++part) {
    std::printf("%-8s  %8.1f s, estimated\n", kPartNames[part], seconds[part]);
    sum += seconds[part];
  }
  std::printf("sum       %8.1f s, estimated for an H200; %d units are done\n", sum, done);
  return kDone;
}

// ---- With one. ----------------------------------------------------------------------------------

host::CompareResult compare_dense(const void* a, const void* b, host::DType type, int64_t count,
                                  host::Stream stream) {
  return host::compare_buffers({.a = a, .b = b, .region = host::dense_region(type, count)}, stream);
}

class Bench {
 public:
  Bench(const Arguments& arguments, ResultLines& results)
      : arguments_(arguments), results_(results), clock_(arguments.seconds) {}

  int run(const std::vector<Unit>& all) {
    std::vector<Unit> work;
    for (const Unit& unit : all) {
      // Without ceilings no row has a roofline: they come first, whatever part is asked for.
      const bool needed = selected(arguments_, unit) || unit.part == Part::ceilings;
      if (needed && to_do(unit, results_)) work.push_back(unit);
    }
    give_up(all);
    if (work.empty()) return end();
    Machine machine = make_machine();
    for (const Unit& unit : work) {
      if (!has_time(unit.seconds) || !run_unit(machine, unit)) return kMoreToDo;
    }
    return end();
  }

 private:
  /// A row that is not run says so.
  void give_up(const std::vector<Unit>& all) {
    for (const Unit& unit : all) {
      const std::string id = "given up|" + unit.id();
      if (results_.vain_begins(unit.id()) < 2 || results_.has(id)) continue;
      results_.append({{"kind", "not run"},
                       {"id", id},
                       {"reason", "the program ended twice during it, without a result"}});
    }
  }

  int end() const {
    const auto wrong = [](const Json& line) {
      return line.value("status", "") == "mismatch" || line.value("kind", "") == "mismatch";
    };
    return std::ranges::any_of(results_.lines(), wrong) ? kMismatch : kDone;
  }

  Machine make_machine() {
    host::DeviceFacts device = host::cuda_facts();
    if (!device.unusable.empty()) throw host::Unsupported(device.name + ": " + device.unusable);
    for (const host::Kernel* row : host::kernel_table()) {
      if (row->describe_device != nullptr) row->describe_device(device);
    }
    const std::string commit = arguments_.commit.empty() ? commit_of_folder() : arguments_.commit;
    results_.append(head_line(device, commit));
    launcher_ = cuda_launcher();
    anchors_ = std::make_unique<Anchors>(*launcher_, cublas_);
    return {.launcher = *launcher_,
            .compare = compare_dense,
            .device = device,
            .table = host::kernel_table(),
            .anchors = anchors_->contenders(),
            .ceilings = read_ceilings(results_),
            .rounds = {},
            .has_time = [this](double seconds) { return has_time(seconds); }};
  }

  /// By the estimates as they have proven themselves so far. The first unit always has time.
  bool has_time(double seconds) const {
    return units_ == 0 || seconds * std::max(1.0, slower_) < clock_.left();
  }

  bool run_unit(Machine& machine, const Unit& unit) {
    const double before = clock_.spent();
    bool complete = true;
    if (unit.part == Part::ceilings) {
      results_.append({{"kind", "begin"}, {"unit", unit.id()}});
      measure_ceilings(*launcher_, cublas_, compare_dense, results_);
      machine.ceilings = read_ceilings(results_);
    } else {
      complete = measure(machine, unit, results_).complete;
    }
    ++units_;
    const double spent = clock_.spent() - before;
    spent_ += spent, estimated_ += unit.seconds;
    slower_ = spent_ / estimated_;
    std::printf("%7.1f s  %6.2f s  %s%s\n", clock_.spent(), spent, unit.id().c_str(),
                complete ? "" : ": out of time");
    std::fflush(stdout);
    return complete;
  }

  const Arguments& arguments_;
  ResultLines& results_;
  Clock clock_;
  Cublas cublas_;
  std::unique_ptr<Launcher> launcher_;
  std::unique_ptr<Anchors> anchors_;
  int units_ = 0;
  double spent_ = 0, estimated_ = 0, slower_ = 1;
};

int bench(const Arguments& arguments) {
  const std::vector<Layer> layers = load_layers(arguments.match);
  const std::vector<Unit> work = make_work(layers);
  if (arguments.dry_run) {
    if (arguments.out.empty() || !std::filesystem::exists(arguments.out)) {
      return dry_run(arguments, work, nullptr);
    }
    const ResultLines results(arguments.out);
    return dry_run(arguments, work, &results);
  }
  if (const std::string absence = host::cuda_absence(); !absence.empty()) {
    std::fprintf(stderr, "bench_gpu: no GPU: %s\n", absence.c_str());
    return kNoGpu;
  }
  ResultLines results(arguments.out);
  return Bench(arguments, results).run(work);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Times our rows and cuDNN on the suite core, against the ceilings of this GPU");
  app.footer(kHelpEnd);
  auto* out = app.add_option("--out", arguments.out, "results, as JSON lines")->type_name("FILE");
  app.add_option("--seconds", arguments.seconds, "the time that this call may take")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--match", arguments.match,
                 "only layers whose name has this extended regular "
                 "expression in it");
  app.add_option("--part", arguments.part, "ceilings, first, plans, rest, or all")
      ->capture_default_str()
      ->check(CLI::IsMember({"ceilings", "first", "plans", "rest", "all"}));
  app.add_option("--commit", arguments.commit, "for the head line; the folder's by default");
  app.add_flag("--dry-run", arguments.dry_run, "print what would be measured, with estimates");
  try {
    app.parse(argc, argv);
    if (out->count() == 0 && !arguments.dry_run) throw CLI::RequiredError("--out");
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsage;
  }
  try {
    return bench(arguments);
  } catch (const host::DeviceError& error) {
    std::fprintf(stderr, "bench_gpu: the device failed: %s\n", error.what());
    return kDeviceError;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_gpu: %s\n", error.what());
    return kUsage;
  }
}
