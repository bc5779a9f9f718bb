// SPDX-License-Identifier: Apache-2.0
// weights.cpp: oneDNN's blocked layouts as tables of offsets, and the loop that uses them.
#include "src/host/cpu/onednn/weights.h"

#include <algorithm>

#include "src/host/cpu/onednn/convert.h"
#include "src/host/problem/errors.h"

namespace tconv::host {
namespace {

/// The offsets of the indices of one dimension.
std::vector<int64_t> offsets(const dnnl_memory_desc_t& md, int dim) {
  const dnnl_blocking_desc_t& blocking = md.format_desc.blocking;
  std::vector<int64_t> result(static_cast<std::size_t>(md.dims[dim]));
  for (std::size_t i = 0; i < result.size(); ++i) {
    auto rest = static_cast<int64_t>(i);
    int64_t inner_stride = 1;
    for (int b = blocking.inner_nblks - 1; b >= 0; --b) {
      const int64_t block = blocking.inner_blks[b];
      if (blocking.inner_idxs[b] == dim) {
        result[i] += rest % block * inner_stride;
        rest /= block;
      }
      inner_stride *= block;
    }
    result[i] += rest * blocking.strides[dim];
  }
  return result;
}

template <typename T>
void pack_typed(const Problem& problem, const WeightsOrder& order, const T* filters, float* packed,
                [[maybe_unused]] int threads) {
  constexpr int64_t kBlock = 16;  // the blocks of oneDNN's layouts, and a cache line of f32
  const FilterStrides strides = problem.filter_strides();
  const auto in_c = static_cast<int64_t>(order.c.size()),
             out_c = static_cast<int64_t>(order.k.size());
  const auto kernel_h = static_cast<int64_t>(order.r.size());
  const auto kernel_w = static_cast<int64_t>(order.s.size());
  if (order.has_padding) std::fill_n(packed, order.bytes / sizeof(float), 0.0f);
  const int64_t c_blocks = ceil_div(in_c, kBlock), tasks = c_blocks * kernel_h * kernel_w;
  const int64_t *to_c = order.c.data(), *to_k = order.k.data();
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t task = 0; task < tasks; ++task) {
    const int64_t s = task % kernel_w, r = task / kernel_w % kernel_h;
    const int64_t first_c = task / kernel_w / kernel_h * kBlock;
    const int64_t end_c = std::min(in_c, first_c + kBlock);
    const T* from = filters + strides.offset(r, s, 0, 0);
    float* to =
        packed + order.r[static_cast<std::size_t>(r)] + order.s[static_cast<std::size_t>(s)];
    for (int64_t first_k = 0; first_k < out_c; first_k += kBlock) {
      const int64_t end_k = std::min(out_c, first_k + kBlock);
      for (int64_t c = first_c; c < end_c; ++c) {
        for (int64_t k = first_k; k < end_k; ++k) {
          to[to_c[c] + to_k[k]] = widen_branchless(from[k * strides.k + c * strides.c]);
        }
      }
    }
  }
}

}  // namespace

WeightsOrder order_of(const dnnl::memory::desc& weights) {
  const dnnl_memory_desc_t& md = weights.data;
  if (md.format_kind != dnnl_blocked || md.extra.flags != dnnl_memory_extra_flag_none) {
    throw Unsupported("oneDNN wants filters in an order that is not documented");
  }
  const int g = md.ndims - 4;  // 1 if there is a dimension of groups
  WeightsOrder order{.r = offsets(md, g + 2),
                     .s = offsets(md, g + 3),
                     .k = offsets(md, g + 1),
                     .c = offsets(md, g),
                     .bytes = weights.get_size()};
  if (g == 1) {
    std::vector<int64_t> all;
    for (const int64_t group : offsets(md, 0)) {
      for (const int64_t c : order.c) all.push_back(group + c);
    }
    order.c = std::move(all);
  }
  order.has_padding = !std::equal(md.dims, md.dims + md.ndims, md.padded_dims);
  return order;
}

/// The caller's filters are f32 and already lie as oneDNN wants them.
bool lies_in(const Problem& problem, const WeightsOrder& order) {
  const FilterStrides strides = problem.filter_strides();
  const auto agrees = [](const std::vector<int64_t>& table, int64_t stride) {
    for (std::size_t i = 0; i < table.size(); ++i) {
      if (table[i] != static_cast<int64_t>(i) * stride) return false;
    }
    return true;
  };
  return problem.desc().dtype == DType::f32 && agrees(order.c, strides.c) &&
         agrees(order.k, strides.k) && agrees(order.r, strides.r) && agrees(order.s, strides.s);
}

void pack_filters(const Problem& problem, const WeightsOrder& order, const void* filters,
                  float* packed, int threads) {
  with_narrow_type(problem.desc().dtype, [&]<typename T>() {
    pack_typed(problem, order, static_cast<const T*>(filters), packed, threads);
  });
}

}  // namespace tconv::host
