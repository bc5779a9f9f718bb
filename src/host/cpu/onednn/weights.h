// SPDX-License-Identifier: Apache-2.0
// weights.h: filters of any type and order -> the f32 layout that oneDNN chose.
#pragma once

#include <cstddef>
#include <cstdint>
#include <dnnl.hpp>
#include <vector>

#include "src/host/problem/problem.h"

namespace tconv::host {

/// Where oneDNN wants filter (r, s, k, c): at the sum of one entry of each table. Its blocked
/// layouts are separable by dimension, so one pass takes filters there from any type and order.
struct WeightsOrder {
  std::vector<int64_t> r, s, k, c;  ///< k within its group, c over all groups
  std::size_t bytes = 0;
  bool has_padding = false;  ///< elements that no filter fills and that must be zero
};

/// Of weights [groups,] in_c / groups, out_c / groups, kh, kw. Throws Unsupported if they are not
/// in a plain blocked layout.
WeightsOrder order_of(const dnnl::memory::desc& weights);

/// The caller's filters are f32 and already lie in this order.
bool lies_in(const Problem& problem, const WeightsOrder& order);

void pack_filters(const Problem& problem, const WeightsOrder& order, const void* filters,
                  float* packed, int threads);

}  // namespace tconv::host
