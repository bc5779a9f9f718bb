// SPDX-License-Identifier: Apache-2.0
// fitting.cpp: shapes that fit together in another convention's order say so.
#include <algorithm>
#include <limits>
#include <vector>

#include "src/host/conventions/checks.h"

namespace tconv::host::convention {
namespace {

/// Where an order has a filter's dimensions.
struct FilterPlaces {
  const char* whose;
  const char* dimensions;
  int kh, kw, ci;
};
constexpr FilterPlaces kOrders[] = {
    {"TensorFlow", "[kernel_height, kernel_width, out_channels, in_channels]", 0, 1, 3},
    {"PyTorch and ONNX", "[in_channels, out_channels / groups, kernel_height, kernel_width]", 2, 3,
     0},
    {"a forward convolution of TensorFlow",
     "[kernel_height, kernel_width, in_channels, out_channels]", 0, 1, 2},
    {"a forward convolution of PyTorch", "[out_channels, in_channels, kernel_height, kernel_width]",
     2, 3, 1},
    {"TFLite", "[out_channels, kernel_height, kernel_width, in_channels]", 1, 2, 3}};

/// The orders in which the filters have `in_c` input channels; of several those with the smallest
/// kernel, since channels are many and kernels small.
std::vector<const FilterPlaces*> orders_that_fit(const Vocabulary& words, const Numbers& filter,
                                                 int64_t in_c) {
  std::vector<const FilterPlaces*> fitting;
  double smallest = std::numeric_limits<double>::infinity();
  for (const FilterPlaces& order : kOrders) {
    const bool own = order.ci == words.filter_place.ci && order.kh == words.filter_place.kh;
    if (own || filter[order.ci] != in_c) continue;
    const double kernel =
        static_cast<double>(filter[order.kh]) * static_cast<double>(filter[order.kw]);
    if (kernel > smallest) continue;
    if (kernel < smallest) fitting.clear();
    smallest = kernel;
    fitting.push_back(&order);
  }
  return fitting;
}

std::string text_of(const std::vector<const FilterPlaces*>& orders) {
  std::string text;
  for (const FilterPlaces* order : orders) {
    text += std::string(text.empty() ? "" : ", or ") + "in the order of " + order->whose + ", " +
            order->dimensions;
  }
  return text;
}

}  // namespace

std::string fitting_hint(const Vocabulary& words, const Numbers& input, const Numbers& filter) {
  constexpr std::size_t kRank = 4;
  if (input.size() != kRank || filter.size() != kRank) return "";
  const bool last = words.input_place.c == 3;
  const int64_t in_c = input[words.input_place.c], other_c = input[last ? 1 : 3];
  if (const auto orders = orders_that_fit(words, filter, in_c); !orders.empty()) {
    return "; " + text_of(orders) + ", the filter would fit";
  }
  const std::string input_order =
      last ? "[batch, channels, height, width]" : "[batch, height, width, channels]";
  if (filter[words.filter_place.ci] == other_c) {
    return "; if the input is " + input_order + ", the filter fits";
  }
  if (const auto orders = orders_that_fit(words, filter, other_c); !orders.empty()) {
    return "; if the input is " + input_order + ", the filter would fit " + text_of(orders);
  }
  return "";
}

}  // namespace tconv::host::convention
