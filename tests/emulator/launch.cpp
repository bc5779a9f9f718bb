// SPDX-License-Identifier: Apache-2.0
// launch.cpp: one launch from the seam to the report.
#include "tests/emulator/launch.h"

#include <new>
#include <stdexcept>
#include <unordered_map>

#include "tests/emulator/constants.h"
#include "tests/emulator/device_side.h"
#include "tests/emulator/fibers.h"
#include "tests/emulator/findings.h"
#include "tests/emulator/memory.h"
#include "tests/emulator/requests.h"
#include "tests/emulator/sites.h"

namespace tconv::emulator {
namespace {

std::unordered_map<const void*, KernelType>& known_kernels() {
  static std::unordered_map<const void*, KernelType> known;
  return known;
}

Config current_config;
std::vector<Report> all_reports;

/// Sets what accesses look at; afterwards nothing does.
class Watching {
 public:
  explicit Watching(const Config& config) {
    hot.needed_to_read = eight_times(config.check_memory ? kAllocated | kWritten : kAllocated);
    hot.races = config.check_races;
    hot.counting = config.count;
  }
  Watching(const Watching&) = delete;
  Watching& operator=(const Watching&) = delete;
  ~Watching() { hot.races = hot.counting = hot.in_kernel = false; }
};

struct Run {
  std::string name;
  BlockShape shape;
  std::size_t shared_bytes;
  std::function<void()> body;

  Report operator()() const {
    Report report;
    report.kernel = name;
    forget_sites();
    begin_findings(report);
    const Watching watching(current_config);
    if (hot.counting) begin_counting();
    run_blocks(shape, shared_bytes, current_config.seed, body, report);
    if (hot.counting) end_counting(report);
    end_findings();
    report.sites = sites_met();
    return report;
  }
};

/// Counts only with all loops known: a run that shows a new one is undone and done again.
Report run_counted(const Run& run) {
  const GlobalMemory before = copy_of_global_memory();
  for (;;) {
    Report report = run();
    if (knows_all_loops() || !report.clean()) return report;
    restore_global_memory(before);
  }
}

}  // namespace

void know_kernel(const void* kernel, const KernelType& type) { known_kernels()[kernel] = type; }

void configure(Config config) { current_config = std::move(config); }
const Config& config() { return current_config; }
const std::vector<Report>& reports() { return all_reports; }
void forget_reports() { all_reports.clear(); }

const Report& run(const host::Launch& launch, double useful_multiply_adds) {
  const auto known = known_kernels().find(launch.kernel);
  if (known == known_kernels().end()) throw std::invalid_argument("launch: not a kernel");
  const KernelType& type = known->second;
  prepare_memory();
  const Constants constants(type, launch.arguments);
  const Run run_once{.name = launch.name,
                     .shape = {{launch.grid[0], launch.grid[1], launch.grid[2]},
                               {launch.block[0], launch.block[1], launch.block[2]}},
                     .shared_bytes = launch.shared_bytes,
                     .body = [&] { type.invoke(launch.kernel, launch.arguments); }};
  all_reports.push_back(current_config.count ? run_counted(run_once) : run_once());
  all_reports.back().counters.useful_multiply_adds = useful_multiply_adds;
  return all_reports.back();
}

}  // namespace tconv::emulator
