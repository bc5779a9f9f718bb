// SPDX-License-Identifier: Apache-2.0
// repack.cu: the kernels of ours around a vendor's.
//
//   repack     to[order(r,s,k,c)] = filters[r,s,k,c]
//   epilogue   output[n,p,q,k] = round(activation(sums[n,p,q,k] + bias[k] + residual[n,p,q,k]))
//   n batch | p,q output pixel | r,s tap | c input channel | k output channel
//
// One thread per element, neighbours in what is written. Both are limited by memory: filters are a
// few megabytes that the L2 cache holds while they are turned, and the epilogue reads as it writes.
// Not yet run on a GPU.
#include <algorithm>
#include <array>

#include "src/cuda/common/epilogue.cuh"
#include "src/cuda/common/index.cuh"
#include "src/cuda/runtime/launch.cuh"
#include "src/cuda/runtime/repack.h"

namespace tconv::cuda {
namespace {

using namespace host;  // NOLINT(google-build-using-namespace): of our own library

constexpr int kThreads = kRepackThreads;
constexpr const char* kName = "repack";  // for the families cudnn and igemm_sm80

/// Four nested extents, the outermost first, and the strides of what is read along them.
template <typename Index>
struct Order {
  Index count;
  std::array<Index, 4> extents, from_strides;

  /// Where element `i`, counted in the order that is written, lies in what is read.
  constexpr Index from(Index i) const {
    Index offset = 0;
    for (int axis = 3; axis >= 0; --axis) {
      offset += i % extents[axis] * from_strides[axis];
      i /= extents[axis];
    }
    return offset;
  }
};

/// T is any type of the elements' size: they are copied, not read.
template <typename T, typename Index>
__global__ void __launch_bounds__(kThreads)
    repack(const Order<Index> d, const T* __restrict__ from, T* __restrict__ to) {
  const Index i = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= d.count) return;
  to[i] = from[d.from(i)];
}

/// `sums` may be the output: each thread reads its element before it writes it.
template <typename Sum, typename Index>
__global__ void __launch_bounds__(kThreads)
    finish_sums(const Shape<Index> d, const Steps<Index> steps, const Sum* sums,
                const Epilogue<Sum> epilogue) {
  const Index i = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= d.outputs) return;
  const auto [n, p, q, k] = position_of(d, i);
  const Sum sum = sums[steps.offset(n, p, q, k)];
  finish(epilogue, sum, k, d.residual.offset(n, p, q, k), d.output.offset(n, p, q, k));
}

// ---- Host side. ---------------------------------------------------------------------------------

Extent3 blocks_for(int64_t count) {
  return {static_cast<unsigned>(ceil_div(count, kThreads)), 1, 1};
}

/// Calls body.operator()<T>() with an unsigned type as wide as the elements.
template <typename Body>
void with_width(DType type, Body&& body) {
  switch (size_of(type)) {
    case 2: return body.template operator()<uint16_t>();
    case 4: return body.template operator()<uint32_t>();
    default: return body.template operator()<uint64_t>();
  }
}

template <typename Body>
void with_sum(DType type, Body&& body) {
  if (type == DType::f64) return body.template operator()<double>();
  return body.template operator()<float>();
}

/// Calls body.operator()<Index>() with a type that holds every number of the kernels: 64-bit
/// divisions are what these would otherwise spend most of their time on.
template <typename Body>
void with_index(const Problem& problem, Body&& body) {
  if (fits<int32_t>(problem, kThreads)) return body.template operator()<int32_t>();
  return body.template operator()<int64_t>();
}

/// The dimensions r, s, k, c from the outermost of `to` inwards.
template <typename Index>
Order<Index> make_order(const Problem& problem, const FilterStrides& to) {
  struct Dimension {
    int64_t extent, from, to;
  };
  const ProblemDesc& d = problem.desc();
  const FilterStrides from = problem.filter_strides();
  std::array<Dimension, 4> dimensions = {{{d.h.kernel, from.r, to.r},
                                          {d.w.kernel, from.s, to.s},
                                          {problem.out_c_per_group(), from.k, to.k},
                                          {d.in_c, from.c, to.c}}};
  // Where strides tie, a dimension of one element is among them, and its place does not matter.
  std::stable_sort(dimensions.begin(), dimensions.end(),
                   [](const Dimension& a, const Dimension& b) { return a.to > b.to; });
  Order<Index> order{.count = 1, .extents = {}, .from_strides = {}};
  for (std::size_t i = 0; i < dimensions.size(); ++i) {
    order.count *= static_cast<Index>(dimensions[i].extent);
    order.extents[i] = static_cast<Index>(dimensions[i].extent);
    order.from_strides[i] = static_cast<Index>(dimensions[i].from);
  }
  return order;
}

}  // namespace
}  // namespace tconv::cuda

namespace tconv::host {

void load_repack(const Problem& problem) {
  cuda::with_index(problem, [&]<typename Index>() {
    cuda::with_width(problem.desc().dtype, [&]<typename T>() {
      gpu().load(reinterpret_cast<const void*>(cuda::repack<T, Index>), 0, kAnyCarveout);
    });
  });
}

void load_epilogue(const Problem& problem) {
  cuda::with_index(problem, [&]<typename Index>() {
    cuda::with_sum(problem.desc().dtype, [&]<typename Sum>() {
      gpu().load(reinterpret_cast<const void*>(cuda::finish_sums<Sum, Index>), 0, kAnyCarveout);
    });
  });
}

void enqueue_repack(const Problem& problem, const FilterStrides& order, const void* filters,
                    void* to, Stream stream) {
  cuda::with_index(problem, [&]<typename Index>() {
    cuda::with_width(problem.desc().dtype, [&]<typename T>() {
      const auto d = cuda::make_order<Index>(problem, order);
      cuda::launch(cuda::repack<T, Index>, cuda::blocks_for(d.count), {cuda::kThreads, 1, 1}, 0,
                   stream, cuda::kName, d, static_cast<const T*>(filters), static_cast<T*>(to));
    });
  });
}

void enqueue_epilogue(const Problem& problem, const void* sums, const Strides& sums_strides,
                      const Tensors& tensors, Stream stream) {
  cuda::with_index(problem, [&]<typename Index>() {
    cuda::with_sum(problem.desc().dtype, [&]<typename Sum>() {
      const auto d = cuda::make_shape<Index>(problem);
      const auto steps = cuda::make_steps<Index>(problem.output_extents(), sums_strides);
      cuda::launch(cuda::finish_sums<Sum, Index>, cuda::blocks_for(d.outputs),
                   {cuda::kThreads, 1, 1}, 0, stream, cuda::kName, d, steps,
                   static_cast<const Sum*>(sums),
                   cuda::make_epilogue<Sum>(problem.desc(), tensors));
    });
  });
}

}  // namespace tconv::host
