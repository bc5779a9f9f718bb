// SPDX-License-Identifier: Apache-2.0
// mistakes.h: what callers get wrong, as ways of reading their tensors.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "src/host/problem/problem.h"
#include "src/host/verify/verify.h"

namespace tconv::host {

/// Element strides of the input with the channel split into group and channel within it. Unlike a
/// problem's they may be negative or put elements in another order.
struct InputView {
  int64_t base = 0, n = 0, h = 0, w = 0, group = 0, c = 0;
  int64_t offset(int64_t in, int64_t ih, int64_t iw, int64_t ig, int64_t ic) const {
    return base + in * n + ih * h + iw * w + ig * group + ic * c;
  }
};

/// The same for the filters: tap (r, s), group, output and input channel within the group.
struct FilterView {
  int64_t base = 0, r = 0, s = 0, group = 0, k = 0, c = 0;
  int64_t offset(int64_t ir, int64_t is, int64_t ig, int64_t ik, int64_t ic) const {
    return base + ir * r + is * s + ig * group + ik * k + ic * c;
  }
};

/// When a term of the epilogue is added.
enum class Stage { before_activation, after_activation, never };

/// What numbers were rounded to on their way. TF32 keeps 11 bits of f32; units truncate to it.
enum class Rounding { none, tf32, tf32_truncated, f16, bf16, f32 };
double round_as(Rounding rounding, double x);

/// An activation with its numbers.
struct ActivationStep {
  Activation activation = Activation::identity;
  double a = 0, b = 0;
};

/// How a caller computed the output: the problem in mind, and where the operands were taken from.
struct Reading {
  ProblemDesc desc;
  InputView input;
  FilterView filters;
  int64_t input_rotation = 0,
          filter_rotation = 0;  ///< group i takes the operands of group i + this
  Stage bias = Stage::before_activation, residual = Stage::before_activation;
  bool zero_unreached = false;  ///< outputs without a tap stay zero, or are never written
  int64_t first_c = 0, end_c = INT64_MAX, step_c = 1;  ///< channels of a group that are summed
  Rounding operands = Rounding::none;  ///< of input and filters, before they are multiplied
  Rounding steps = Rounding::none;     ///< of what is added, and of what each step gives
  double sum_scale = 1, result_scale = 1;
  double scale_error = 0;  ///< the scale is known up to this share of itself
  ActivationStep extra;    ///< one more, on the rounded result
  /// Which output was written to this place; empty: the one that belongs there.
  std::function<Coordinate(const Coordinate&)> written_to;
};

/// The right way to read.
Reading right_reading(const Problem& problem);

/// A usual mistake, made concrete for one problem.
struct Hypothesis {
  std::string name;      ///< see known_mistakes()
  std::string sentence;  ///< in the user's words
  Reading reading;
};

/// All of them, the likelier of each name first. `most_shifts` bounds the search over paddings.
std::vector<Hypothesis> usual_mistakes(const Problem& problem, int64_t most_shifts);

/// Those of them that are about numbers: arithmetic, activations, lost channels:
/// mistakes_numbers.cpp.
void add_number_mistakes(const Problem& problem, std::vector<Hypothesis>& all);
/// "leaky_relu:0.1", as options say it.
std::string text_of(const ActivationStep& step);

/// Those of them that are about padding, strides and dilations: mistakes_geometry.cpp.
void add_padding_mistakes(const Problem& problem, int64_t most_shifts,
                          std::vector<Hypothesis>& all);
void add_step_mistakes(const Problem& problem, std::vector<Hypothesis>& all);

}  // namespace tconv::host
