// SPDX-License-Identifier: Apache-2.0
// wrong_results.h: how to commit a mistake: a problem with its operands, and the result that
// somebody has who reads, moves or writes the data wrongly. Data are moved in loops of this file's
// own and the reference runs on them.
#pragma once

#include <functional>
#include <random>

#include "src/host/cpu/reference.h"
#include "src/host/verify/verify.h"
#include "tests/support/support.h"

namespace tconv::test {

using Random = std::mt19937_64;

inline int64_t below(Random& random, int64_t n) {
  return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
}

/// A problem, its operands, and the memory that somebody's wrong result will fill.
struct Scene {
  Problem problem;
  Operands data;

  const ProblemDesc& desc() const { return problem.desc(); }
  void store_output(const Coordinate& at, double value) {
    const int64_t offset = desc().output_strides.offset(at.n, at.p, at.q, at.k);
    store(desc().output_dtype, data.output.data(), offset, value);
  }
  double output(const Operands& from, const Coordinate& at) const {
    const int64_t offset = desc().output_strides.offset(at.n, at.p, at.q, at.k);
    return load(desc().output_dtype, from.output.data(), offset);
  }
};

template <typename Visit>
void for_each(const Extents& e, Visit&& visit) {
  for (int64_t n = 0; n < e.n; ++n) {
    for (int64_t h = 0; h < e.h; ++h) {
      for (int64_t w = 0; w < e.w; ++w) {
        for (int64_t c = 0; c < e.c; ++c) visit(Coordinate{n, h, w, c});
      }
    }
  }
}

/// The result of the reference for `desc` on altered operands becomes the scene's output.
inline void run_as(Scene& scene, const ProblemDesc& desc, const Operands& operands) {
  Operands altered = operands;
  Tensors tensors = altered.tensors();
  tensors.output = scene.data.output.data();
  reference_conv2d_transpose(Problem(desc), tensors, 1);
}

using Map = std::function<Coordinate(const Coordinate&)>;

/// The caller's input had at each place what the right one has at from(place).
inline void run_with_input(Scene& scene, const Map& from) {
  Operands altered = scene.data;
  const ProblemDesc& d = scene.desc();
  const auto offset = [&](const Coordinate& at) {
    return d.input_strides.offset(at.n, at.p, at.q, at.k);
  };
  for_each(scene.problem.input_extents(), [&](const Coordinate& at) {
    store(d.dtype, altered.input.data(), offset(at),
          load(d.dtype, scene.data.input.data(), offset(from(at))));
  });
  run_as(scene, d, altered);
}

/// The same for the filters; a coordinate is (r, s, k within the group, c of all groups), and
/// `from` gives a place in memory.
inline void run_with_filters(Scene& scene, const std::function<int64_t(const Coordinate&)>& from) {
  Operands altered = scene.data;
  const ProblemDesc& d = scene.desc();
  const FilterStrides strides = scene.problem.filter_strides();
  for_each({d.h.kernel, d.w.kernel, scene.problem.out_c_per_group(), d.in_c},
           [&](const Coordinate& at) {
             store(d.dtype, altered.filters.data(), strides.offset(at.n, at.p, at.q, at.k),
                   load(d.dtype, scene.data.filters.data(), from(at)));
           });
  run_as(scene, d, altered);
}
inline void run_with_filters_moved(Scene& scene, const Map& from) {
  const FilterStrides strides = scene.problem.filter_strides();
  run_with_filters(scene, [&](const Coordinate& at) {
    const Coordinate source = from(at);
    return strides.offset(source.n, source.p, source.q, source.k);
  });
}

/// The right result, but each place holds the element of from(place).
inline void run_with_output(Scene& scene, const Map& from) {
  run_as(scene, scene.desc(), scene.data);
  const Operands right = scene.data;
  for_each(scene.problem.output_extents(),
           [&](const Coordinate& at) { scene.store_output(at, scene.output(right, from(at))); });
}

/// The right result without epilogue in f64, then an epilogue of the caller's own; bias and
/// residual are 0 where there is none.
inline void run_with_epilogue(
    Scene& scene, const std::function<double(double sum, double bias, double residual)>& own) {
  ProblemDesc bare = scene.desc();
  bare.has_bias = bare.has_residual = false;
  bare.activation = Activation::identity;
  const Problem problem(bare);
  const Tensors tensors = scene.data.tensors();
  const ProblemDesc& d = scene.desc();
  for_each(scene.problem.output_extents(), [&](const Coordinate& at) {
    const double sum = exact_element(problem, tensors, at.n, at.p, at.q, at.k).value;
    const int64_t offset = d.residual_strides.offset(at.n, at.p, at.q, at.k);
    scene.store_output(at,
                       own(sum, d.has_bias ? load(d.bias_dtype, tensors.bias, at.k) : 0,
                           d.has_residual ? load(d.output_dtype, tensors.residual, offset) : 0));
  });
}

}  // namespace tconv::test
