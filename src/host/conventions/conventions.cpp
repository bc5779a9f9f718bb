// SPDX-License-Identifier: Apache-2.0
// conventions.cpp: the checks that the conventions share. The conventions themselves are in
// tensorflow.cpp, pytorch.cpp and onnx.cpp.
#include "src/host/conventions/conventions.h"

#include <algorithm>

#include "src/host/conventions/checks.h"
#include "src/host/problem/checked_math.h"
#include "src/host/problem/errors.h"

namespace tconv::host::convention {
namespace {

std::string size_range(int64_t low) { return "in [" + std::to_string(low) + ", 2^61]"; }

/// "1, 2 or 4"
std::string alternatives(std::initializer_list<int> counts) {
  std::string list;
  for (const int* count = counts.begin(); count != counts.end(); ++count) {
    if (count != counts.begin()) list += count + 1 == counts.end() ? " or " : ", ";
    list += std::to_string(*count);
  }
  return list;
}

/// Refuses strides and dilations whose extents do not fit.
void check_extents(const Geometry& geometry, int axis) {
  const Axis& a = geometry.axes[axis];
  const std::string where = circumstances(geometry, axis);
  const Checked keff("kernel extent " + where), full("output " + where);
  const int64_t extent = keff.add(keff.mul(a.kernel - 1, a.dilation), 1);
  const int64_t all = full.add(full.mul(a.in - 1, a.stride), extent);
  for (const int64_t size : {extent, all}) {
    if (size > kLargestSize) {
      refuse(std::string("output ") + geometry.axis_names[axis] + " without padding", size,
             "at most 2^61 " + where);
    }
  }
}

}  // namespace

std::string entry(const std::string& field, int index) {
  return field + "[" + std::to_string(index) + "]";
}

std::string text(const Numbers& numbers) {
  constexpr std::size_t kShown = 8;
  std::string list = "[";
  for (std::size_t i = 0; i < std::min(numbers.size(), kShown); ++i) {
    list += (i == 0 ? "" : ", ") + std::to_string(numbers[i]);
  }
  return list + (numbers.size() > kShown ? ", ...]" : "]");
}

std::string among(const Interval& interval) {
  if (interval.low == interval.high) return std::to_string(interval.low);
  return "in [" + std::to_string(interval.low) + ", " + std::to_string(interval.high) + "]";
}

void check_count(const std::string& field, const Numbers& numbers,
                 std::initializer_list<int> counts, const std::string& meaning) {
  if (std::ranges::find(counts, static_cast<int>(numbers.size())) != counts.end()) return;
  const bool one = counts.size() == 1 && *counts.begin() == 1;
  refuse(field, text(numbers),
         alternatives(counts) + (one ? " number" : " numbers") +
             (meaning.empty() ? "" : " " + meaning));
}

void check_size(const std::string& field, int64_t value, int64_t low) {
  if (value < low || value > kLargestSize) refuse(field, value, size_range(low));
}

Pair read_pair(const Vocabulary& words, const std::string& field, const Numbers& numbers,
               int64_t neutral, bool one_for_both) {
  if (words.spatial() == 1) {
    check_count(field, numbers, {1});
    return {neutral, numbers.front()};
  }
  if (one_for_both) {
    check_count(field, numbers, {1, 2});
  } else {
    check_count(field, numbers, {2}, "(height, width)");
  }
  return {numbers.front(), numbers.back()};
}

Pair read_sizes(const Vocabulary& words, const std::string& field, const Numbers& numbers,
                int64_t neutral, bool one_for_both) {
  const Pair pair = read_pair(words, field, numbers, neutral, one_for_both);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    check_size(entry(field, static_cast<int>(i)), numbers[i], neutral);
  }
  return pair;
}

