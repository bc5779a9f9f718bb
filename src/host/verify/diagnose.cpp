// SPDX-License-Identifier: Apache-2.0
// diagnose.cpp: which usual mistake explains a wrong result. Every mistake of mistakes.cpp is
// evaluated on a few elements, the wrong ones first, where all but the true one fail at once; what
// is left is compared on as many elements as verification would take.
#include "src/host/verify/diagnose.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "src/host/verify/mistakes.h"
#include "src/host/verify/patterns.h"
#include "src/host/verify/reading.h"

namespace tconv::host {
namespace {

/// The right values at these places, compared; wrong ones first.
std::vector<Probe> probe(const Problem& problem, const Reader& reader,
                         const std::vector<Coordinate>& places) {
  const Reading right = right_reading(problem);
  std::vector<Probe> probes;
  probes.reserve(places.size());
  for (const Coordinate& at : places) {
    const Expected expected = reader.read(right, at);
    const double got = reader.got(at);
    probes.push_back({at, got, !fits(problem.desc(), got, expected)});
  }
  std::ranges::stable_partition(probes, &Probe::wrong);
  return probes;
}

bool is_about_positions(const std::string& name) {
  return name == "padding_side" || name == "dilation_ignored" || name == "hw_swapped" ||
         name == "stride_dilation_swapped";
}

/// True if the reading gives the result at all probes. One that moves products must have products
/// somewhere: an output that was left zero is not a matter of padding.
bool explains(const Hypothesis& hypothesis, const Reader& reader,
              const std::vector<Probe>& probes) {
  bool shown = !is_about_positions(hypothesis.name);
  for (const Probe& probe : probes) {
    if (!matches(hypothesis.reading, reader, probe)) return false;
    shown = shown || reader.read(hypothesis.reading, probe.at).exact.terms > 0;
  }
  return shown;
}

// Budgets in multiply-adds, of which a core does about 4e8 a second here: the first look costs each
// of several hundred mistakes a few elements, the second is for the few that are left.
constexpr double kFirstLook = 5e7, kSecondLook = 2e8;
constexpr int64_t kFewest = 64, kMostAtFirst = 512, kMost = 20000;

int64_t affordable(const Problem& problem, double budget, int64_t most) {
  const ProblemDesc& d = problem.desc();
  const double taps = static_cast<double>(d.h.kernel) * static_cast<double>(d.w.kernel);
  const double each = static_cast<double>(problem.longest_sum()) + taps + 1;
  return static_cast<int64_t>(
      std::clamp(budget / each, static_cast<double>(kFewest), static_cast<double>(most)));
}

}  // namespace

Diagnosis diagnose(const Problem& problem, const Tensors& tensors, const VerifyOptions& options) {
  const VerifyReport report = verify(problem, tensors, options);
  if (report.right()) return {.right = true, .mistakes = {}};

  const Reader reader(problem, tensors);
  const auto look = [&](double budget, int64_t most) {
    const int64_t limit = affordable(problem, budget, most);
    std::vector<Coordinate> places = stratified_sample(problem, options.seed, limit);
    // The sample may miss what is wrong; this element is known to be.
    places.insert(places.begin(), {report.n, report.p, report.q, report.k});
    return probe(problem, reader, places);
  };
  const std::vector<Probe> first = look(kFirstLook, kMostAtFirst);
  std::vector<Probe> second;
  Diagnosis diagnosis;
  const auto named = [&](const std::string& name) {
    return std::ranges::find(diagnosis.mistakes, name, &Mistake::name) != diagnosis.mistakes.end();
  };
  const auto add = [&](const Mistake& mistake) {
    if (!named(mistake.name)) diagnosis.mistakes.push_back(mistake);
  };
  for (const Hypothesis& hypothesis :
       usual_mistakes(problem, affordable(problem, kSecondLook, kMost))) {
    if (named(hypothesis.name) || !explains(hypothesis, reader, first)) continue;
    if (second.empty()) second = look(kSecondLook, kMost);
    if (explains(hypothesis, reader, second)) add({hypothesis.name, hypothesis.sentence});
  }
  // What a small sample does not contradict is asked of the large one.
  if (!patterns_in(reader, first).empty()) {
    if (second.empty()) second = look(kSecondLook, kMost);
    std::ranges::for_each(patterns_in(reader, second), add);
  }
  return diagnosis;
}

std::vector<std::string> known_mistakes() {
  return {"padding_side",
          "dilation_ignored",
          "stride_dilation_swapped",
          "hw_swapped",
          "taps_flipped",
          "channels_swapped",
          "filter_order",
          "layout",
          "group_off",
          "bias_missing",
          "residual_missing",
          "activation_missing",
          "epilogue_missing",
          "activation_order",
          "unreached_outputs",
          "activation_extra",
          "activation_different",
          "channels_lost",
          "arithmetic_tf32",
          "arithmetic_f16",
          "arithmetic_bf16",
          "arithmetic_f32",
          "output_padding_zeros",
          "unwritten",
          "all_zero",
          "all_nan",
          "all_equal",
          "scaled"};
}

std::string describe(const Diagnosis& diagnosis, bool json) {
  if (json) {
    nlohmann::ordered_json mistakes = nlohmann::ordered_json::array();
    for (const auto& [name, sentence] : diagnosis.mistakes) {
      mistakes.push_back({{"name", name}, {"sentence", sentence}});
    }
    return nlohmann::ordered_json{{"right", diagnosis.right}, {"mistakes", mistakes}}.dump();
  }
  if (diagnosis.right) return "The result is right.";
  if (diagnosis.mistakes.empty()) {
    return "The result is wrong, and none of the usual mistakes would have given it.";
  }
  std::string text = "The result is wrong. It is what this mistake gives:";
  if (diagnosis.mistakes.size() > 1) text = "The result is wrong. Each of these mistakes gives it:";
  for (const auto& [name, sentence] : diagnosis.mistakes) {
    text.append("\n  ").append(name).append(": ").append(sentence);
  }
  return text;
}

}  // namespace tconv::host
