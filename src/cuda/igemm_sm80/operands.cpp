// SPDX-License-Identifier: Apache-2.0
// operands.cpp: see operands.h.
#include "src/cuda/igemm_sm80/operands.h"

#include <numeric>

namespace tconv::host::igemm {

FilterOrder filter_order(const Problem& problem) {
  const bool native =
      problem.desc().filter_order == FilterOrder::ihwo && element_bytes(problem) == 2;
  return native ? FilterOrder::ihwo : FilterOrder::hwoi;
}

FilterStrides filter_strides(const Problem& problem) {
  const ProblemDesc& d = problem.desc();
  if (filter_order(problem) == FilterOrder::ihwo) return problem.filter_strides();
  const int64_t tap = problem.out_c_per_group() * d.in_c;
  return {.r = d.w.kernel * tap, .s = tap, .k = d.in_c, .c = 1};
}

int vector_bytes(const Problem& problem) {
  const ProblemDesc& d = problem.desc();
  int64_t vector_bytes = std::gcd(int64_t{16}, int64_t{d.alignment});
  const auto has_rows = [&](int64_t elements) {
    vector_bytes = std::gcd(vector_bytes, elements * element_bytes(problem));
  };
  has_rows(problem.in_c_per_group());
  if (filter_order(problem) == FilterOrder::hwoi) has_rows(d.in_c);
  if (!input_channels_last(problem)) return static_cast<int>(vector_bytes);
  if (d.batch > 1) has_rows(d.input_strides.n);
  if (d.h.in > 1) has_rows(d.input_strides.h);
  if (d.w.in > 1) has_rows(d.input_strides.w);
  return static_cast<int>(vector_bytes);
}

bool has_pixel_pairs(const Problem& problem) {
  const ProblemDesc& d = problem.desc();
  const Strides& s = d.input_strides;
  const auto even = [](int64_t x) { return x % 2 == 0; };
  return element_bytes(problem) == 2 && d.alignment % 4 == 0 && !input_channels_last(problem) &&
         s.w == 1 && even(d.w.in) && even(s.n) && even(s.c) && even(s.h);
}

int filter_vector_bytes(const Problem& problem) {
  const ProblemDesc& d = problem.desc();
  // Taps, channels and groups lie multiples of a row apart.
  const int64_t row = filter_order(problem) == FilterOrder::ihwo ? problem.out_c_per_group()
                                                                 : problem.in_c_per_group();
  return static_cast<int>(
      std::gcd(std::gcd(int64_t{16}, int64_t{d.alignment}), row * element_bytes(problem)));
}

}  // namespace tconv::host::igemm
