// SPDX-License-Identifier: Apache-2.0
// pytorch.cpp: the arguments of torch.nn.functional.conv_transpose2d and conv_transpose1d, and
// output_size of their modules' forward <-> ProblemDesc.
//
//   out = full - 2 * padding + output_padding,   output_padding < max(stride, dilation)
//
// padding cuts both sides alike; output_padding gives back at the end, past the last tap if need
// be. The rank of the weight says how many axes there are; an input of one dimension less than the
// weight has no batch.
#include <algorithm>
#include <utility>

#include "src/host/conventions/checks.h"
#include "src/host/problem/errors.h"

namespace tconv::host {
namespace {

using namespace convention;

constexpr Vocabulary kWords = {"input_shape",
                               "weight_shape",
                               "groups",
                               {.n = 0, .h = 2, .w = 3, .c = 1},
                               {.kh = 2, .kw = 3, .co = 1, .ci = 0},
                               "[batch, in_channels, height, width], or 3 without the batch",
                               "[in_channels, out_channels / groups, kernel_height, kernel_width], "
                               "or 3 with one axis"};

constexpr Vocabulary unbatched_words() {
  Vocabulary words = kWords;
  words.input_place = {.n = -1, .h = 1, .w = 2, .c = 0};
  return words;
}
constexpr Vocabulary kUnbatched = unbatched_words();

constexpr Vocabulary one_axis(bool batched) {
  Vocabulary words = kWords;
  words.input_place = {.n = batched ? 0 : -1, .h = -1, .w = batched ? 2 : 1, .c = batched ? 1 : 0};
  words.filter_place = {.kh = -1, .kw = 2, .co = 1, .ci = 0};
  words.input_meaning =
      "[batch, in_channels, length], or 2 without the batch, because weight_shape has 3";
  words.filter_meaning = "[in_channels, out_channels / groups, kernel_length]";
  words.width = "length";
  return words;
}
constexpr Vocabulary kOneAxis = one_axis(true), kOneAxisUnbatched = one_axis(false);

const Vocabulary& words_for(const PyTorchArgs& args) {
  const bool unbatched = args.input_shape.size() + 1 == args.weight_shape.size();
  if (args.weight_shape.size() == 3) return unbatched ? kOneAxisUnbatched : kOneAxis;
  return args.weight_shape.size() == 4 && unbatched ? kUnbatched : kWords;
}

/// The arguments, checked; output_padding and output_size are still to be looked at.
struct Call {
  const Vocabulary* words;
  bool channels_last = false;
  Geometry geometry;
  Pair padding{};

