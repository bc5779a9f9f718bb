// SPDX-License-Identifier: Apache-2.0
// checks.h: what TensorFlow's, PyTorch's and ONNX's arguments have in common. Each
// convention passes its own argument names, so that messages speak the caller's language.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "src/host/conventions/conventions.h"

namespace tconv::host::convention {

/// The bound that Problem sets on every size.
inline constexpr int64_t kLargestSize = int64_t{1} << 61;
inline constexpr std::array<const char*, 2> kAxisNames = {"height", "width"};
inline constexpr std::array<int, 2> kBothAxes = {0, 1};

/// Height and width.
using Pair = std::array<int64_t, 2>;

struct Interval {
  int64_t low = 0, high = 0;  ///< inclusive; empty where high < low
  bool has(int64_t x) const { return low <= x && x <= high; }
};

/// Where a convention keeps the dimensions of a tensor and what it calls them. A place of -1: there
/// is no such dimension. Without a height, the one axis is the width.
struct Vocabulary {
  const char *input, *filter, *groups;  ///< argument names
  struct {
    int n, h, w, c;
  } input_place;
  struct {
    int kh, kw, co, ci;
  } filter_place;
  const char *input_meaning, *filter_meaning;
  const char* width = kAxisNames[1];  ///< the name of the last axis

  /// The axes that the arguments speak of: 0 height, 1 width.
  constexpr std::span<const int> axes() const {
    return std::span(kBothAxes).subspan(input_place.h < 0 ? 1 : 0);
  }
  constexpr int spatial() const { return input_place.h < 0 ? 1 : 2; }
  constexpr int input_rank() const { return spatial() + (input_place.n < 0 ? 1 : 2); }
  constexpr int filter_rank() const { return spatial() + 2; }
  /// Where an axis is in the shape of the input.
  constexpr int place(int axis) const { return axis == 0 ? input_place.h : input_place.w; }
};

/// Where an axis is in a list of one number an axis, or of one for both.
inline int place_in(const Numbers& numbers, int axis) { return numbers.size() == 1 ? 0 : axis; }

/// What all conventions say alike, checked. `pad_begin` and `out` are the convention's to set.
struct Geometry {
  int64_t batch = 1, in_c = 0, out_c = 0, groups = 1;
  std::array<Axis, 2> axes;
  std::array<const char*, 2> axis_names = kAxisNames;
};

/// "strides[1]"
std::string entry(const std::string& field, int index);
/// "[1, 2, 3]", the first numbers of a long list only.
std::string text(const Numbers& numbers);
/// "in [15, 16]", or "15" where there is no choice.
std::string among(const Interval& interval);

/// Refuses `field` unless it has one of `counts` numbers.
void check_count(const std::string& field, const Numbers& numbers,
                 std::initializer_list<int> counts, const std::string& meaning = "");
/// Refuses a number outside [low, kLargestSize].
void check_size(const std::string& field, int64_t value, int64_t low);
/// A number for each axis, or one for both where `one_for_both`; an axis that is not there has
/// `neutral`. Any numbers, or (read_sizes) at least `neutral`.
Pair read_pair(const Vocabulary& words, const std::string& field, const Numbers& numbers,
               int64_t neutral, bool one_for_both);
Pair read_sizes(const Vocabulary& words, const std::string& field, const Numbers& numbers,
                int64_t neutral, bool one_for_both);

/// Ranks, sizes, channels and groups. groups = 0: not given.
Geometry read_shapes(const Vocabulary& words, const Numbers& input, const Numbers& filter,
                     int64_t groups);
/// "; in the order of PyTorch and ONNX, [...], the filter would fit", where it is another order of
/// filter or input in which the two have the same channels; else "".
std::string fitting_hint(const Vocabulary& words, const Numbers& input, const Numbers& filter);
/// Sets strides and dilations. From here on full() of both axes fits.
void set_steps(Geometry& geometry, const Pair& stride, const Pair& dilation);

/// Legal sizes, cut to those that exist.
Interval sizes(int64_t low, int64_t high);
/// "for input height 8, kernel 3 and stride 2", with `last` as one more item of the list.
std::string circumstances(const Geometry& geometry, int axis, const std::string& last = "");
/// Throws "field = value, but <circumstances> it must be <legal>".
[[noreturn]] void refuse_here(const std::string& field, int64_t value,
                              const std::string& circumstances, const std::string& legal);
/// Refuses padding (`field`, the sum of both sides) that cuts more than the `most` there is.
void check_cut(const Vocabulary& words, const std::string& field, int64_t cut, int64_t most,
               const Geometry& geometry, int axis);

/// The bound that PyTorch and ONNX share.
int64_t most_output_padding(const Axis& axis);
void check_output_padding(const std::string& field, int64_t value, const Axis& axis);
/// "; output_padding[1] = 2 gives it" where `out` is `least` and a legal output_padding, else "".
std::string output_padding_hint(const Vocabulary& words, int axis, int64_t out, int64_t least,
                                const Axis& of);

/// The output's shape as the convention writes it.
Numbers shape_in(const Vocabulary& words, const ProblemDesc& desc);

/// The end of every translation: nothing throws from here on.
void commit(const Geometry& geometry, Layout layout, FilterOrder order, ProblemDesc& desc);

}  // namespace tconv::host::convention
