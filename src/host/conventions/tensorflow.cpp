// SPDX-License-Identifier: Apache-2.0
// tensorflow.cpp: the arguments of tf.nn.conv2d_transpose and (filters of rank 3)
// tf.nn.conv1d_transpose <-> ProblemDesc.
//
// With full = (in - 1) * stride + (kernel - 1) * dilation + 1 the legal output sizes are those
// whose convolution gives back the input's size:
//   SAME      (in - 1) * stride + 1 .. in * stride     cut full - out, the smaller half first
//   VALID     full .. full + stride - 1                cut nothing
//   EXPLICIT  full - cut .. full - cut + stride - 1    cut as given
#include <algorithm>
#include <utility>

#include "src/host/conventions/checks.h"
#include "src/host/problem/errors.h"

namespace tconv::host {
namespace {

using namespace convention;

enum class Padding { same, valid, given };

constexpr Vocabulary kNhwc = {
    "input_shape",
    "filter_shape",
    "groups",
    {.n = 0, .h = 1, .w = 2, .c = 3},
    {.kh = 0, .kw = 1, .co = 2, .ci = 3},
    "[batch, height, width, in_channels]",
    "[kernel_height, kernel_width, out_channels, in_channels], or 3 with one axis"};
constexpr Vocabulary kNchw = {
    "input_shape",
    "filter_shape",
    "groups",
    {.n = 0, .h = 2, .w = 3, .c = 1},
    {.kh = 0, .kw = 1, .co = 2, .ci = 3},
    "[batch, in_channels, height, width]",
    "[kernel_height, kernel_width, out_channels, in_channels], or 3 with one axis"};

constexpr Vocabulary one_axis(const Vocabulary& two, bool nwc) {
  Vocabulary words = two;
  words.input_place = {.n = 0, .h = -1, .w = nwc ? 1 : 2, .c = nwc ? 2 : 1};
  words.filter_place = {.kh = -1, .kw = 0, .co = 1, .ci = 2};
  words.input_meaning = nwc ? "[batch, width, in_channels], because filter_shape has 3"
                            : "[batch, in_channels, width], because filter_shape has 3";
  words.filter_meaning = "[kernel_width, out_channels, in_channels]";
  return words;
}
constexpr Vocabulary kNwc = one_axis(kNhwc, true), kNcw = one_axis(kNchw, false);

/// The arguments, checked; output_shape is still to be looked at.
struct Call {
  Layout layout;
  const Vocabulary* words;
  Padding padding;
  Geometry geometry;
  std::array<Pair, 2> pads;  ///< of height and width: begin, end

