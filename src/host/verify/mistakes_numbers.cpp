// SPDX-License-Identifier: Apache-2.0
// mistakes_numbers.cpp: wrong numbers in the right places: another arithmetic, another activation,
// channels that were left out.
#include <array>
#include <cstdio>
#include <utility>

#include "src/host/verify/mistakes.h"

namespace tconv::host {
namespace {

struct Arithmetic {
  Rounding rounding;
  const char* name;  ///< of the mistake
  const char* what;
};

/// Narrower than each type. Of bf16 f16 is not, but it overflows.
std::vector<Arithmetic> narrower(DType type) {
  const Arithmetic tf32 = {Rounding::tf32, "arithmetic_tf32", "TF32"};
  const Arithmetic truncated = {Rounding::tf32_truncated, "arithmetic_tf32", "TF32 (truncated)"};
  const Arithmetic f16 = {Rounding::f16, "arithmetic_f16", "f16"};
  const Arithmetic bf16 = {Rounding::bf16, "arithmetic_bf16", "bf16"};
  const Arithmetic f32 = {Rounding::f32, "arithmetic_f32", "f32"};
  switch (type) {
    case DType::f16: return {bf16};
    case DType::bf16: return {f16};
    case DType::f64: return {f32, tf32, truncated, f16, bf16};
    default: return {tf32, truncated, f16, bf16};
  }
}

void add_arithmetic(const Problem& problem, std::vector<Hypothesis>& all) {
  const std::string type = name_of(problem.desc().dtype);
  for (const auto& [rounding, name, what] : narrower(problem.desc().dtype)) {
    Hypothesis hypothesis{.name = name, .sentence = {}, .reading = right_reading(problem)};
    hypothesis.sentence = std::string("it differs as ") + what +
                          " would: the operands were rounded to it, the problem says " + type;
    hypothesis.reading.operands = rounding;
    all.push_back(hypothesis);
    if (rounding == Rounding::tf32 || rounding == Rounding::tf32_truncated) continue;
    hypothesis.sentence = std::string("it differs as ") + what +
                          " would: operands and results were rounded to it, the problem says " +
                          type;
    hypothesis.reading.steps = rounding;
    all.push_back(hypothesis);
  }
}

/// Activations that somebody would have put there.
std::vector<ActivationStep> plausible_steps(const ProblemDesc& d) {
  std::vector<ActivationStep> steps = {{Activation::relu}};
  for (const double slope : {0.01, 0.1, 0.2, 0.3, 0.25, 0.5}) {
    steps.push_back({Activation::leaky_relu, slope});
  }
  for (const auto& [low, high] : {std::pair{0.0, 6.0}, {0.0, 1.0}, {-1.0, 1.0}}) {
    steps.push_back({Activation::clamp, low, high});
  }
  for (const Activation smooth : {Activation::sigmoid, Activation::tanh, Activation::gelu,
                                  Activation::gelu_tanh, Activation::silu}) {
    steps.push_back({smooth});
  }
  const ActivationStep own = {d.activation, d.activation_a, d.activation_b};
  std::erase_if(steps, [&](const ActivationStep& step) { return text_of(step) == text_of(own); });
  return steps;
}

void add_activations(const Problem& problem, std::vector<Hypothesis>& all) {
  const ProblemDesc& d = problem.desc();
  const ActivationStep own = {d.activation, d.activation_a, d.activation_b};
  const bool has_none = d.activation == Activation::identity;
  const auto add = [&](const char* name, const std::string& sentence, auto&& change) {
    all.push_back({.name = name, .sentence = sentence, .reading = right_reading(problem)});
    change(all.back().reading);
  };
  for (const ActivationStep& step : plausible_steps(d)) {
    add(has_none ? "activation_extra" : "activation_different",
        has_none ? "the activation " + text_of(step) + " is applied, the problem has none"
                 : "the activation is " + text_of(step) + ", the problem says " + text_of(own),
        [&](Reading& reading) {
          reading.desc.activation = step.activation;
          reading.desc.activation_a = step.a, reading.desc.activation_b = step.b;
        });
    if (has_none) continue;
    add("activation_extra", "the activation " + text_of(step) + " is applied after " + text_of(own),
        [&](Reading& reading) { reading.extra = step; });
  }
  if (has_none) return;
  add("activation_extra", "the activation " + text_of(own) + " is applied twice",
      [&](Reading& reading) { reading.extra = own; });
}

/// Loops over channels that ended early, began late, or took every other one.
void add_lost_channels(const Problem& problem, std::vector<Hypothesis>& all) {
  const int64_t channels = problem.in_c_per_group();
  const std::string of = problem.desc().groups > 1 ? " of each group" : "";
  const auto add = [&](const std::string& which, int64_t first, int64_t end, int64_t step) {
    all.push_back({.name = "channels_lost",
                   .sentence = "only " + which + " of the " + std::to_string(channels) +
                               " input channels" + of + " are summed",
                   .reading = right_reading(problem)});
    Reading& reading = all.back().reading;
    reading.first_c = first, reading.end_c = end, reading.step_c = step;
  };
  if (channels < 2) return;
  const int64_t half = channels / 2;
  add("the first half", 0, half, 1);
  if (channels % 2 != 0) add("the first half", 0, half + 1, 1);
  add("the second half", half, channels, 1);
  if (channels % 2 != 0) add("the second half", half + 1, channels, 1);
  add("every other one", 0, channels, 2);
  add("every other one, from the second on,", 1, channels, 2);
  for (const int64_t block : {4, 8, 16, 32, 64}) {  // what does not fill a vector or a tile
    const int64_t whole = channels / block * block;
    if (whole == 0 || whole == channels) continue;
    add("the first " + std::to_string(whole) + " (a multiple of " + std::to_string(block) + ")", 0,
        whole, 1);
  }
}

}  // namespace

std::string text_of(const ActivationStep& step) {
  std::array<char, 64> numbers{};
  if (step.activation == Activation::leaky_relu) {
    std::snprintf(numbers.data(), numbers.size(), ":%.6g", step.a);
  } else if (step.activation == Activation::clamp) {
    std::snprintf(numbers.data(), numbers.size(), ":%.6g,%.6g", step.a, step.b);
  }
  return name_of(step.activation) + std::string(numbers.data());
}

void add_number_mistakes(const Problem& problem, std::vector<Hypothesis>& all) {
  add_activations(problem, all);
  add_lost_channels(problem, all);
  add_arithmetic(problem, all);
}

}  // namespace tconv::host
