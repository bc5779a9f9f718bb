// SPDX-License-Identifier: Apache-2.0
// mistakes_geometry.cpp: wrong numbers per axis: padding, strides, dilations. The sentences name
// the framework's arguments that give such numbers.
#include <algorithm>
#include <cstdlib>
#include <set>
#include <utility>

#include "src/host/verify/mistakes.h"

namespace tconv::host {
namespace {

using Pads = std::pair<int64_t, int64_t>;  // pad_begin of h, of w

std::string text(int64_t h, int64_t w) { return std::to_string(h) + "," + std::to_string(w); }

/// "1", or "(1, 0)" where the axes differ.
std::string argument(int64_t h, int64_t w) {
  if (h == w) return std::to_string(h);
  return "(" + std::to_string(h) + ", " + std::to_string(w) + ")";
}

int64_t total_pad(const Axis& axis) { return std::max<int64_t>(axis.full() - axis.out, 0); }

bool is_same(const Axis& axis) {
  return axis.out > (axis.in - 1) * axis.stride && axis.out <= axis.in * axis.stride &&
         axis.pad_begin == total_pad(axis) / 2;
}
bool is_larger_half_first(const Axis& axis) {
  return axis.full() >= axis.out && axis.pad_begin == total_pad(axis) - total_pad(axis) / 2;
}
bool is_valid(const Axis& axis) {
  return axis.pad_begin == 0 && axis.out >= axis.full() && axis.out < axis.full() + axis.stride;
}
int64_t pytorch_output_padding(const Axis& axis) {
  return axis.out - axis.full() + 2 * axis.pad_begin;
}
bool is_pytorch(const Axis& axis) {
  const int64_t output_padding = pytorch_output_padding(axis);
  return axis.pad_begin >= 0 && output_padding >= 0 &&
         output_padding < std::max(axis.stride, axis.dilation);
}

/// What frameworks call these paddings: " (PyTorch's padding=1, output_padding=1)", or nothing.
std::string conventions_of(const Axis& h, const Axis& w) {
  std::string names;
  const auto add = [&](const std::string& name) { names += (names.empty() ? "" : "; ") + name; };
  if (is_same(h) && is_same(w)) {
    add("TensorFlow's SAME, the smaller half first");
  } else if (is_valid(h) && is_valid(w)) {
    add("TensorFlow's VALID");
  }
  if (is_pytorch(h) && is_pytorch(w)) {
    add("PyTorch's padding=" + argument(h.pad_begin, w.pad_begin) +
        ", output_padding=" + argument(pytorch_output_padding(h), pytorch_output_padding(w)));
  }
  const bool halves_differ = total_pad(h) % 2 != 0 || total_pad(w) % 2 != 0;
  if (halves_differ && is_larger_half_first(h) && is_larger_half_first(w)) {
    add("ONNX's SAME_LOWER, the larger half first");
  }
  return names.empty() ? "" : " (" + names + ")";
}

/// Paddings that somebody would write for this axis: the other side's, half of the kernel
/// ("padding = k/2"), none, both ways to halve the total, the padding of the forward convolution.
std::vector<int64_t> plausible_pads(const Axis& axis) {
  const int64_t total = total_pad(axis);
  return {axis.pad_begin,
          axis.pad_end(),
          (axis.kernel - 1) / 2,
          (axis.keff() - 1) / 2,
          0,
          total / 2,
          total - total / 2,
          axis.kernel / 2,
          total,
          axis.keff() - 1 - axis.pad_begin};
}

/// Shifts of both axes within +-keff, the smallest first, at most `most`.
std::vector<Pads> shifts_around(const Axis& h, const Axis& w, int64_t most) {
  // Without the bound the list would have keff^2 entries; with it no axis needs more than this.
  const int64_t reach_h = std::min(h.keff(), most), reach_w = std::min(w.keff(), most);
  std::vector<Pads> shifts;
  for (int64_t distance = 1; distance <= reach_h + reach_w; ++distance) {
    for (int64_t dh = -std::min(distance, reach_h); dh <= std::min(distance, reach_h); ++dh) {
      const int64_t dw = distance - std::abs(dh);
      if (dw > reach_w) continue;
      if (std::ssize(shifts) >= most) return shifts;
      shifts.emplace_back(dh, dw);
      if (dw > 0) shifts.emplace_back(dh, -dw);
    }
  }
  return shifts;
}

Hypothesis padding_hypothesis(const Problem& problem, const Pads& pads) {
  Hypothesis result{.name = "padding_side", .sentence = {}, .reading = right_reading(problem)};
  const ProblemDesc& right = problem.desc();
  Axis& h = result.reading.desc.h;
  Axis& w = result.reading.desc.w;
  h.pad_begin = pads.first, w.pad_begin = pads.second;
  const bool mirrored = (h == right.h || h.pad_begin == right.h.pad_end()) &&
                        (w == right.w || w.pad_begin == right.w.pad_end());
  result.sentence =
      std::string(mirrored ? "padding is on the other side" : "padding is different") +
      ": this is pad_begin " + text(h.pad_begin, w.pad_begin) + conventions_of(h, w) +
      ", the problem says " + text(right.h.pad_begin, right.w.pad_begin) +
      conventions_of(right.h, right.w);
  return result;
}

/// True if the extents of an axis that no Problem has checked fit 64 bits.
bool fits(const Axis& axis) {
  int64_t taps = 0, inputs = 0, full = 0;
  return !__builtin_mul_overflow(axis.kernel - 1, axis.dilation, &taps) &&
         !__builtin_mul_overflow(axis.in - 1, axis.stride, &inputs) &&
         !__builtin_add_overflow(taps, inputs, &full) && std::max(full, axis.out) < INT64_MAX / 4 &&
         std::abs(axis.pad_begin) < INT64_MAX / 4;
}

/// Adds hypotheses about strides, dilations and paddings.
class Steps {
 public:
  Steps(const Problem& problem, std::vector<Hypothesis>& all)
      : problem_(problem), right_(problem.desc()), all_(all) {}

