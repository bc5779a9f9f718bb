// SPDX-License-Identifier: Apache-2.0
// engine_choice.h: which of the engine configurations that cuDNN proposes may be used, and which
// one is. Plain data and plain logic: no header of cuDNN, so that it is tested over made-up lists.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "src/host/plan/kernel_table.h"

namespace tconv::host {

/// What cuDNN says of an engine, as far as it matters here.
enum class PlanNote {
  tensor_core,
  down_converts,  ///< inputs lose bits before they are multiplied
  reduced_sums,   ///< sums in less than the compute type
  transform,      ///< FFT or Winograd
  nondeterministic,
  reorders_filters,  ///< wants filters in an order of cuDNN's own
};

struct EngineKnob {
  int64_t type = 0, value = 0;
  friend auto operator<=>(const EngineKnob&, const EngineKnob&) = default;
};

/// One configuration: an engine and its knobs.
struct EngineConfig {
  int64_t engine = 0;
  std::vector<EngineKnob> knobs;  ///< in any order: cuDNN keeps none
  std::vector<PlanNote> notes;
  int heuristic = 0;  ///< which one proposes it, as they are numbered in library.h
};

/// "tensor cores, not deterministic"; empty without notes.
std::string notes_of(const EngineConfig& config);

/// "engine12_k3=1_k7=0": the same text for the same configuration, whatever the order of its knobs.
std::string name_of(const EngineConfig& config);

struct PlanRules {
  DType dtype = DType::f32;
  Math math = Math::strict;
  bool deterministic = true;
  int64_t workspace_limit = -1;  ///< bytes left for cuDNN; -1: none given
  bool unbounded_error = false;  ///< see Options
};

/// Why the rules exclude `config`, as a predicate ("uses tensor cores, ..."); empty if they admit
/// it.
std::string excluded(const EngineConfig& config, const PlanRules& rules);

/// What became of an attempt to build a configuration.
struct PlanBuild {
  int64_t workspace_bytes = 0;
  std::string refusal;  ///< in cuDNN's words; empty if it was built
};

struct PlanChoice {
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::size_t index = kNone;
  int64_t workspace_bytes = 0;
  std::string reason;  ///< why there is none: every different reason once, with its count
  bool found() const { return index != kNone; }
};

/// The first configuration, in the order given, that the rules admit and that `build` builds within
/// the limit. `build` is called for no other, and never again after a success.
PlanChoice choose_plan(std::span<const EngineConfig> configs, const PlanRules& rules,
                       const std::function<PlanBuild(std::size_t)>& build);

}  // namespace tconv::host
