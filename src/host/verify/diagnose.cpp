// SPDX-License-Identifier: Apache-2.0
// diagnose.cpp: which usual mistake explains a wrong result. Every mistake of mistakes.cpp is
// evaluated on a few elements, the wrong ones first, where all but the true one fail at once; what
// is left is compared on as many elements as verification would take.
#include "src/host/verify/diagnose.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "src/host/verify/mistakes.h"

namespace tconv::host {
namespace {

/// What a caller who reads like this expects at one place.
struct Expected {
  ExactElement exact;
  double bound = 0;
};

template <typename T>
ExactElement sum_as_read(const Reading& reading, const Tensors& tensors, const Coordinate& at) {
  const ProblemDesc& d = reading.desc;
  const int64_t per_group_c = d.in_c / d.groups, per_group_k = d.out_c / d.groups;
  const int64_t group = at.k / per_group_k, k = at.k % per_group_k;
  const int64_t input_group = (group + reading.input_rotation) % d.groups;
  const int64_t filter_group = (group + reading.filter_rotation) % d.groups;
  const auto* input = static_cast<const T*>(tensors.input);
  const auto* filters = static_cast<const T*>(tensors.filters);

  ExactElement element;
  for (int64_t r = 0; r < d.h.kernel; ++r) {
    const int64_t h = input_index(d.h, at.p, r);
    if (h == kNoInput) continue;
    for (int64_t s = 0; s < d.w.kernel; ++s) {
      const int64_t w = input_index(d.w, at.q, s);
      if (w == kNoInput) continue;
      for (int64_t c = 0; c < per_group_c; ++c) {
        const double product =
            double{widen(input[reading.input.offset(at.n, h, w, input_group, c)])} *
            widen(filters[reading.filters.offset(r, s, filter_group, k, c)]);
        element.value += product;
        element.magnitude += std::fabs(product);
      }
      element.terms += per_group_c;
    }
  }
  return element;
}

bool fits(const ProblemDesc& d, double got, const Expected& expected) {
  return acceptable(d.output_dtype, got, expected.exact, expected.bound) ||
         explained_by_overflow(d, got, expected.exact);
}

class Reader {
 public:
  Reader(const Problem& problem, const Tensors& tensors) : problem_(problem), tensors_(tensors) {}

  Expected read(const Reading& reading, const Coordinate& place) const {
    const ProblemDesc& d = reading.desc;
    const Coordinate at = reading.written_to ? reading.written_to(place) : place;
    Expected expected;
    ExactElement& exact = expected.exact;
    exact = with_type(d.dtype, [&]<typename T>() { return sum_as_read<T>(reading, tensors_, at); });
    const auto add = [&](double term) {
      exact.value += term;
      exact.magnitude += std::fabs(term);
    };
    const double bias = d.has_bias ? load(d.bias_dtype, tensors_.bias, at.k) : 0;
    const double residual = residual_at(d, at);
    if (reading.bias == Stage::before_activation) add(bias);
    if (reading.residual == Stage::before_activation) add(residual);
    if (d.activation == Activation::prelu) {
      exact.slope = load(problem_.slopes_dtype(), tensors_.slopes, at.k);
    }
    exact.sum = exact.value;
    if (std::isfinite(exact.magnitude)) {
      exact.up = (exact.magnitude + exact.sum) / 2, exact.down = (exact.magnitude - exact.sum) / 2;
    }
    exact.value = activate(d, exact.value, exact.slope);
    expected.bound = error_bound(d, exact);
    if (reading.bias == Stage::after_activation) add_late(bias, expected);
    if (reading.residual == Stage::after_activation) add_late(residual, expected);
    return expected;
  }

  double got(const Coordinate& at) const {
    const ProblemDesc& d = problem_.desc();
    return load(d.output_dtype, tensors_.output, d.output_strides.offset(at.n, at.p, at.q, at.k));
  }

 private:
  double residual_at(const ProblemDesc& d, const Coordinate& at) const {
    if (!d.has_residual) return 0;
    return load(d.output_dtype, tensors_.residual,
                d.residual_strides.offset(at.n, at.p, at.q, at.k));
  }

  /// An addition after the activation is a step of its own, whose operand and result were each
  /// rounded to the output's type.
  void add_late(double term, Expected& expected) const {
    const auto half_unit = [&](double x) {
      const DType type = problem_.desc().output_dtype;
      const double digits = type == DType::f16    ? 0x1p-11
                            : type == DType::bf16 ? 0x1p-8
                            : type == DType::f32  ? 0x1p-24
                                                  : 0x1p-53;
      return std::fabs(x) * digits;
    };
    expected.bound += half_unit(std::fabs(expected.exact.value) + expected.bound);
    expected.exact.value += term;
    expected.bound += half_unit(std::fabs(expected.exact.value) + expected.bound);
  }

  const Problem& problem_;
  const Tensors& tensors_;
};

struct Probe {
  Coordinate at;
  double got = 0;
  bool wrong = false;
};

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

bool matches(const Reading& reading, const Reader& reader, const Probe& probe) {
  const Expected expected = reader.read(reading, probe.at);
  if (reading.zero_unreached && expected.exact.terms == 0) {
    return probe.got == 0 || std::isnan(probe.got);
  }
  // An infinite bound would let everything pass: that is no evidence.
  return std::isfinite(expected.bound) && fits(reading.desc, probe.got, expected);
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
  for (const Hypothesis& hypothesis :
       usual_mistakes(problem, affordable(problem, kSecondLook, kMost))) {
    const bool named = std::ranges::any_of(diagnosis.mistakes, [&](const Mistake& mistake) {
      return mistake.name == hypothesis.name;
    });
    if (named || !explains(hypothesis, reader, first)) continue;
    if (second.empty()) second = look(kSecondLook, kMost);
    if (!explains(hypothesis, reader, second)) continue;
    diagnosis.mistakes.push_back({hypothesis.name, hypothesis.sentence});
  }
  return diagnosis;
}

std::vector<std::string> known_mistakes() {
  return {"padding_side",     "dilation_ignored", "stride_dilation_swapped",
          "hw_swapped",       "taps_flipped",     "channels_swapped",
          "filter_order",     "layout",           "group_off",
          "bias_missing",     "residual_missing", "activation_missing",
          "epilogue_missing", "activation_order", "unreached_outputs"};
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
