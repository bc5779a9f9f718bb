// SPDX-License-Identifier: Apache-2.0
// mistakes.cpp: wrong ways to read tensors: flipped taps, exchanged axes and channels, filter
// orders, layouts, groups, the epilogue. A new mistake is one more call of `add`.
#include "src/host/verify/mistakes.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

namespace tconv::host {
namespace {

class Table {
 public:
  Table(const Problem& problem, std::vector<Hypothesis>& all) : problem_(problem), all_(all) {}

  /// One hypothesis: the right reading, changed.
  template <typename Change>
  void add(const char* name, const std::string& sentence, Change&& change) {
    Hypothesis hypothesis{.name = name, .sentence = sentence, .reading = right_reading(problem_)};
    change(hypothesis.reading);
    all_.push_back(std::move(hypothesis));
  }

 private:
  const Problem& problem_;
  std::vector<Hypothesis>& all_;
};

/// Filters stored in `order`, a permutation of "hwoi". Grouped filters have the channels of all
/// groups either in i (as here) or, as forward convolutions have them, in o.
FilterView filter_view(const Problem& problem, std::string_view order, bool groups_in_o) {
  const ProblemDesc& d = problem.desc();
  const int64_t per_group_k = problem.out_c_per_group(), per_group_c = problem.in_c_per_group();
  FilterView view;
  int64_t stride = 1;
  for (std::size_t i = order.size(); i-- > 0;) {
    switch (order[i]) {
      case 'h': view.r = stride, stride *= d.h.kernel; break;
      case 'w': view.s = stride, stride *= d.w.kernel; break;
      case 'o':
        view.k = stride;
        if (groups_in_o) view.group = per_group_k * stride;
        stride *= groups_in_o ? d.out_c : per_group_k;
        break;
      default:
        view.c = stride;
        if (!groups_in_o) view.group = per_group_c * stride;
        stride *= groups_in_o ? per_group_c : d.in_c;
    }
  }
  return view;
}

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

void add_flips(const Problem& problem, Table& table) {
  const ProblemDesc& d = problem.desc();
  const auto flip_r = [&](Reading& reading) {
    reading.filters.base += (d.h.kernel - 1) * reading.filters.r;
    reading.filters.r = -reading.filters.r;
  };
  const auto flip_s = [&](Reading& reading) {
    reading.filters.base += (d.w.kernel - 1) * reading.filters.s;
    reading.filters.s = -reading.filters.s;
  };
  table.add("taps_flipped",
            "the filter's taps are in reverse order along H and W (rotated by 180 "
            "degrees, as if for a forward convolution)",
            [&](Reading& reading) { flip_r(reading), flip_s(reading); });
  table.add("taps_flipped", "the filter's taps are in reverse order along H", flip_r);
  table.add("taps_flipped", "the filter's taps are in reverse order along W", flip_s);
}

bool is_dense(const Strides& strides, Layout layout, const Extents& extents) {
  return strides == dense_strides(layout, extents);
}

void set_pixel_strides(InputView& view, const Problem& problem, const Strides& strides) {
  view.n = strides.n, view.h = strides.h, view.w = strides.w, view.c = strides.c;
  view.group = strides.c * problem.in_c_per_group();
}

void add_transpositions(const Problem& problem, Table& table) {
  const ProblemDesc& d = problem.desc();
  std::string order = name_of(d.filter_order);
  std::swap(order[order.find('h')], order[order.find('w')]);
  table.add("hw_swapped", "the filter's two spatial axes are exchanged",
            [&](Reading& reading) { reading.filters = filter_view(problem, order, false); });
  const Extents in = problem.input_extents(), out = problem.output_extents();
  if (in.h == in.w || is_dense(d.input_strides, d.layout, in)) {
    table.add("hw_swapped", "the input's two spatial axes are exchanged", [&](Reading& reading) {
      Strides swapped =
          in.h == in.w ? d.input_strides : dense_strides(d.layout, {in.n, in.w, in.h, in.c});
      std::swap(swapped.h, swapped.w);
      set_pixel_strides(reading.input, problem, swapped);
    });
  }
  table.add("hw_swapped", "the output's two spatial axes are exchanged", [out](Reading& reading) {
    reading.written_to = [out](const Coordinate& at) {
      const int64_t pixel = at.p * out.w + at.q;
      return Coordinate{at.n, pixel % out.h, pixel / out.h, at.k};
    };
  });
}

void add_channel_mistakes(const Problem& problem, Table& table) {
  const ProblemDesc& d = problem.desc();
  const int64_t per_group_c = problem.in_c_per_group(), per_group_k = problem.out_c_per_group();
  table.add("channels_swapped", "the input's channels are in reverse order (RGB taken for BGR)",
            [&](Reading& reading) {
              InputView& view = reading.input;
              view.base += (d.in_c - 1) * view.c;
              view.c = -view.c, view.group = -view.group;
            });
  table.add("channels_swapped", "the input's channels are in reverse order within each group",
            [&](Reading& reading) {
              reading.input.base += (per_group_c - 1) * reading.input.c;
              reading.input.c = -reading.input.c;
            });
  table.add("channels_swapped", "the output's channels are in reverse order (RGB taken for BGR)",
            [&](Reading& reading) {
              reading.written_to = [last = d.out_c - 1](const Coordinate& at) {
                return Coordinate{at.n, at.p, at.q, last - at.k};
              };
            });
  table.add("channels_swapped", "the filter's output channels are in reverse order",
            [&](Reading& reading) {
              reading.filters.base += (per_group_k - 1) * reading.filters.k;
              reading.filters.k = -reading.filters.k;
            });
  if (per_group_c == per_group_k) {
    table.add("channels_swapped", "the filter's input and output channels are exchanged",
              [](Reading& reading) { std::swap(reading.filters.k, reading.filters.c); });
  }
}

void add_filter_orders(const Problem& problem, Table& table) {
  const ProblemDesc& d = problem.desc();
  const std::string right = name_of(d.filter_order);
  for (const std::string order : {"hwoi", "ihwo", "iohw", "hwio", "oihw", "ohwi"}) {
    for (const bool groups_in_o : {false, true}) {
      if (order == right || (groups_in_o && d.groups == 1)) continue;
      table.add(
          "filter_order",
          "the filters are stored as " + upper(order) +
              (groups_in_o ? " with all groups' channels in O" : "") + ", the problem says " +
              upper(right),
          [&](Reading& reading) { reading.filters = filter_view(problem, order, groups_in_o); });
    }
  }
}

/// Where the element at `at` of a tensor in one layout would be if its memory were in the other.
Coordinate in_other_layout(const Coordinate& at, Layout layout, const Extents& e) {
  const int64_t i = dense_strides(layout, e).offset(at.n, at.p, at.q, at.k);
  if (layout == Layout::nchw) return {at.n, i / e.c / e.w % e.h, i / e.c % e.w, i % e.c};
  return {at.n, i / e.w % e.h, i % e.w, i / e.w / e.h % e.c};
}

void add_layouts(const Problem& problem, Table& table) {
  const ProblemDesc& d = problem.desc();
  const Layout other = d.layout == Layout::nhwc ? Layout::nchw : Layout::nhwc;
  const std::string memory =
      " memory is " + upper(name_of(other)) + ", the problem says " + upper(name_of(d.layout));
  const auto input = [&](Reading& reading) {
    set_pixel_strides(reading.input, problem, dense_strides(other, problem.input_extents()));
  };
  const auto output = [&](Reading& reading) {
    reading.written_to = [layout = d.layout, e = problem.output_extents()](const Coordinate& at) {
      return in_other_layout(at, layout, e);
    };
  };
  table.add("layout", "the output's" + memory, output);
  if (!is_dense(d.input_strides, d.layout, problem.input_extents())) return;
  table.add("layout", "the input's" + memory, input);
  table.add("layout", "the input's and the output's" + memory,
            [&](Reading& reading) { input(reading), output(reading); });
}

void add_group_rotations(const Problem& problem, Table& table) {
  const int64_t groups = problem.desc().groups, per_group = problem.out_c_per_group();
  for (const int64_t by : {int64_t{1}, groups - 1}) {
    const std::string which = by == 1 ? "next" : "previous";
    table.add("group_off", "each group takes the filters of the " + which + " group",
              [&](Reading& reading) { reading.filter_rotation = by; });
    table.add("group_off", "each group reads the input channels of the " + which + " group",
              [&](Reading& reading) { reading.input_rotation = by; });
    table.add("group_off", "each group's output channels hold the " + which + " group",
              [=](Reading& reading) {
                reading.written_to = [=](const Coordinate& at) {
                  const int64_t group = (at.k / per_group + by) % groups;
                  return Coordinate{at.n, at.p, at.q, group * per_group + at.k % per_group};
                };
              });
  }
}

void add_group_interleavings(const Problem& problem, Table& table) {
  const int64_t groups = problem.desc().groups, per_group = problem.out_c_per_group();
  const auto interleave = [groups](auto& view, int64_t channel_stride) {
    view.group = channel_stride, view.c = channel_stride * groups;
  };
  const auto input = [&](Reading& reading) { interleave(reading.input, reading.input.c); };
  const auto filters = [&](Reading& reading) { interleave(reading.filters, reading.filters.c); };
  const auto output = [&](Reading& reading) {
    reading.written_to = [=](const Coordinate& at) {
      return Coordinate{at.n, at.p, at.q, at.k % groups * per_group + at.k / groups};
    };
  };
  const std::string how = " are interleaved between the groups instead of one block a group";
  table.add("group_off", "the input's channels" + how, input);
  table.add("group_off", "the output's channels" + how, output);
  table.add("group_off", "the input's and the output's channels" + how,
            [&](Reading& reading) { input(reading), output(reading); });
  table.add("group_off", "the filter's input channels" + how, filters);
  table.add("group_off", "the input's and the filter's input channels" + how,
            [&](Reading& reading) { input(reading), filters(reading); });
  const std::string order = name_of(problem.desc().filter_order);
  table.add("group_off",
            "the filters are stored as if for a forward convolution: the channels of all groups "
            "in O instead of I",
            [&](Reading& reading) { reading.filters = filter_view(problem, order, true); });
}

void add_missing_terms(const ProblemDesc& d, Table& table) {
  const auto no_bias = [](Reading& reading) { reading.bias = Stage::never; };
  const auto no_residual = [](Reading& reading) { reading.residual = Stage::never; };
  const auto no_activation = [](Reading& reading) {
    reading.desc.activation = Activation::identity;
  };
  const std::string activation = name_of(d.activation);
  const bool active = d.activation != Activation::identity;
  if (d.has_bias) table.add("bias_missing", "the bias is not added", no_bias);
  if (d.has_residual) table.add("residual_missing", "the residual is not added", no_residual);
  if (active) {
    table.add("activation_missing", "the activation " + activation + " is not applied",
              no_activation);
  }
  if (d.has_bias + d.has_residual + active > 1) {
    table.add(
        "epilogue_missing", "this is the bare sum, without bias, residual and activation",
        [&](Reading& reading) { no_bias(reading), no_residual(reading), no_activation(reading); });
  }
}

void add_epilogue_mistakes(const ProblemDesc& d, Table& table) {
  add_missing_terms(d, table);
  const auto bias_after = [](Reading& reading) { reading.bias = Stage::after_activation; };
  const auto residual_after = [](Reading& reading) { reading.residual = Stage::after_activation; };
  const std::string before =
      "the activation " + std::string(name_of(d.activation)) + " is applied before adding ";
  if (d.activation != Activation::identity) {
    if (d.has_residual) table.add("activation_order", before + "the residual", residual_after);
    if (d.has_bias) table.add("activation_order", before + "the bias", bias_after);
    if (d.has_bias && d.has_residual) {
      table.add("activation_order", before + "bias and residual",
                [&](Reading& reading) { bias_after(reading), residual_after(reading); });
    }
  }
  table.add("unreached_outputs",
            "outputs that no tap reaches were left out: they are zero or were never written, but "
            "must hold the epilogue of zero",
            [](Reading& reading) { reading.zero_unreached = true; });
}

}  // namespace

Reading right_reading(const Problem& problem) {
  Reading reading;
  reading.desc = problem.desc();
  set_pixel_strides(reading.input, problem, problem.desc().input_strides);
  const FilterStrides f = problem.filter_strides();
  reading.filters = {
      .base = 0, .r = f.r, .s = f.s, .group = f.c * problem.in_c_per_group(), .k = f.k, .c = f.c};
  return reading;
}

std::vector<Hypothesis> usual_mistakes(const Problem& problem, int64_t most_shifts) {
  std::vector<Hypothesis> all;
  Table table(problem, all);
  add_padding_mistakes(problem, most_shifts, all);
  add_step_mistakes(problem, all);
  add_flips(problem, table);
  add_transpositions(problem, table);
  add_channel_mistakes(problem, table);
  add_filter_orders(problem, table);
  add_layouts(problem, table);
  if (problem.desc().groups > 1) {
    add_group_rotations(problem, table);
    add_group_interleavings(problem, table);
  }
  add_epilogue_mistakes(problem.desc(), table);
  add_number_mistakes(problem, all);
  return all;
}

}  // namespace tconv::host