  const Axis& axis(int i) const { return geometry.axes[i]; }
};

Layout read_data_format(const TensorFlowArgs& args) {
  const bool one_axis = args.filter_shape.size() == 3;
  if (args.data_format == (one_axis ? "NCW" : "NCHW")) return Layout::nchw;
  if (!args.data_format.empty() && args.data_format != (one_axis ? "NWC" : "NHWC")) {
    refuse("data_format", "'" + args.data_format + "'",
           one_axis ? "'NWC' or 'NCW', because filter_shape has 3 numbers" : "'NHWC' or 'NCHW'");
  }
  return Layout::nhwc;
}

const Vocabulary& words_for(const TensorFlowArgs& args, Layout layout) {
  const bool nhwc = layout == Layout::nhwc;
  if (args.filter_shape.size() == 3) return nhwc ? kNwc : kNcw;
  return nhwc ? kNhwc : kNchw;
}

Padding read_padding(const TensorFlowArgs& args) {
  const bool explicit_given = args.padding == "EXPLICIT";
  if (args.padding != "SAME" && args.padding != "VALID" && !explicit_given) {
    refuse("padding", "'" + args.padding + "'", "'SAME', 'VALID' or 'EXPLICIT'");
  }
  if (!explicit_given && !args.explicit_paddings.empty()) {
    refuse("explicit_paddings", text(args.explicit_paddings),
           "empty where padding is '" + args.padding + "'");
  }
  return explicit_given ? Padding::given : args.padding == "SAME" ? Padding::same : Padding::valid;
}

/// Strides or dilations: one number, one an axis, or all dimensions in the order of data_format.
Pair read_steps(const std::string& field, const Numbers& numbers, const Vocabulary& words) {
  if (words.spatial() == 1) {
    check_count(field, numbers, {1, 3});
  } else {
    check_count(field, numbers, {1, 2, 4});
  }
  if (std::cmp_not_equal(numbers.size(), words.input_rank())) {
    return read_sizes(words, field, numbers, 1, true);
  }
  const auto& place = words.input_place;
  for (const int i : {place.n, place.c}) {
    if (numbers[i] != 1) refuse(entry(field, i), numbers[i], "1 for batch and channels");
  }
  Pair steps = {1, 1};
  for (const int i : words.axes()) {
    steps[i] = numbers[words.place(i)];
    check_size(entry(field, words.place(i)), steps[i], 1);
  }
  return steps;
}

/// Index of the begin of height or width in explicit_paddings.
int pad_place(const Vocabulary& words, const Numbers& pads, int axis) {
  if (std::cmp_equal(pads.size(), 2 * words.input_rank())) return 2 * words.place(axis);
  return words.spatial() == 1 ? 0 : 2 * axis;
}

void read_explicit(const Numbers& pads, Call& call) {
  const std::string field = "explicit_paddings";
  const Vocabulary& words = *call.words;
  check_count(field, pads, {2 * words.spatial(), 2 * words.input_rank()},
              words.spatial() == 1
                  ? "(left, right, or begin and end of each dimension)"
                  : "(top, bottom, left, right, or begin and end of each dimension)");
  for (int i = 0; i < static_cast<int>(pads.size()); ++i) check_size(entry(field, i), pads[i], 0);
  if (std::cmp_equal(pads.size(), 2 * words.input_rank())) {
    const auto& place = words.input_place;
    for (const int i : {2 * place.n, 2 * place.n + 1, 2 * place.c, 2 * place.c + 1}) {
      if (pads[i] != 0) refuse(entry(field, i), pads[i], "0 for batch and channels");
    }
  }
  for (const int axis : words.axes()) {
    const int begin = pad_place(words, pads, axis);
    call.pads[axis] = {pads[begin], pads[begin + 1]};
  }
}

int64_t cut(const Pair& pads) { return pads[0] + pads[1]; }

Interval legal(Padding padding, const Axis& axis, const Pair& pads) {
  if (padding == Padding::same) {
    const int64_t high = axis.in * axis.stride;
    return sizes(high - axis.stride + 1, high);
  }
  const int64_t low = axis.full() - cut(pads);
  return sizes(low, low + axis.stride - 1);
}

/// Refuses explicit paddings that cut more than `most`.
void check_explicit_cut(const Call& call, const Numbers& explicit_paddings, int i, int64_t most) {
  const int begin = pad_place(*call.words, explicit_paddings, i);
  check_cut(*call.words,
            entry("explicit_paddings", begin) + " + " + entry("explicit_paddings", begin + 1),
            cut(call.pads[i]), most, call.geometry, i);
}

/// The size of a call without output_shape.
int64_t default_size(const Call& call, const Numbers& explicit_paddings, int i) {
  const Axis& axis = call.axis(i);
  if (call.padding == Padding::same) return axis.in * axis.stride;
  if (call.padding == Padding::valid) {
    return axis.in * axis.stride + std::max<int64_t>(axis.keff() - axis.stride, 0);
  }
  check_explicit_cut(call, explicit_paddings, i, axis.full());
  return axis.full() - cut(call.pads[i]);
}

int64_t pad_begin(Padding padding, const Axis& axis, const Pair& pads, int64_t out) {
  if (padding == Padding::same) return std::max<int64_t>(axis.full() - out, 0) / 2;
  return pads[0];
}

Call read(const TensorFlowArgs& args) {
  Call call{};
  call.layout = read_data_format(args);
  call.words = &words_for(args, call.layout);
  call.padding = read_padding(args);
  call.geometry = read_shapes(*call.words, args.input_shape, args.filter_shape, args.groups);
  set_steps(call.geometry, read_steps("strides", args.strides, *call.words),
            args.dilations ? read_steps("dilations", *args.dilations, *call.words) : Pair{1, 1});
  if (call.padding != Padding::given) return call;
  read_explicit(args.explicit_paddings, call);
  for (const int i : call.words->axes()) {  // some output must be legal
    check_explicit_cut(call, args.explicit_paddings, i,
                       call.axis(i).full() + call.axis(i).stride - 1);
  }
  return call;
}

std::string padding_name(const Call& call, int i) {
  if (call.padding == Padding::same) return "SAME padding";
  if (call.padding == Padding::valid) return "VALID padding";
  return "padding (" + std::to_string(call.pads[i][0]) + ", " + std::to_string(call.pads[i][1]) +
         ")";
}

/// The output's height and width as given, with batch and channels checked.
Pair read_output_shape(const Call& call, const Numbers& shape) {
  const Vocabulary& words = *call.words;
  check_count("output_shape", shape, {words.spatial(), words.input_rank()},
              words.spatial() == 1
                  ? "(width, or all dimensions in the order of data_format)"
                  : "(height, width, or all dimensions in the order of data_format)");
  const bool all = std::cmp_equal(shape.size(), words.input_rank());
  const auto& place = words.input_place;
  if (all && shape[place.n] != call.geometry.batch) {
    refuse(entry("output_shape", place.n), shape[place.n],
           std::to_string(call.geometry.batch) + ", the input's batch");
  }
  if (all && shape[place.c] != call.geometry.out_c) {
    refuse(entry("output_shape", place.c), shape[place.c],
           std::to_string(call.geometry.out_c) + ", the filters' output channels");
  }
  Pair out = {1, 1};
  for (const int i : words.axes()) {
    const int index = all ? words.place(i) : place_in(shape, i);
    const Interval allowed = legal(call.padding, call.axis(i), call.pads[i]);
    out[i] = shape[index];
    if (allowed.has(out[i])) continue;
    refuse_here(entry("output_shape", index), out[i],
                circumstances(call.geometry, i, padding_name(call, i)), among(allowed));
  }
  return out;
}

}  // namespace

void translate(const TensorFlowArgs& args, ProblemDesc& desc) {
  Call call = read(args);
  const Pair out = args.output_shape ? read_output_shape(call, *args.output_shape)
                                     : Pair{default_size(call, args.explicit_paddings, 0),
                                            default_size(call, args.explicit_paddings, 1)};
  for (int i = 0; i < 2; ++i) {
    Axis& axis = call.geometry.axes[i];
    axis.out = out[i];
    axis.pad_begin = pad_begin(call.padding, axis, call.pads[i], out[i]);
  }
  commit(call.geometry, call.layout, FilterOrder::hwoi, desc);
}

Numbers output_shape(const TensorFlowArgs& args) {
  ProblemDesc desc;
  translate(args, desc);
  return shape_in(words_for(args, desc.layout), desc);
}

OutputSizes output_sizes(const TensorFlowArgs& args) {
  const Call call = read(args);
  OutputSizes result;
  for (int i = 0; i < 2; ++i) {
    const Interval allowed = legal(call.padding, call.axis(i), call.pads[i]);
    result.low[i] = allowed.low;
    result.high[i] = allowed.high;
  }
  return result;
}

// ---- And back --------------------------------------------------------------------------------

namespace {

bool says(Padding padding, const Axis& axis, const Pair& pads) {
  return legal(padding, axis, pads).has(axis.out) &&
         pad_begin(padding, axis, pads, axis.out) == axis.pad_begin;
}

/// Why no padding of TensorFlow's gives this axis, or "".
std::string obstacle(const Axis& axis, int i) {
  const std::string name = std::string(kAxisNames[i]) + ": ";
  if (axis.pad_begin < 0) {
    return name + "the output starts " + std::to_string(-axis.pad_begin) +
           " before the first tap, but explicit paddings are at least 0";
  }
  if (axis.pad_end() <= -axis.stride) {
    return name + "the output goes " + std::to_string(-axis.pad_end()) +
           " past the last tap, but with stride " + std::to_string(axis.stride) +
           " it is at most " + std::to_string(axis.stride - 1);
  }
  return "";
}

}  // namespace

std::optional<TensorFlowArgs> as_tensorflow(const Problem& problem, std::string* why) {
  const ProblemDesc& d = problem.desc();
  const std::array<Axis, 2> axes = {d.h, d.w};
  std::array<Pair, 2> pads{};
  std::array<bool, 3> sayable = {true, true, true};  // by Padding
  for (int i = 0; i < 2; ++i) {
    pads[i] = {axes[i].pad_begin, std::max<int64_t>(axes[i].pad_end(), 0)};
    sayable[0] = sayable[0] && says(Padding::same, axes[i], pads[i]);
    sayable[1] = sayable[1] && says(Padding::valid, axes[i], {0, 0});
    const std::string reason = obstacle(axes[i], i);
    if (!reason.empty() && sayable[2] && why != nullptr) *why = reason;
    sayable[2] = sayable[2] && reason.empty();
  }
  if (std::ranges::find(sayable, true) == sayable.end()) return std::nullopt;
  const bool nhwc = d.layout == Layout::nhwc;
  const auto ordered = [&](int64_t n, int64_t h, int64_t w, int64_t c) {
    return nhwc ? Numbers{n, h, w, c} : Numbers{n, c, h, w};
  };
  TensorFlowArgs args;
  args.input_shape = ordered(d.batch, d.h.in, d.w.in, d.in_c);
  args.filter_shape = {d.h.kernel, d.w.kernel, problem.out_c_per_group(), d.in_c};
  args.output_shape = ordered(d.batch, d.h.out, d.w.out, d.out_c);
  args.strides = {d.h.stride, d.w.stride};
  args.dilations = Numbers{d.h.dilation, d.w.dilation};
  args.padding = sayable[0] ? "SAME" : sayable[1] ? "VALID" : "EXPLICIT";
  if (!sayable[0] && !sayable[1]) {
    args.explicit_paddings = {pads[0][0], pads[0][1], pads[1][0], pads[1][1]};
  }
  args.data_format = nhwc ? "NHWC" : "NCHW";
  args.groups = d.groups == 1 ? 0 : d.groups;
  return args;
}

}  // namespace tconv::host
