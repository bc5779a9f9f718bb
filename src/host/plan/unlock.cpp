// SPDX-License-Identifier: Apache-2.0
// unlock.cpp: see unlock.h.
#include "src/host/plan/unlock.h"

#include <algorithm>

#include "src/host/problem/errors.h"

namespace tconv::host {
namespace {

constexpr double kWorthSaying = 0.95;  // of the plan's own time

struct Change {
  const char* option;
  const char* words;
  bool (*applies)(const Plan& plan);
  void (*apply)(Options& options);
};

bool multiplies_f32_on_a_gpu(const Plan& plan) {
  return plan.device().kind == DeviceKind::cuda && plan.problem().desc().dtype == DType::f32;
}

// Where two give the same time, the first: results stay the same as long as they can.
constexpr Change kChanges[] = {
    {"prepacked_filters", "with prepacked filters",
     [](const Plan& p) { return !p.options().prepacked_filters; },
     [](Options& o) { o.prepacked_filters = true; }},
    {"workspace_limit", "without a limit of the workspace",
     [](const Plan& p) { return p.options().workspace_limit >= 0; },
     [](Options& o) { o.workspace_limit = -1; }},
    {"allow_nondeterministic", "with nondeterministic rows",
     [](const Plan& p) { return p.options().deterministic; },
     [](Options& o) { o.deterministic = false; }},
    {"math", "with math 3xtf32",
     [](const Plan& p) { return multiplies_f32_on_a_gpu(p) && p.options().math == Math::strict; },
     [](Options& o) { o.math = Math::tf32x3; }},
    {"math", "with math tf32",
     [](const Plan& p) { return multiplies_f32_on_a_gpu(p) && p.options().math != Math::tf32; },
     [](Options& o) { o.math = Math::tf32; }}};

/// The families of the plan's device, as its candidates list them.
std::vector<const Kernel*> families_of(const Plan& plan) {
  std::vector<const Kernel*> families;
  for (const Candidate& candidate : plan.candidates()) {
    if (families.empty() || families.back() != candidate.kernel) {
      families.push_back(candidate.kernel);
    }
  }
  return families;
}

/// Whether some family promises less than `us`: asks nothing of a vendor's library.
bool promises_less(const Plan& plan, const Options& options, const std::vector<const Kernel*>& all,
                   double us) {
  return std::ranges::any_of(all, [&](const Kernel* kernel) {
    if (!kernel->declines(plan.problem(), options, plan.device()).empty()) return false;
    for (int tile = 0; tile < static_cast<int>(kernel->tiles.size()); ++tile) {
      const Considered made = kernel->consider(plan.problem(), tile, options, plan.device());
      if (made.reason.empty() && made.estimate_us > 0 && made.estimate_us < us) return true;
    }
    return false;
  });
}

}  // namespace

std::optional<Unlocked> unlocked_by_one_option(const Plan& plan) {
  if (plan.estimate_us() == 0 || !plan.resized_from().empty()) return std::nullopt;
  const std::vector<const Kernel*> families = families_of(plan);
  std::optional<Unlocked> best;
  double bar = plan.estimate_us() * kWorthSaying;
  for (const Change& change : kChanges) {
    if (!change.applies(plan)) continue;
    Options options = plan.options();
    change.apply(options);
    std::erase_if(options.kernels, [&](const std::string& name) {  // of other devices
      return std::ranges::none_of(families, [&](const Kernel* k) { return name == k->name; });
    });
    if (!promises_less(plan, options, families, bar)) continue;
    try {
      const Plan other = make_plan(plan.problem(), options, plan.device(), families);
      if (other.estimate_us() == 0 || other.estimate_us() >= bar) continue;
      bar = other.estimate_us();
      best = {change.option, change.words, other.kernel().name, other.tile(), bar};
    } catch (const Unsupported&) {  // then it unlocks nothing
    } catch (const DeviceError&) {
    }
  }
  return best;
}

}  // namespace tconv::host
