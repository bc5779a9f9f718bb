// SPDX-License-Identifier: Apache-2.0
// onnx.cpp: the attributes of ONNX's ConvTranspose (opset 11 and later) <->
// ProblemDesc.
//
// With  all = full + output_padding:
//   output_shape given   total cut = max(all - out, 0); pads are ignored
//   SAME_UPPER, _LOWER   out = in * stride, total cut likewise
//   NOTSET, VALID        out = all - pads (VALID: 0)
// A total is halved: SAME_UPPER cuts the smaller half at the begin, every other mode the larger.
// A W of rank 3 has one axis; then so has X, and the attributes have one number an axis.
#include <algorithm>
#include <utility>

#include "src/host/conventions/checks.h"
#include "src/host/problem/errors.h"

namespace tconv::host {
namespace {

using namespace convention;

constexpr Vocabulary kWords = {"x_shape",
                               "w_shape",
                               "group",
                               {.n = 0, .h = 2, .w = 3, .c = 1},
                               {.kh = 2, .kw = 3, .co = 1, .ci = 0},
                               "[N, C, H, W]",
                               "[C, M / group, kH, kW], or 3 with one axis"};

constexpr Vocabulary one_axis() {
  Vocabulary words = kWords;
  words.input_place = {.n = 0, .h = -1, .w = 2, .c = 1};
  words.filter_place = {.kh = -1, .kw = 2, .co = 1, .ci = 0};
  words.input_meaning = "[N, C, L], because w_shape has 3";
  words.filter_meaning = "[C, M / group, kL]";
  words.width = "length";
  return words;
}
constexpr Vocabulary kOneAxis = one_axis();

const Vocabulary& words_for(const OnnxArgs& args) {
  return args.w_shape.size() == 3 ? kOneAxis : kWords;
}

/// The arguments, checked; output_padding and output_shape are still to be looked at.
struct Call {
  const Vocabulary* words;
  Geometry geometry;
  std::array<Pair, 2> pads{};  ///< of height and width: begin, end

