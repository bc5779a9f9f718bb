// SPDX-License-Identifier: Apache-2.0
// engine_choice.cpp: the first proposal of cuDNN's heuristics that keeps the caller's rules.
#include "src/cuda/cudnn/engine_choice.h"

#include <algorithm>
#include <set>

namespace tconv::host {
namespace {

/// Different reasons in the order in which they were met, with how many configurations share each.
class Reasons {
 public:
  void add(const std::string& reason, int count = 1) {
    const auto same = [&](const Entry& entry) { return entry.reason == reason; };
    const auto found = std::ranges::find_if(entries_, same);
    if (found != entries_.end()) {
      found->count += count;
    } else {
      entries_.push_back({reason, count});
    }
  }
  std::string text() const {
    std::string text;
    for (const Entry& entry : entries_) {
      text += (text.empty() ? "" : "; ") + std::to_string(entry.count) + " " + entry.reason;
    }
    return text;
  }

 private:
  struct Entry {
    std::string reason;
    int count;
  };
  std::vector<Entry> entries_;
};

}  // namespace

std::string name_of(const EngineConfig& config) {
  std::vector<EngineKnob> knobs = config.knobs;
  std::ranges::sort(knobs);
  std::string name = "engine" + std::to_string(config.engine);
  for (const EngineKnob& knob : knobs) {
    name += "_k" + std::to_string(knob.type) + "=" + std::to_string(knob.value);
  }
  return name;
}

std::string notes_of(const EngineConfig& config) {
  constexpr std::pair<PlanNote, const char*> kWords[] = {
      {PlanNote::tensor_core, "tensor cores"},
      {PlanNote::down_converts, "narrows its inputs"},
      {PlanNote::reduced_sums, "sums in less than f32"},
      {PlanNote::transform, "FFT or Winograd"},
      {PlanNote::nondeterministic, "not deterministic"},
      {PlanNote::reorders_filters, "filters in an order of its own"}};
  std::string text;
  for (const auto& [note, words] : kWords) {
    if (std::ranges::find(config.notes, note) == config.notes.end()) continue;
    text += (text.empty() ? "" : ", ") + std::string(words);
  }
  return text;
}

std::string excluded(const EngineConfig& config, const PlanRules& rules) {
  const auto has = [&](PlanNote note) {
    return std::ranges::find(config.notes, note) != config.notes.end();
  };
  if (rules.deterministic && has(PlanNote::nondeterministic)) return "not deterministic";
  if (has(PlanNote::reorders_filters)) return "for filters in an order of cuDNN's own";
  // The bound that results are verified with holds for sums of products in f32 (f64), in any order.
  if (!rules.unbounded_error) {
    if (has(PlanNote::reduced_sums)) return "with sums in less than f32";
    if (has(PlanNote::transform)) return "by FFT or Winograd, whose error has no such bound";
  }
  const bool f32 = rules.dtype == DType::f32;
  // Not with tf32 either: the narrow type may be f16, which overflows at 65504.
  if (f32 && has(PlanNote::down_converts)) return "with inputs converted to a narrower type";
  if (f32 && rules.math != Math::tf32 && has(PlanNote::tensor_core)) {
    return "on tensor cores, which round f32 to TF32 (math is not tf32)";
  }
  return "";
}

PlanChoice choose_plan(std::span<const EngineConfig> configs, const PlanRules& rules,
                       const std::function<PlanBuild(std::size_t)>& build) {
  if (configs.empty()) return {.reason = "cuDNN's heuristics propose no engine"};
  Reasons reasons;
  int refusals = 0;
  std::string first_refusal;   // there may be dozens, and the best configuration's says most
  std::set<std::string> seen;  // the heuristics' lists overlap
  for (std::size_t i = 0; i < configs.size(); ++i) {
    if (!seen.insert(name_of(configs[i])).second) continue;
    const std::string rule = excluded(configs[i], rules);
    if (!rule.empty()) {
      reasons.add(rule);
      continue;
    }
    const PlanBuild built = build(i);
    if (!built.refusal.empty()) {
      if (refusals++ == 0) first_refusal = built.refusal;
    } else if (rules.workspace_limit >= 0 && built.workspace_bytes > rules.workspace_limit) {
      reasons.add("with more than " + std::to_string(rules.workspace_limit) +
                  " bytes of workspace");
    } else {
      return {.index = i, .workspace_bytes = built.workspace_bytes, .reason = {}};
    }
  }
  if (refusals > 0) {
    reasons.add("refused by cuDNN, the first with: " + first_refusal, refusals);
  }
  return {.reason = "of the engine configurations that cuDNN proposes, " + reasons.text()};
}

}  // namespace tconv::host