  void add(const char* name, const std::string& sentence, const Axis& h, const Axis& w) const {
    if (!fits(h) || !fits(w)) return;
    Hypothesis hypothesis{.name = name, .sentence = sentence, .reading = right_reading(problem_)};
    ProblemDesc& d = hypothesis.reading.desc;
    d.h = h, d.w = w;
    all_.push_back(hypothesis);
    // SAME takes its padding from the numbers that were wrong.
    if (!is_same(right_.h) || !is_same(right_.w)) return;
    d.h.pad_begin = total_pad(d.h) / 2, d.w.pad_begin = total_pad(d.w) / 2;
    hypothesis.sentence += ", and the padding follows from that";
    all_.push_back(hypothesis);
  }

  /// The same change on both axes, on H, on W.
  template <typename Change>
  void add_both(const char* name, const std::string& what, Change&& change) const {
    Axis h = right_.h, w = right_.w;
    change(h), change(w);
    add(name, what, h, w);
    add(name, what + " along H", h, right_.w);
    add(name, what + " along W", right_.h, w);
  }

  /// One number of each axis used for the other one, or one of them for both.
  void add_exchanged(const std::string& what, int64_t Axis::*field) const {
    const std::string given = what + " " + text(right_.h.*field, right_.w.*field);
    Axis h = right_.h, w = right_.w;
    std::swap(h.*field, w.*field);
    add("hw_swapped", given + " are used as W,H instead of H,W", h, w);
    add("hw_swapped", given + ": the first is used for both axes", right_.h, w);
    add("hw_swapped", given + ": the second is used for both axes", h, right_.w);
  }

 private:
  const Problem& problem_;
  const ProblemDesc& right_;
  std::vector<Hypothesis>& all_;
};

}  // namespace

void add_padding_mistakes(const Problem& problem, int64_t most_shifts,
                          std::vector<Hypothesis>& all) {
  const Axis& h = problem.desc().h;
  const Axis& w = problem.desc().w;
  std::vector<Pads> candidates = {
      {h.pad_end(), w.pad_end()}, {h.pad_end(), w.pad_begin}, {h.pad_begin, w.pad_end()}};
  for (const int64_t pad_h : plausible_pads(h)) {
    for (const int64_t pad_w : plausible_pads(w)) candidates.emplace_back(pad_h, pad_w);
  }
  for (const auto& [dh, dw] : shifts_around(h, w, most_shifts)) {
    candidates.emplace_back(h.pad_begin + dh, w.pad_begin + dw);
  }
  std::set<Pads> tried = {{h.pad_begin, w.pad_begin}};
  for (const Pads& pads : candidates) {
    if (tried.insert(pads).second) all.push_back(padding_hypothesis(problem, pads));
  }
}

void add_step_mistakes(const Problem& problem, std::vector<Hypothesis>& all) {
  const Steps steps(problem, all);
  const Axis& h = problem.desc().h;
  const Axis& w = problem.desc().w;
  steps.add_both("dilation_ignored", "dilations " + text(h.dilation, w.dilation) + " are ignored",
                 [](Axis& axis) { axis.dilation = 1; });
  steps.add_both("stride_dilation_swapped", "stride and dilation are exchanged",
                 [](Axis& axis) { std::swap(axis.stride, axis.dilation); });
  steps.add_exchanged("strides", &Axis::stride);
  steps.add_exchanged("dilations", &Axis::dilation);
  steps.add_exchanged("paddings", &Axis::pad_begin);
  Axis all_of_w = h, all_of_h = w;
  for (int64_t Axis::*const field : {&Axis::stride, &Axis::dilation, &Axis::pad_begin}) {
    std::swap(all_of_w.*field, all_of_h.*field);
  }
  steps.add("hw_swapped", "strides, dilations and paddings are used as W,H instead of H,W",
            all_of_w, all_of_h);
}

}  // namespace tconv::host
