// SPDX-License-Identifier: Apache-2.0
// launch.cpp: one launch from the seam to the report.
#include "tests/emulator/launch.h"

#include <new>
#include <stdexcept>
#include <unordered_map>

#include "tests/emulator/device_side.h"
#include "tests/emulator/fibers.h"
#include "tests/emulator/findings.h"
#include "tests/emulator/memory.h"
#include "tests/emulator/requests.h"

namespace tconv::emulator {
namespace {

std::unordered_map<const void*, Invoke>& known_kernels() {
  static std::unordered_map<const void*, Invoke> known;
  return known;
}

Config current_config;
std::vector<Report> all_reports;

/// Sets what accesses look at; restores that nothing does.
class Watching {
 public:
  explicit Watching(const Config& config, bool learning) {
    hot.needed_to_read = static_cast<uint8_t>(kAllocated | (config.check_memory ? kWritten : 0));
    hot.races = config.check_races;
    hot.counting = config.count || learning;
    hot.learning = learning;
  }
  Watching(const Watching&) = delete;
  Watching& operator=(const Watching&) = delete;
  ~Watching() { hot.races = hot.counting = hot.learning = hot.in_kernel = false; }
};

struct Run {
  BlockShape shape;
  std::size_t shared_bytes;
  std::function<void()> body;

  /// False if it was abandoned.
  bool operator()(Report& report, bool learning) const {
    forget_sites();
    begin_findings(report);
    const Watching watching(current_config, learning);
    if (hot.counting) begin_counting();
    const bool done = run_blocks(shape, shared_bytes, current_config.seed, body, report);
    if (current_config.count && !learning) end_counting(report);
    end_findings();
    report.sites = sites_met();
    return done;
  }
};

/// Lets the counters see all loops of the kernel before they count. False: it was abandoned.
bool learn_loops(const Run& run, Report& report) {
  const std::vector<uint8_t> memory = copy_of_global_memory();
  const bool done = run(report, true);
  restore_global_memory(memory);
  return done;
}

}  // namespace

void know_kernel(const void* kernel, Invoke invoke) { known_kernels()[kernel] = invoke; }

void configure(Config config) { current_config = std::move(config); }
const Config& config() { return current_config; }
const std::vector<Report>& reports() { return all_reports; }
void forget_reports() { all_reports.clear(); }

const Report& run(const host::Launch& launch) {
  const auto known = known_kernels().find(launch.kernel);
  if (known == known_kernels().end()) throw std::invalid_argument("launch: not a kernel");
  prepare_memory();
  const Run run_once{.shape = {{launch.grid[0], launch.grid[1], launch.grid[2]},
                               {launch.block[0], launch.block[1], launch.block[2]}},
                     .shared_bytes = launch.shared_bytes,
                     .body = [&] { known->second(launch.kernel, launch.arguments); }};
  Report report;
  report.kernel = launch.name;
  const bool learned = !current_config.count || learn_loops(run_once, report);
  if (learned) {
    report = Report();
    report.kernel = launch.name;
    run_once(report, false);
  }
  all_reports.push_back(std::move(report));
  return all_reports.back();
}

}  // namespace tconv::emulator