Geometry read_shapes(const Vocabulary& words, const Numbers& input, const Numbers& filter,
                     int64_t groups) {
  check_count(words.filter, filter, {words.filter_rank()}, words.filter_meaning);
  check_count(words.input, input, {words.input_rank()}, words.input_meaning);
  const auto& in = words.input_place;
  const auto& f = words.filter_place;
  for (int i = 0; i < words.input_rank(); ++i) check_size(entry(words.input, i), input[i], 0);
  for (int i = 0; i < words.filter_rank(); ++i) {
    check_size(entry(words.filter, i), filter[i], i == f.kh || i == f.kw ? 1 : 0);
  }
  check_size(words.groups, groups, 0);
  Geometry geometry;
  geometry.axis_names[1] = words.width;
  if (in.n >= 0) geometry.batch = input[in.n];
  geometry.in_c = input[in.c];
  geometry.groups = groups == 0 ? 1 : groups;
  if (filter[f.ci] != geometry.in_c) {
    refuse(entry(words.filter, f.ci), filter[f.ci],
           std::to_string(geometry.in_c) + ", the input's channels (" + entry(words.input, in.c) +
               ")" + fitting_hint(words, input, filter));
  }
  if (geometry.in_c % geometry.groups != 0) {
    refuse(words.groups, groups,
           "a divisor of " + std::to_string(geometry.in_c) + ", the input's channels (" +
               entry(words.input, in.c) + ")");
  }
  const std::string product = words.groups + std::string(" * ") + entry(words.filter, f.co);
  geometry.out_c = Checked(product).mul(geometry.groups, filter[f.co]);
  check_size(product, geometry.out_c, 0);
  if (in.h >= 0) geometry.axes[0] = {.in = input[in.h], .kernel = filter[f.kh]};
  geometry.axes[1] = {.in = input[in.w], .kernel = filter[f.kw]};
  return geometry;
}

void set_steps(Geometry& geometry, const Pair& stride, const Pair& dilation) {
  for (int axis = 0; axis < 2; ++axis) {
    geometry.axes[axis].stride = stride[axis];
    geometry.axes[axis].dilation = dilation[axis];
    check_extents(geometry, axis);
  }
}

Interval sizes(int64_t low, int64_t high) {
  return {std::max<int64_t>(low, 0), std::min(high, kLargestSize)};
}

std::string circumstances(const Geometry& geometry, int axis, const std::string& last) {
  const Axis& a = geometry.axes[axis];
  std::array<std::string, 5> items = {
      std::string("input ") + geometry.axis_names[axis] + " " + std::to_string(a.in),
      "kernel " + std::to_string(a.kernel), "stride " + std::to_string(a.stride),
      a.dilation == 1 ? "" : "dilation " + std::to_string(a.dilation), last};
  const auto end = std::ranges::remove(items, std::string()).begin();
  std::string list = "for " + items[0];
  for (auto item = items.begin() + 1; item != end; ++item) {
    list += (item + 1 == end ? " and " : ", ") + *item;
  }
  return list;
}

void refuse_here(const std::string& field, int64_t value, const std::string& circumstances,
                 const std::string& legal) {
  throw InvalidProblem(field + " = " + std::to_string(value) + ", but " + circumstances +
                       " it must be " + legal);
}

void check_cut(const Vocabulary& words, const std::string& field, int64_t cut, int64_t most,
               const Geometry& geometry, int axis) {
  if (cut <= most) return;
  const std::string where = circumstances(geometry, axis);
  // Only an empty input has nothing to cut from: then no padding is legal.
  if (most < 0) {
    refuse_here(entry(words.input, words.place(axis)), geometry.axes[axis].in, where, "at least 1");
  }
  refuse_here(field, cut, where, "at most " + std::to_string(most));
}

int64_t most_output_padding(const Axis& axis) { return std::max(axis.stride, axis.dilation) - 1; }

void check_output_padding(const std::string& field, int64_t value, const Axis& axis) {
  const Interval allowed = {0, most_output_padding(axis)};
  if (allowed.has(value)) return;
  refuse(field, value,
         among(allowed) + ", less than the larger of stride " + std::to_string(axis.stride) +
             " and dilation " + std::to_string(axis.dilation));
}

std::string output_padding_hint(const Vocabulary& words, int axis, int64_t out, int64_t least,
                                const Axis& of) {
  // `out` may be any number: nothing is subtracted from it before it is known to be near.
  if (out < least || out > least + most_output_padding(of)) return "";
  const int place = words.spatial() == 1 ? 0 : axis;
  return "; " + entry("output_padding", place) + " = " + std::to_string(out - least) + " gives it";
}

Numbers shape_in(const Vocabulary& words, const ProblemDesc& desc) {
  Numbers shape(static_cast<std::size_t>(words.input_rank()));
  const auto set = [&](int place, int64_t size) {
    if (place >= 0) shape[static_cast<std::size_t>(place)] = size;
  };
  set(words.input_place.n, desc.batch);
  set(words.input_place.h, desc.h.out);
  set(words.input_place.w, desc.w.out);
  set(words.input_place.c, desc.out_c);
  return shape;
}

void commit(const Geometry& geometry, Layout layout, FilterOrder order, ProblemDesc& desc) {
  desc.batch = geometry.batch;
  desc.in_c = geometry.in_c;
  desc.out_c = geometry.out_c;
  desc.groups = geometry.groups;
  desc.h = geometry.axes[0];
  desc.w = geometry.axes[1];
  desc.layout = layout;
  desc.filter_order = order;
}

}  // namespace tconv::host::convention
