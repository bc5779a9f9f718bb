// SPDX-License-Identifier: Apache-2.0
// plan.cpp: the planner walks the table, cheapest estimate first, until a family can be prepared.
#include "src/host/plan/plan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "src/host/device/device_models.h"
#include "src/host/device/gpu.h"
#include "src/host/plan/environment.h"
#include "src/host/plan/reasons.h"
#include "src/host/problem/errors.h"

namespace tconv::host {
namespace {

/// A family for another device is no candidate: nobody asked for it.
std::vector<const Kernel*> families_of(std::span<const Kernel* const> table, DeviceKind device) {
  std::vector<const Kernel*> families;
  std::ranges::copy_if(table, std::back_inserter(families),
                       [&](const Kernel* kernel) { return kernel->device == device; });
  return families;
}

bool proposes(const Kernel& kernel, const std::string& tile) {
  return kernel.proposed_tiles != nullptr && tile.starts_with(kernel.proposed_tiles);
}

/// A misspelt family or tile would otherwise read "no kernel takes this".
void check_names(const Options& options, std::span<const Kernel* const> table) {
  std::string kernels, tiles;
  for (const Kernel* kernel : table) {
    kernels += std::string(kernels.empty() ? "" : ", ") + kernel->name;
    for (const char* tile : kernel->tiles) tiles += std::string(tiles.empty() ? "" : ", ") + tile;
    if (kernel->proposals != nullptr) tiles += std::string(", ") + kernel->proposed_tiles + "...";
  }
  for (const std::string& name : options.kernels) {
    const auto same = [&](const Kernel* kernel) { return name == kernel->name; };
    if (std::ranges::none_of(table, same)) refuse("kernels", "'" + name + "'", "among " + kernels);
  }
  const auto has_tile = [&](const Kernel* kernel) {
    return proposes(*kernel, options.tile) ||
           std::ranges::any_of(kernel->tiles, [&](const char* t) { return options.tile == t; });
  };
  if (!options.tile.empty() && std::ranges::none_of(table, has_tile)) {
    refuse("tile", "'" + options.tile + "'", "among " + tiles);
  }
}

/// Why `options` exclude this tile, before anything is asked of the family.
std::string excluded(const Kernel& kernel, int tile, const Options& options) {
  const auto& allowed = options.kernels;
  if (!allowed.empty() && std::ranges::find(allowed, kernel.name) == allowed.end()) {
    return "not among the allowed kernels";
  }
  if (!options.tile.empty() && options.tile != kernel.tiles[static_cast<std::size_t>(tile)] &&
      !proposes(kernel, options.tile)) {
    return "not the tile asked for";
  }
  return "";
}

/// What is no time ranks last: NaN would have no place in an order at all.
double ranked(double us) {
  return std::isfinite(us) && us >= 0 ? us : std::numeric_limits<double>::infinity();
}

std::vector<Candidate> make_candidates(const Problem& problem, const Options& options,
                                       const DeviceFacts& device,
                                       std::span<const Kernel* const> families) {
  std::vector<Candidate> candidates;
  for (const Kernel* kernel : families) {
    const std::string declined =
        device.unusable.empty() ? kernel->declines(problem, options, device) : device.unusable;
    for (int tile = 0; tile < static_cast<int>(kernel->tiles.size()); ++tile) {
      Candidate candidate{
          .kernel = kernel, .tile = tile, .reason = excluded(*kernel, tile, options)};
      Considered made = {.reason = declined};
      if (declined.empty()) made = kernel->consider(problem, tile, options, device);
      if (made.reason.empty()) candidate.estimate_us = ranked(made.estimate_us);
      if (candidate.reason.empty()) candidate.reason = std::move(made.reason);
      candidates.push_back(std::move(candidate));
    }
  }
  return candidates;
}

struct DeviceChoice {
  DeviceFacts facts;
  std::string note;              ///< see Plan::device_note
  bool passes_over_gpu = false;  ///< see Plan::passes_over_gpu
};

/// True if somebody named families and none of them is a GPU's: then no GPU is asked for.
bool only_cpu_families(const Options& options, std::span<const Kernel* const> table) {
  return !options.kernels.empty() && std::ranges::none_of(table, [&](const Kernel* kernel) {
    return kernel->device == DeviceKind::cuda &&
           std::ranges::find(options.kernels, kernel->name) != options.kernels.end();
  });
}

DeviceChoice choose_device(const Options& options, std::span<const Kernel* const> table) {
  if (!options.device_model.empty()) {
    if (options.device == DeviceKind::cpu) {
      refuse("device_model", "'" + options.device_model + "'", "absent with device cpu");
    }
    return {device_model(options.device_model), ""};
  }
  const bool automatic = options.device == DeviceKind::automatic;
  if (options.device == DeviceKind::cpu || (automatic && only_cpu_families(options, table))) {
    return {cpu_facts(), ""};
  }
  if (automatic) {
    if (std::string absence = cuda_absence(); !absence.empty()) {
      return {cpu_facts(), absence, gpu().seems_here()};
    }
  }
  DeviceFacts facts = cuda_facts();
  if (facts.unusable.empty()) return {std::move(facts), ""};
  if (automatic) return {cpu_facts(), facts.name + ": " + facts.unusable, true};
  throw Unsupported("no device cuda: " + facts.name + ": " + facts.unusable);
}

std::string workspace_reason(const KernelState& state, const Options& options) {
  const auto bytes = static_cast<int64_t>(state.workspace_bytes);
  if (options.workspace_limit < 0 || bytes <= options.workspace_limit) return "";
  return "needs " + std::to_string(bytes) + " bytes of workspace, the limit is " +
         std::to_string(options.workspace_limit);
}

/// Prepares `candidate`; null, with the reason filled in, if that fails.
std::shared_ptr<const KernelState> try_prepare(Candidate& candidate, const Problem& problem,
                                               const Options& options, const DeviceFacts& device) {
  try {
    auto state = candidate.kernel->prepare(problem, candidate.tile, options, device);
    candidate.reason = workspace_reason(*state, options);
    return candidate.reason.empty() ? state : nullptr;
  } catch (const Unsupported& declined) {
    candidate.reason = declined.what();
    return nullptr;
  } catch (const DeviceError& error) {
    candidate.reason = error.what();
    candidate.failed = true;
    return nullptr;
  }
}

[[noreturn]] void throw_reasons(const Problem& problem, const std::vector<Candidate>& candidates,
                                const DeviceFacts& device) {
  std::string message = "no kernel for " + problem.key() + " on " + device.name;
  for (const ReasonGroup& group : reason_groups(candidates)) {
    message += "\n  " + std::string(group.kernel->name) + ": " + group.reason;
  }
  if (candidates.empty())
    message += ": " + std::string("this build of tconv has no rows for ") + name_of(device.kind);
  if (std::ranges::any_of(candidates, &Candidate::failed)) throw DeviceError(message);
  throw Unsupported(message);
}

}  // namespace

Plan make_plan(const Problem& problem, const Options& options, const DeviceFacts& device,
               std::span<const Kernel* const> table) {
  environment();  // read before the first run, which must not do first-use work
  check_names(options, table);
  Plan plan(problem, options);
  plan.device_ = device;
  plan.candidates_ = make_candidates(problem, options, device, families_of(table, device.kind));

  std::vector<std::size_t> order(plan.candidates_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  // Stable: where estimates tie, the order of the table decides.
  std::ranges::stable_sort(order, {},
                           [&](std::size_t i) { return plan.candidates_[i].estimate_us; });
  for (const std::size_t i : order) {
    Candidate& candidate = plan.candidates_[i];
    if (!candidate.reason.empty()) continue;
    if (plan.kernel_ != nullptr) {
      candidate.reason = "slower by estimate";
      continue;
    }
    plan.state_ = try_prepare(candidate, problem, options, device);
    if (plan.state_ == nullptr) continue;
    plan.kernel_ = candidate.kernel;
    plan.tile_ = candidate.tile;
    plan.estimate_us_ = candidate.estimate_us;
  }
  if (plan.kernel_ == nullptr) throw_reasons(problem, plan.candidates_, device);
  if (plan.packed_filter_bytes() > 0) {
    plan.packed_header_ = std::make_shared<const PackedHeader>(
        make_packed_header(packed_key(problem, *plan.kernel_, plan.tile_, *plan.state_)));
  }
  return plan;
}

Plan make_plan(const Problem& problem, const Options& options,
               std::span<const Kernel* const> table) {
  const auto [device, note, passes_over_gpu] = choose_device(options, table);
  Plan plan = make_plan(problem, options, device, table);
  plan.device_note_ = note;
  plan.passes_over_gpu_ = passes_over_gpu;
  return plan;
}

}  // namespace tconv::host