  const Axis& axis(int i) const { return geometry.axes[i]; }
  /// The output without output_padding.
  int64_t least(int i) const { return axis(i).full() - 2 * padding[i]; }
};

Pair read_optional(const Vocabulary& words, const std::string& field,
                   const std::optional<Numbers>& numbers, int64_t neutral) {
  return numbers ? read_sizes(words, field, *numbers, neutral, true) : Pair{neutral, neutral};
}

/// A single number stands for all axes, so its place in the list is always 0.
std::string entry_of(const std::string& field, const std::optional<Numbers>& numbers, int axis) {
  return entry(field, numbers ? place_in(*numbers, axis) : 0);
}

bool read_memory_format(const std::string& format) {
  if (format != "contiguous" && format != "channels_last") {
    refuse("memory_format", "'" + format + "'", "'contiguous' or 'channels_last'");
  }
  return format == "channels_last";
}

/// Refuses padding that cuts more than there is with `output_padding`.
void check_padding(const Call& call, const PyTorchArgs& args, int i, int64_t output_padding) {
  const int64_t there_is = call.axis(i).full() + output_padding;
  const std::string field = entry_of("padding", args.padding, i);
  check_cut(*call.words, field, call.padding[i], floor_div(there_is, 2), call.geometry, i);
}

Call read(const PyTorchArgs& args) {
  Call call{};
  call.words = &words_for(args);
  const Vocabulary& words = *call.words;
  call.channels_last = read_memory_format(args.memory_format);
  call.geometry = read_shapes(words, args.input_shape, args.weight_shape, args.groups);
  set_steps(call.geometry, read_optional(words, "stride", args.stride, 1),
            read_optional(words, "dilation", args.dilation, 1));
  call.padding = read_optional(words, "padding", args.padding, 0);
  for (const int i : words.axes()) {
    check_padding(call, args, i, most_output_padding(call.axis(i)));
  }
  return call;
}

Pair read_output_padding(const Call& call, const PyTorchArgs& args) {
  if (!args.output_padding) return {};
  const Pair output_padding =
      read_pair(*call.words, "output_padding", *args.output_padding, 0, true);
  for (const int i : call.words->axes()) {
    check_output_padding(entry_of("output_padding", args.output_padding, i), output_padding[i],
                         call.axis(i));
  }
  return output_padding;
}

/// The output_padding that gives output_size, as the modules' forward computes it: by the stride
/// alone, and without a look at batch and channels.
Pair read_output_size(const Call& call, const Numbers& size) {
  const Vocabulary& words = *call.words;
  const int skipped = words.input_rank() - words.spatial();
  check_count("output_size", size, {words.spatial(), words.input_rank()},
              words.spatial() == 1 ? "(length, or all dimensions of the output)"
                                   : "(height, width, or all dimensions of the output)");
  const int first = std::cmp_equal(size.size(), words.spatial()) ? 0 : skipped;
  Pair output_padding{};
  for (const int i : words.axes()) {
    const int index = first + (words.spatial() == 1 ? 0 : i);
    const int64_t out = size[static_cast<std::size_t>(index)];
    const Interval allowed = sizes(call.least(i), call.least(i) + call.axis(i).stride - 1);
    if (!allowed.has(out)) {
      const std::string padding = "padding " + std::to_string(call.padding[i]);
      refuse_here(entry("output_size", index), out, circumstances(call.geometry, i, padding),
                  among(allowed) + output_padding_hint(words, i, out, call.least(i), call.axis(i)));
    }
    output_padding[i] = out - call.least(i);
  }
  return output_padding;
}

}  // namespace

void translate(const PyTorchArgs& args, ProblemDesc& desc) {
  Call call = read(args);
  const Pair output_padding = args.output_size ? read_output_size(call, *args.output_size)
                                               : read_output_padding(call, args);
  for (int i = 0; i < 2; ++i) {
    check_padding(call, args, i, output_padding[i]);
    Axis& axis = call.geometry.axes[i];
    axis.pad_begin = call.padding[i];
    axis.out = axis.full() - 2 * call.padding[i] + output_padding[i];
  }
  // A channels_last weight [ci, co, kh, kw] lies in memory as [ci][kh][kw][co].
  commit(call.geometry, call.channels_last ? Layout::nhwc : Layout::nchw,
         call.channels_last ? FilterOrder::ihwo : FilterOrder::iohw, desc);
}

Numbers output_shape(const PyTorchArgs& args) {
  ProblemDesc desc;
  translate(args, desc);
  return shape_in(words_for(args), desc);
}

OutputSizes output_sizes(const PyTorchArgs& args) {
  const Call call = read(args);
  OutputSizes result;
  for (int i = 0; i < 2; ++i) {
    const Interval allowed =
        sizes(call.least(i), call.least(i) + most_output_padding(call.axis(i)));
    result.low[i] = allowed.low;
    result.high[i] = allowed.high;
  }
  return result;
}

// ---- And back --------------------------------------------------------------------------------

namespace {

/// What the end gains over an equal cut of both sides.
int64_t output_padding_of(const Axis& axis) { return axis.pad_begin - axis.pad_end(); }

/// Why no padding of PyTorch's gives this axis, or "".
std::string obstacle(const Axis& axis, int i) {
  const std::string name = std::string(kAxisNames[i]) + ": ";
  if (axis.pad_begin < 0) {
    return name + "the output starts " + std::to_string(-axis.pad_begin) +
           " before the first tap, but padding is at least 0";
  }
  const int64_t gain = output_padding_of(axis), most = most_output_padding(axis);
  if (0 <= gain && gain <= most) return "";
  const std::string both = name + "cuts " + std::to_string(axis.pad_begin) + " at the begin and " +
                           std::to_string(axis.pad_end()) + " at the end, ";
  if (gain > most) {
    return both + "but output_padding gives back at most " + std::to_string(most) + " of " +
           std::to_string(gain);
  }
  // More is cut at the end: the call that cuts as little there as at the begin has it all.
  return both + "but padding cuts both alike: take the first " + std::to_string(axis.out) +
         " of padding=" + std::to_string(axis.pad_begin);
}

}  // namespace

std::optional<PyTorchArgs> as_pytorch(const Problem& problem, std::string* why) {
  const ProblemDesc& d = problem.desc();
  const std::array<Axis, 2> axes = {d.h, d.w};
  for (int i = 0; i < 2; ++i) {
    const std::string reason = obstacle(axes[i], i);
    if (reason.empty()) continue;
    if (why != nullptr) *why = reason;
    return std::nullopt;
  }
  PyTorchArgs args;
  args.input_shape = {d.batch, d.in_c, d.h.in, d.w.in};
  args.weight_shape = {d.in_c, problem.out_c_per_group(), d.h.kernel, d.w.kernel};
  args.stride = Numbers{d.h.stride, d.w.stride};
  args.padding = Numbers{d.h.pad_begin, d.w.pad_begin};
  args.output_padding = Numbers{output_padding_of(d.h), output_padding_of(d.w)};
  args.dilation = Numbers{d.h.dilation, d.w.dilation};
  args.groups = d.groups;
  args.memory_format = d.layout == Layout::nhwc ? "channels_last" : "contiguous";
  return args;
}

}  // namespace tconv::host