  const Axis& axis(int i) const { return geometry.axes[i]; }
  int64_t cut(int i) const { return pads[i][0] + pads[i][1]; }
};

bool same(const OnnxArgs& args) {
  return args.auto_pad == "SAME_UPPER" || args.auto_pad == "SAME_LOWER";
}

void check_auto_pad(const OnnxArgs& args) {
  if (!same(args) && args.auto_pad != "NOTSET" && args.auto_pad != "VALID") {
    refuse("auto_pad", "'" + args.auto_pad + "'",
           "'NOTSET', 'SAME_UPPER', 'SAME_LOWER' or 'VALID'");
  }
  if (args.auto_pad != "NOTSET" && args.pads) {
    refuse("pads", text(*args.pads), "left out where auto_pad is '" + args.auto_pad + "'");
  }
}

Pair read_optional(const Vocabulary& words, const std::string& field,
                   const std::optional<Numbers>& numbers, int64_t neutral) {
  return numbers ? read_sizes(words, field, *numbers, neutral, false) : Pair{neutral, neutral};
}

/// Where the begin of an axis is in pads; its end follows all begins.
int pad_place(const Vocabulary& words, int axis) { return words.spatial() == 1 ? 0 : axis; }

std::array<Pair, 2> read_pads(const Vocabulary& words, const std::optional<Numbers>& pads) {
  if (!pads) return {};
  const int axes = words.spatial();
  check_count("pads", *pads, {2 * axes},
              axes == 1 ? "(begin, end)" : "(height begin, width begin, height end, width end)");
  for (int i = 0; i < 2 * axes; ++i) check_size(entry("pads", i), (*pads)[i], 0);
  std::array<Pair, 2> result{};
  for (const int i : words.axes()) {
    const int begin = pad_place(words, i);
    result[i] = {(*pads)[begin], (*pads)[begin + axes]};
  }
  return result;
}

/// Refuses pads that cut more than there is with `output_padding`.
void check_pads(const Call& call, int i, int64_t output_padding) {
  const int begin = pad_place(*call.words, i), end = begin + call.words->spatial();
  check_cut(*call.words, entry("pads", begin) + " + " + entry("pads", end), call.cut(i),
            call.axis(i).full() + output_padding, call.geometry, i);
}

Call read(const OnnxArgs& args) {
  check_auto_pad(args);
  Call call{};
  call.words = &words_for(args);
  const Vocabulary& words = *call.words;
  call.geometry = read_shapes(words, args.x_shape, args.w_shape, args.group);
  set_steps(call.geometry, read_optional(words, "strides", args.strides, 1),
            read_optional(words, "dilations", args.dilations, 1));
  call.pads = read_pads(words, args.pads);
  return call;
}

Pair read_output_padding(const Call& call, const OnnxArgs& args) {
  if (!args.output_padding) return {};
  const Pair output_padding =
      read_pair(*call.words, "output_padding", *args.output_padding, 0, false);
  for (const int i : call.words->axes()) {
    check_output_padding(entry("output_padding", place_in(*args.output_padding, i)),
                         output_padding[i], call.axis(i));
  }
  return output_padding;
}

/// Height and width as given, with batch and channels checked where they are given too.
Pair read_output_shape(const Call& call, const Numbers& shape) {
  const int axes = call.words->spatial();
  check_count("output_shape", shape, {axes, 2 + axes},
              axes == 1 ? "(L or N, M, L)" : "(H, W or N, M, H, W)");
  const int first = std::cmp_equal(shape.size(), axes) ? 0 : 2;
  if (first == 2 && shape[0] != call.geometry.batch) {
    refuse("output_shape[0]", shape[0], std::to_string(call.geometry.batch) + ", the batch of X");
  }
  if (first == 2 && shape[1] != call.geometry.out_c) {
    refuse("output_shape[1]", shape[1],
           std::to_string(call.geometry.out_c) + ", group * w_shape[1]");
  }
  Pair out = {1, 1};
  for (const int i : call.words->axes()) {
    const Axis& axis = call.axis(i);
    const int index = first + pad_place(*call.words, i);
    out[i] = shape[static_cast<std::size_t>(index)];
    // Pads can cut any number off, but they never add: at most what no further tap reaches.
    const Interval allowed = sizes(0, axis.full() + axis.stride - 1);
    if (allowed.has(out[i])) continue;
    const std::string hint =
        output_padding_hint(*call.words, i, out[i], axis.full() - call.cut(i), axis);
    refuse_here(entry("output_shape", index), out[i], circumstances(call.geometry, i),
                among(allowed) + (hint.empty() ? "" : hint + " where output_shape is left out"));
  }
  return out;
}

/// The part of `total` that is cut at the begin.
int64_t begin_of(const OnnxArgs& args, int64_t total) {
  return args.auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
}

void set_output(const OnnxArgs& args, const Call& call, int i, int64_t output_padding,
                std::optional<int64_t> out, Axis& axis) {
  const int64_t all = axis.full() + output_padding;
  if (!out && same(args)) out = axis.in * axis.stride;
  if (out) {
    axis.out = *out;
    axis.pad_begin = begin_of(args, std::max<int64_t>(all - *out, 0));
    return;
  }
  check_pads(call, i, output_padding);
  axis.out = all - call.cut(i);
  axis.pad_begin = call.pads[i][0];
}

}  // namespace

void translate(const OnnxArgs& args, ProblemDesc& desc) {
  Call call = read(args);
  const Pair output_padding = read_output_padding(call, args);
  std::array<std::optional<int64_t>, 2> out;
  if (args.output_shape) {
    const Pair given = read_output_shape(call, *args.output_shape);
    out = {given[0], given[1]};
  }
  for (int i = 0; i < 2; ++i) {
    set_output(args, call, i, output_padding[i], out[i], call.geometry.axes[i]);
  }
  commit(call.geometry, Layout::nchw, FilterOrder::iohw, desc);
}

Numbers output_shape(const OnnxArgs& args) {
  ProblemDesc desc;
  translate(args, desc);
  return shape_in(words_for(args), desc);
}

OutputSizes output_sizes(const OnnxArgs& args) {
  const Call call = read(args);
  OutputSizes result;
  for (int i = 0; i < 2; ++i) {
    const Axis& axis = call.axis(i);
    const int64_t most = most_output_padding(axis);
    if (!same(args)) check_pads(call, i, most);
    const int64_t low = axis.full() - call.cut(i), in_steps = axis.in * axis.stride;
    const Interval allowed = same(args) ? sizes(in_steps, in_steps) : sizes(low, low + most);
    result.low[i] = allowed.low;
    result.high[i] = allowed.high;
  }
  return result;
}

// ---- And back --------------------------------------------------------------------------------

namespace {

/// Why no pads and output_padding give this axis, or "".
std::string obstacle(const Axis& axis, int i) {
  const std::string name = std::string(kAxisNames[i]) + ": ";
  if (axis.pad_begin < 0) {
    return name + "the output starts " + std::to_string(-axis.pad_begin) +
           " before the first tap, but pads are at least 0";
  }
  const int64_t past = -axis.pad_end(), most = most_output_padding(axis);
  if (past > most) {
    return name + "the output goes " + std::to_string(past) +
           " past the last tap, but output_padding is at most " + std::to_string(most);
  }
  return "";
}

}  // namespace

std::optional<OnnxArgs> as_onnx(const Problem& problem, std::string* why) {
  const ProblemDesc& d = problem.desc();
  const std::array<Axis, 2> axes = {d.h, d.w};
  for (int i = 0; i < 2; ++i) {
    const std::string reason = obstacle(axes[i], i);
    if (reason.empty()) continue;
    if (why != nullptr) *why = reason;
    return std::nullopt;
  }
  const auto cut = [](const Axis& axis) { return std::max<int64_t>(axis.pad_end(), 0); };
  const auto past = [](const Axis& axis) { return std::max<int64_t>(-axis.pad_end(), 0); };
  OnnxArgs args;
  args.x_shape = {d.batch, d.in_c, d.h.in, d.w.in};
  args.w_shape = {d.in_c, problem.out_c_per_group(), d.h.kernel, d.w.kernel};
  args.strides = Numbers{d.h.stride, d.w.stride};
  args.pads = Numbers{d.h.pad_begin, d.w.pad_begin, cut(d.h), cut(d.w)};
  args.output_padding = Numbers{past(d.h), past(d.w)};
  args.dilations = Numbers{d.h.dilation, d.w.dilation};
  args.group = d.groups;
  return args;
}

}  // namespace tconv::host
