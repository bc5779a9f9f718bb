// SPDX-License-Identifier: Apache-2.0
// planted_numbers.h: mistakes in the numbers themselves, committed independently of diagnose():
// another arithmetic, another activation, channels that are left out, memory that nobody writes,
// one factor everywhere.
#pragma once

#include <bit>
#include <cmath>

#include "tests/host/verify/planted_mistakes.h"

namespace tconv::test {

/// Twenty-three bits of fraction become ten: to nearest, ties away from zero, as cvt.rna has it;
/// or cut off, as units do that are given f32.
inline double as_tf32(double x, bool cut) {
  int exponent = 0;
  const double fraction = std::frexp(x, &exponent) * 2048;
  return std::ldexp((cut ? std::trunc(fraction) : std::round(fraction)) / 2048, exponent);
}

/// Runs on operands rounded by `round`; so is what the epilogue adds, and the result, if `all`.
template <typename Round>
void run_rounded(Scene& scene, Round&& round, bool all) {
  Scene altered = scene;
  const ProblemDesc& d = scene.desc();
  const auto round_in = [&](Bytes& bytes, DType type) {
    const auto count = static_cast<int64_t>((bytes.size() - 1) / size_of(type));
    for (int64_t i = 0; i < count; ++i) {
      store(type, bytes.data(), i, round(load(type, bytes.data(), i)));
    }
  };
  round_in(altered.data.input, d.dtype);
  round_in(altered.data.filters, d.dtype);
  if (all && d.has_bias) round_in(altered.data.bias, d.bias_dtype);
  if (all && d.has_residual) round_in(altered.data.residual, d.output_dtype);
  run_as(scene, d, altered.data);
  if (!all) return;
  for_each(scene.problem.output_extents(), [&](const Coordinate& at) {
    scene.store_output(at, round(scene.output(scene.data, at)));
  });
}

template <typename Change>
std::function<void(Random&, Scene&)> changed_elements(Change change) {
  return [change](Random& random, Scene& scene) {
    run_as(scene, scene.desc(), scene.data);
    const Operands right = scene.data;
    const auto element = change(random, scene);
    for_each(scene.problem.output_extents(), [&](const Coordinate& at) {
      scene.store_output(at, element(at, scene.output(right, at)));
    });
  };
}

inline void f32_problem(Random&, ProblemDesc& d) {
  d.dtype = d.output_dtype = d.bias_dtype = DType::f32;
  d.alignment = 4;
}
inline void f64_problem(Random&, ProblemDesc& d) {
  d.dtype = d.output_dtype = d.bias_dtype = DType::f64;
  d.alignment = 8;
}
inline void f16_problem(Random&, ProblemDesc& d) {
  d.dtype = d.output_dtype = d.bias_dtype = DType::f16;
}

inline std::vector<Plant> arithmetic_plants() {
  const auto rounded_to = [](DType type) { return [=](double x) { return rounded(type, x); }; };
  const auto operands = [](auto round) {
    return [=](Random&, Scene& scene) { run_rounded(scene, round, false); };
  };
  const auto all = [](auto round) {
    return [=](Random&, Scene& scene) { run_rounded(scene, round, true); };
  };
  return {
      {"OperandsInTf32", "arithmetic_tf32", f32_problem,
       operands([](double x) { return as_tf32(x, false); })},
      {"OperandsCutToTf32", "arithmetic_tf32", f32_problem,
       operands([](double x) { return as_tf32(x, true); })},
      {"OperandsInF16", "arithmetic_f16", f32_problem, operands(rounded_to(DType::f16))},
      {"AllInF16", "arithmetic_f16", f32_problem, all(rounded_to(DType::f16))},
      {"OperandsInBf16", "arithmetic_bf16", f32_problem, operands(rounded_to(DType::bf16))},
      {"AllInBf16", "arithmetic_bf16", f32_problem, all(rounded_to(DType::bf16))},
      {"Bf16ForF16", "arithmetic_bf16", f16_problem, all(rounded_to(DType::bf16))},
      {"F32ForF64", "arithmetic_f32", f64_problem, all(rounded_to(DType::f32))},
      {"SumsInF16", "arithmetic_f16",
       [](Random& random, ProblemDesc& d) {
         f16_problem(random, d);
         // Up to 128 channels: beyond, sums of one sign reach where f16 stops growing.
         d.groups = 1, d.in_c = 64 + below(random, 65), d.out_c = 4;
         d.has_bias = d.has_residual = false;
         d.activation = Activation::identity;
         d.h = d.w = {.in = 4, .kernel = 3, .stride = 1, .pad_begin = 1, .out = 4};
       },
       [](Random&, Scene& scene) {
         const ProblemDesc& d = scene.desc();
         const FilterStrides f = scene.problem.filter_strides();
         for_each(scene.problem.output_extents(), [&](const Coordinate& at) {
           double sum = 0;
           for (int64_t r = 0; r < d.h.kernel; ++r) {
             for (int64_t s = 0; s < d.w.kernel; ++s) {
               const int64_t h = input_index(d.h, at.p, r), w = input_index(d.w, at.q, s);
               if (h == kNoInput || w == kNoInput) continue;
               for (int64_t c = 0; c < d.in_c; ++c) {
                 const double x =
                     load(d.dtype, scene.data.input.data(), d.input_strides.offset(at.n, h, w, c));
                 const double y = load(d.dtype, scene.data.filters.data(), f.offset(r, s, at.k, c));
                 sum = rounded(DType::f16, sum + x * y);
               }
             }
           }
           scene.store_output(at, sum);
         });
       }},
  };
}

inline std::vector<Plant> activation_plants() {
  const auto none = [](Random&, ProblemDesc& d) {
    d.activation = Activation::identity, d.activation_a = d.activation_b = 0;
  };
  const auto other = [](Random& random, ProblemDesc& d) {
    constexpr std::array kAll = {Activation::relu,  Activation::sigmoid,   Activation::tanh,
                                 Activation::gelu,  Activation::silu,      Activation::gelu_tanh,
                                 Activation::clamp, Activation::leaky_relu};
    d.activation = kAll[random() % kAll.size()];
    d.activation_a = d.activation == Activation::leaky_relu ? 0.2 : 0;
    d.activation_b = d.activation == Activation::clamp ? 6 : 0;
  };
  return {
      {"ActivationThatIsNotThere", "activation_extra", none,
       other_desc([=](Random& random, ProblemDesc& d) { other(random, d); })},
      {"AnotherActivation", "activation_different",
       [](Random&, ProblemDesc& d) { d.activation = Activation::prelu; }, other_desc(other)},
      {"ActivationTwice", "activation_extra",
       [](Random& random, ProblemDesc& d) {
         constexpr std::array kAll = {Activation::sigmoid, Activation::tanh, Activation::gelu,
                                      Activation::silu, Activation::leaky_relu};
         d.activation = kAll[random() % kAll.size()];
         d.activation_a = d.activation == Activation::leaky_relu ? 0.25 : 0;
       },
       changed_elements([](Random&, const Scene& scene) {
         return [&](const Coordinate&, double y) { return activate(scene.desc(), y, 0); };
       })},
  };
}

inline std::vector<Plant> lost_channel_plants() {
  const char* name = "channels_lost";
  const auto many = [](Random& random, ProblemDesc& d) {
    d.groups = 1, d.in_c = 2 + below(random, 20), d.out_c = 2 + below(random, 6);
  };
  const auto zero_input = [](Scene& scene, auto&& lost) {
    const ProblemDesc& d = scene.desc();
    Operands altered = scene.data;
    for_each(scene.problem.input_extents(), [&](const Coordinate& at) {
      const int64_t offset = d.input_strides.offset(at.n, at.p, at.q, at.k);
      if (lost(at.k, d.in_c)) store(d.dtype, altered.input.data(), offset, 0);
    });
    run_as(scene, d, altered);
  };
  const auto blank_output = [](double value, auto&& lost) {
    return changed_elements([=](Random&, const Scene& scene) {
      return [=, out_c = scene.desc().out_c](const Coordinate& at, double y) {
        return lost(at.k, out_c) ? value : y;
      };
    });
  };
  const auto second_half = [](int64_t c, int64_t of) { return c >= of / 2; };
  const auto first_half = [](int64_t c, int64_t of) { return c < of / 2; };
  return {
      {"SecondHalfOfTheInputsChannels", name, many,
       [=](Random&, Scene& scene) { zero_input(scene, second_half); }},
      {"FirstHalfOfTheInputsChannels", name, many,
       [=](Random&, Scene& scene) { zero_input(scene, first_half); }},
      {"InputChannelsBeyondBlocksOfEight", name,
       [=](Random& random, ProblemDesc& d) {
         many(random, d);
         d.in_c = 9 + below(random, 7);
       },
       [=](Random&, Scene& scene) {
         zero_input(scene, [](int64_t c, int64_t) { return c >= 8; });
       }},
      {"SecondHalfOfTheOutputsChannelsZero", name, many, blank_output(0, second_half)},
      {"FirstHalfOfTheOutputsChannelsNan", name, many, blank_output(NAN, first_half)},
  };
}

/// Leaves `value` in what `lost` says, given coordinates and a number below the extent of the rows.
template <typename Lost>
std::function<void(Random&, Scene&)> left(double value, Lost lost) {
  return changed_elements([=](Random& random, const Scene& scene) {
    const Extents e = scene.problem.output_extents();
    const int64_t first = 1 + below(random, std::max<int64_t>(e.h - 1, 1));
    return [=](const Coordinate& at, double y) { return lost(at, e, first) ? value : y; };
  });
}

inline std::vector<Plant> memory_left_plants() {
  const auto large = [](Random&, ProblemDesc& d) { d.h.out += 2, d.w.out += 2; };
  const auto last_rows = [](const Coordinate& at, const Extents&, int64_t first) {
    return at.p >= first;
  };
  const auto everything = [](const Coordinate&, const Extents&, int64_t) { return true; };
  const auto second_half = [](const Coordinate& at, const Extents& e, int64_t) {
    return ((at.n * e.h + at.p) * e.w + at.q) * e.c + at.k >= e.count() / 2;
  };
  const auto dense_nhwc = [](Random&, ProblemDesc& d) {
    d.layout = Layout::nhwc;
    d.input_strides = d.output_strides = d.residual_strides = {};
  };
  const auto padded = [](Random& random, ProblemDesc& d) {
    for (Axis* axis : {&d.h, &d.w}) {
      axis->stride = 2 + below(random, 2), axis->dilation = 1, axis->kernel = 3 + below(random, 2);
      axis->pad_begin = 1;
      axis->out = axis->full() - 2 + 1;  // output_padding = 1
    }
  };
  const auto of_padding = [](const Coordinate& at, const Extents& e, int64_t) {
    return at.p == e.h - 1 || at.q == e.w - 1;
  };
  return {
      {"OutputPaddingFilledWithZeros", "output_padding_zeros", padded, left(0, of_padding)},
      {"LastRowsZero", "unwritten", large, left(0, last_rows)},
      {"LastRowsNan", "unwritten", large, left(NAN, last_rows)},
      {"SecondHalfOfMemoryZero", "unwritten", dense_nhwc, left(0, second_half)},
      {"AllZero", "all_zero", any, left(0, everything)},
      {"AllNan", "all_nan", any, left(NAN, everything)},
      {"AllEqual", "all_equal", large, left(0.75, everything)},
  };
}

inline std::vector<Plant> factor_plants() {
  const auto factor = [](Random& random, const Scene& scene) {
    const ProblemDesc& d = scene.desc();
    const std::array factors = {
        0.5, 1.0 / static_cast<double>(d.h.kernel * d.w.kernel + 1), -1.0, 1.0 / 255, 0.7, 3.25};
    return factors[random() % factors.size()];
  };
  return {
      {"EverythingScaled", "scaled", any, changed_elements([=](Random& random, const Scene& scene) {
         return [by = factor(random, scene)](const Coordinate&, double y) { return y * by; };
       })},
      {"SumScaled", "scaled",
       [](Random&, ProblemDesc& d) {
         d.has_bias = true;
         d.activation = Activation::identity, d.activation_a = d.activation_b = 0;
         // Beside a bias, the 8 bits of bf16 hold nothing of a sum divided by 255.
         if (d.output_dtype == DType::bf16) d.output_dtype = DType::f32;
       },
       [=](Random& random, Scene& scene) {
         const double by = factor(random, scene);
         run_with_epilogue(scene, [&](double sum, double bias, double residual) {
           return by * sum + bias + residual;
         });
       }},
  };
}

inline std::vector<Plant> plants_in_numbers() {
  std::vector<Plant> all;
  for (const auto& some : {arithmetic_plants(), activation_plants(), lost_channel_plants(),
                           memory_left_plants(), factor_plants()}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

}  // namespace tconv::test
