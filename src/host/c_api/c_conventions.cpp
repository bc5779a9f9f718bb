// SPDX-License-Identifier: Apache-2.0
// c_conventions.cpp: the C boundary of the conventions (tconv_c_conventions.h).
#include <algorithm>

#include "src/host/c_api/c_translate.h"
#include "src/host/c_api/guarded.h"
#include "src/host/conventions/conventions.h"

namespace tconv::host {
namespace {

template <typename CArgs>
tconv_status from_convention(const CArgs* args, tconv_problem_desc* desc) noexcept {
  return guarded([&] {
    tconv_problem_desc known = received(need(desc, "desc"), "desc");
    const auto host_args = to_host(need(args, "args"));
    ProblemDesc translated;
    translate(host_args, translated);
    write_geometry(translated, known);
    deliver(known, *desc);
  });
}

template <typename CArgs>
tconv_status shape_of_convention(const CArgs* args, int64_t* shape, int32_t* rank) noexcept {
  return guarded([&] {
    need(shape, "shape");
    need(rank, "rank");
    const Numbers numbers = output_shape(to_host(need(args, "args")));
    std::ranges::copy(numbers, shape);
    *rank = static_cast<int32_t>(numbers.size());
  });
}

template <typename CArgs>
tconv_status sizes_of_convention(const CArgs* args, tconv_output_sizes* sizes) noexcept {
  return guarded([&] {
    tconv_output_sizes known = received(need(sizes, "sizes"), "sizes");
    const OutputSizes legal = output_sizes(to_host(need(args, "args")));
    for (std::size_t axis = 0; axis < 2; ++axis) {
      known.low[axis] = legal.low[axis];
      known.high[axis] = legal.high[axis];
    }
    deliver(known, *sizes);
  });
}

}  // namespace
}  // namespace tconv::host

using namespace tconv::host;

extern "C" {

tconv_status tconv_problem_desc_from_tensorflow(const tconv_tensorflow_args* args,
                                                tconv_problem_desc* desc) {
  return from_convention(args, desc);
}
tconv_status tconv_problem_desc_from_pytorch(const tconv_pytorch_args* args,
                                             tconv_problem_desc* desc) {
  return from_convention(args, desc);
}
tconv_status tconv_problem_desc_from_onnx(const tconv_onnx_args* args, tconv_problem_desc* desc) {
  return from_convention(args, desc);
}
tconv_status tconv_tensorflow_output_sizes(const tconv_tensorflow_args* args,
                                           tconv_output_sizes* sizes) {
  return sizes_of_convention(args, sizes);
}
tconv_status tconv_pytorch_output_sizes(const tconv_pytorch_args* args, tconv_output_sizes* sizes) {
  return sizes_of_convention(args, sizes);
}
tconv_status tconv_onnx_output_sizes(const tconv_onnx_args* args, tconv_output_sizes* sizes) {
  return sizes_of_convention(args, sizes);
}

tconv_status tconv_tensorflow_output_shape(const tconv_tensorflow_args* args, int64_t* shape,
                                           int32_t* rank) {
  return shape_of_convention(args, shape, rank);
}
tconv_status tconv_pytorch_output_shape(const tconv_pytorch_args* args, int64_t* shape,
                                        int32_t* rank) {
  return shape_of_convention(args, shape, rank);
}
tconv_status tconv_onnx_output_shape(const tconv_onnx_args* args, int64_t* shape, int32_t* rank) {
  return shape_of_convention(args, shape, rank);
}

}  // extern "C"
