// SPDX-License-Identifier: Apache-2.0
// planted_mistakes.h: every mistake that diagnose() claims to know, committed independently of it:
// data are moved in loops of this file's own and the reference runs on them.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <ostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

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

// ---- The mistakes, each as its own small program. -----------------------------------------------

struct Plant {
  const char* label;
  const char* name;  ///< what diagnose() must say
  /// Makes a random desc one on which the mistake is possible.
  std::function<void(Random&, ProblemDesc&)> shape;
  /// Writes the wrong result.
  std::function<void(Random&, Scene&)> commit;
};

inline std::ostream& operator<<(std::ostream& stream, const Plant& plant) {
  return stream << plant.label;
}

inline void any(Random&, ProblemDesc&) {}
inline void grouped(Random& random, ProblemDesc& d) {
  d.groups = 2 + below(random, 3);
  d.in_c = d.groups * (1 + below(random, 3));
  d.out_c = d.groups * (1 + below(random, 3));
}
inline void square(Random&, ProblemDesc& d) { d.w = d.h; }
inline void square_kernel(Random& random, ProblemDesc& d) {
  d.w.kernel = d.h.kernel = 2 + below(random, 3);
}
inline void dilated(Random& random, ProblemDesc& d) {
  for (Axis* axis : {&d.h, &d.w}) {
    axis->dilation = 2 + below(random, 2);
    axis->kernel = 2 + below(random, 3);
  }
}
inline void with_epilogue(Random& random, ProblemDesc& d) {
  d.has_bias = d.has_residual = true;
  d.activation =
      std::array{Activation::relu, Activation::leaky_relu, Activation::sigmoid,
                 Activation::tanh, Activation::gelu,       Activation::silu}[random() % 6];
  d.activation_a = d.activation == Activation::leaky_relu ? 0.25 : 0;
}

/// The axes as TensorFlow's SAME sets them.
inline void same(Random& random, ProblemDesc& d) {
  for (Axis* axis : {&d.h, &d.w}) {
    axis->out = axis->in * axis->stride - below(random, axis->stride);
    axis->pad_begin = std::max<int64_t>(axis->full() - axis->out, 0) / 2;
  }
}

/// Commits by computing another problem on the same data.
template <typename Change>
std::function<void(Random&, Scene&)> other_desc(Change change) {
  return [change](Random& random, Scene& scene) {
    ProblemDesc d = scene.desc();
    change(random, d);
    run_as(scene, d, scene.data);
  };
}

inline std::vector<Plant> padding_plants() {
  const char* name = "padding_side";
  const auto mirror = [](Axis& axis) { axis.pad_begin = axis.pad_end(); };
  return {
      {"PaddingMirrored", name, any,
       other_desc([=](Random&, ProblemDesc& d) { mirror(d.h), mirror(d.w); })},
      {"PaddingMirroredAlongW", name, any,
       other_desc([=](Random&, ProblemDesc& d) { mirror(d.w); })},
      {"PaddingOfPyTorchForSame", name,
       [](Random& random, ProblemDesc& d) {
         for (Axis* axis : {&d.h, &d.w}) {
           axis->kernel = 3 + 2 * below(random, 2), axis->stride = 2, axis->dilation = 1;
         }
         same(random, d);
       },
       other_desc([](Random&, ProblemDesc& d) {
         d.h.pad_begin = (d.h.kernel - 1) / 2, d.w.pad_begin = (d.w.kernel - 1) / 2;
       })},
      {"PaddingShifted", name, any, other_desc([](Random& random, ProblemDesc& d) {
         for (Axis* axis : {&d.h, &d.w}) {
           axis->pad_begin += below(random, 2 * axis->keff() + 1) - axis->keff();
         }
       })},
  };
}

inline std::vector<Plant> tap_plants() {
  return {
      {"TapsFlipped", "taps_flipped", any,
       [](Random&, Scene& scene) {
         const ProblemDesc& d = scene.desc();
         run_with_filters_moved(scene, [&](const Coordinate& at) {
           return Coordinate{d.h.kernel - 1 - at.n, d.w.kernel - 1 - at.p, at.q, at.k};
         });
       }},
      {"TapsFlippedAlongH", "taps_flipped", any,
       [](Random&, Scene& scene) {
         const int64_t last = scene.desc().h.kernel - 1;
         run_with_filters_moved(scene, [=](const Coordinate& at) {
           return Coordinate{last - at.n, at.p, at.q, at.k};
         });
       }},
      {"TapsFlippedAlongW", "taps_flipped", any,
       [](Random&, Scene& scene) {
         const int64_t last = scene.desc().w.kernel - 1;
         run_with_filters_moved(scene, [=](const Coordinate& at) {
           return Coordinate{at.n, last - at.p, at.q, at.k};
         });
       }},
  };
}

inline std::vector<Plant> axis_plants() {
  const char* name = "hw_swapped";
  const Map transpose = [](const Coordinate& at) { return Coordinate{at.n, at.q, at.p, at.k}; };
  const auto field_swapped = [](int64_t Axis::*field) {
    return other_desc([field](Random&, ProblemDesc& d) { std::swap(d.h.*field, d.w.*field); });
  };
  return {
      {"FilterTransposed", name, square_kernel,
       [](Random&, Scene& scene) {
         run_with_filters_moved(scene, [](const Coordinate& at) {
           return Coordinate{at.p, at.n, at.q, at.k};
         });
       }},
      {"InputTransposed", name, square,
       [=](Random&, Scene& scene) { run_with_input(scene, transpose); }},
      {"OutputTransposed", name, square,
       [=](Random&, Scene& scene) { run_with_output(scene, transpose); }},
      {"StridesSwapped", name, any, field_swapped(&Axis::stride)},
      {"DilationsSwapped", name, dilated, field_swapped(&Axis::dilation)},
      {"PadsSwapped", name, any, field_swapped(&Axis::pad_begin)},
      {"StridesOfHForBoth", name, any,
       other_desc([](Random&, ProblemDesc& d) { d.w.stride = d.h.stride; })},
      {"StridesSwappedUnderSame", name, same, other_desc([](Random&, ProblemDesc& d) {
         std::swap(d.h.stride, d.w.stride);
         for (Axis* axis : {&d.h, &d.w}) {
           axis->pad_begin = std::max<int64_t>(axis->full() - axis->out, 0) / 2;
         }
       })},
      {"AllParametersSwapped", name, any, other_desc([](Random&, ProblemDesc& d) {
         std::swap(d.h.stride, d.w.stride);
         std::swap(d.h.dilation, d.w.dilation);
         std::swap(d.h.pad_begin, d.w.pad_begin);
       })},
      {"StrideAndDilationExchanged", "stride_dilation_swapped", any,
       other_desc([](Random&, ProblemDesc& d) {
         for (Axis* axis : {&d.h, &d.w}) std::swap(axis->stride, axis->dilation);
       })},
      {"DilationIgnored", "dilation_ignored", dilated,
       other_desc([](Random&, ProblemDesc& d) { d.h.dilation = d.w.dilation = 1; })},
      {"DilationIgnoredUnderSame", "dilation_ignored",
       [](Random& random, ProblemDesc& d) { dilated(random, d), same(random, d); },
       other_desc([](Random&, ProblemDesc& d) {
         for (Axis* axis : {&d.h, &d.w}) {
           axis->dilation = 1;
           axis->pad_begin = std::max<int64_t>(axis->full() - axis->out, 0) / 2;
         }
       })},
  };
}

inline std::vector<Plant> channel_plants() {
  const char* name = "channels_swapped";
  return {
      {"InputChannelsReversed", name, any,
       [](Random&, Scene& scene) {
         run_with_input(scene, [last = scene.desc().in_c - 1](const Coordinate& at) {
           return Coordinate{at.n, at.p, at.q, last - at.k};
         });
       }},
      {"OutputChannelsReversed", name, any,
       [](Random&, Scene& scene) {
         run_with_output(scene, [last = scene.desc().out_c - 1](const Coordinate& at) {
           return Coordinate{at.n, at.p, at.q, last - at.k};
         });
       }},
      {"FilterOutputChannelsReversed", name, any,
       [](Random&, Scene& scene) {
         const int64_t last = scene.problem.out_c_per_group() - 1;
         run_with_filters_moved(scene, [=](const Coordinate& at) {
           return Coordinate{at.n, at.p, last - at.q, at.k};
         });
       }},
      {"FilterChannelsExchanged", name,
       [](Random& random, ProblemDesc& d) { d.in_c = d.out_c = d.groups * (2 + below(random, 3)); },
       [](Random&, Scene& scene) {
         const int64_t per_group = scene.problem.in_c_per_group();
         run_with_filters_moved(scene, [=](const Coordinate& at) {
           const int64_t group = at.k / per_group;
           return Coordinate{at.n, at.p, at.k % per_group, group * per_group + at.q};
         });
       }},
  };
}

/// Where the filters' element (r, s, k, c) lies in memory of an order of h, w, o, i.
inline int64_t filter_position(const std::string& order, const Problem& problem,
                               const Coordinate& at) {
  const ProblemDesc& d = problem.desc();
  int64_t position = 0;
  for (const char letter : order) {
    if (letter == 'h') position = position * d.h.kernel + at.n;
    if (letter == 'w') position = position * d.w.kernel + at.p;
    if (letter == 'o') position = position * problem.out_c_per_group() + at.q;
    if (letter == 'i') position = position * d.in_c + at.k;
  }
  return position;
}

/// For a dense tensor stored in one layout and read in another: what is found at each place.
inline Map reread(const Extents& e, Layout stored, Layout read) {
  std::vector<Coordinate> memory(static_cast<std::size_t>(e.count()));
  const auto place = [e](Layout layout, const Coordinate& at) {
    return static_cast<std::size_t>(dense_strides(layout, e).offset(at.n, at.p, at.q, at.k));
  };
  for_each(e, [&](const Coordinate& at) { memory[place(stored, at)] = at; });
  return [=](const Coordinate& at) { return memory[place(read, at)]; };
}

inline Layout other(Layout layout) { return layout == Layout::nhwc ? Layout::nchw : Layout::nhwc; }
inline void dense(Random&, ProblemDesc& d) { d.input_strides = d.output_strides = {}; }

inline std::vector<Plant> memory_plants() {
  std::vector<Plant> plants;
  for (const char* order : {"hwoi", "ihwo", "iohw", "hwio", "oihw", "ohwi"}) {
    plants.push_back({order, "filter_order",
                      [order](Random&, ProblemDesc& d) {
                        if (std::string(order) != name_of(d.filter_order)) return;
                        d.filter_order = d.filter_order == FilterOrder::hwoi ? FilterOrder::iohw
                                                                             : FilterOrder::hwoi;
                      },
                      [order](Random&, Scene& scene) {
                        run_with_filters(scene, [&](const Coordinate& at) {
                          return filter_position(order, scene.problem, at);
                        });
                      }});
  }
  plants.push_back({"InputLayout", "layout", dense, [](Random&, Scene& scene) {
                      const Layout right = scene.desc().layout;
                      run_with_input(scene,
                                     reread(scene.problem.input_extents(), right, other(right)));
                    }});
  plants.push_back({"OutputLayout", "layout", dense, [](Random&, Scene& scene) {
                      const Layout right = scene.desc().layout;
                      run_with_output(scene,
                                      reread(scene.problem.output_extents(), other(right), right));
                    }});
  return plants;
}

inline std::vector<Plant> group_plants() {
  const char* name = "group_off";
  return {
      {"FilterGroupsRotated", name, grouped,
       [](Random&, Scene& scene) {
         const int64_t in_c = scene.desc().in_c, step = scene.problem.in_c_per_group();
         run_with_filters_moved(scene, [=](const Coordinate& at) {
           return Coordinate{at.n, at.p, at.q, (at.k + step) % in_c};
         });
       }},
      {"InputGroupsRotatedBack", name, grouped,
       [](Random&, Scene& scene) {
         const int64_t in_c = scene.desc().in_c, step = scene.problem.in_c_per_group();
         run_with_input(scene, [=](const Coordinate& at) {
           return Coordinate{at.n, at.p, at.q, (at.k + in_c - step) % in_c};
         });
       }},
      {"OutputGroupsRotated", name, grouped,
       [](Random&, Scene& scene) {
         const int64_t out_c = scene.desc().out_c, step = scene.problem.out_c_per_group();
         run_with_output(scene, [=](const Coordinate& at) {
           return Coordinate{at.n, at.p, at.q, (at.k + step) % out_c};
         });
       }},
      {"InputInterleaved", name, grouped,
       [](Random&, Scene& scene) {
         const int64_t groups = scene.desc().groups, step = scene.problem.in_c_per_group();
         run_with_input(scene, [=](const Coordinate& at) {
           return Coordinate{at.n, at.p, at.q, at.k % step * groups + at.k / step};
         });
       }},
      {"OutputInterleaved", name, grouped,
       [](Random&, Scene& scene) {
         const int64_t groups = scene.desc().groups, step = scene.problem.out_c_per_group();
         run_with_output(scene, [=](const Coordinate& at) {
           return Coordinate{at.n, at.p, at.q, at.k % groups * step + at.k / groups};
         });
       }},
      {"FiltersOfAForwardConvolution", name,
       [](Random& random, ProblemDesc& d) {
         grouped(random, d);
         d.filter_order = FilterOrder::hwoi;
       },
       [](Random&, Scene& scene) {  // stored as [h][w][out_c][in_c / groups]
         const ProblemDesc& d = scene.desc();
         const int64_t per_c = scene.problem.in_c_per_group();
         const int64_t per_k = scene.problem.out_c_per_group();
         run_with_filters(scene, [&](const Coordinate& at) {
           const int64_t k = at.k / per_c * per_k + at.q;
           return ((at.n * d.w.kernel + at.p) * d.out_c + k) * per_c + at.k % per_c;
         });
       }},
  };
}

/// The right result without epilogue in f64, then an epilogue of the caller's own.
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
    scene.store_output(at, own(sum, load(d.bias_dtype, tensors.bias, at.k),
                               load(d.output_dtype, tensors.residual, offset)));
  });
}

inline std::vector<Plant> epilogue_plants() {
  const auto act = [](const Scene& scene, double x) { return activate(scene.desc(), x, 0); };
  return {
      {"BiasMissing", "bias_missing", with_epilogue,
       other_desc([](Random&, ProblemDesc& d) { d.has_bias = false; })},
      {"ResidualMissing", "residual_missing", with_epilogue,
       other_desc([](Random&, ProblemDesc& d) { d.has_residual = false; })},
      {"ActivationMissing", "activation_missing", with_epilogue,
       other_desc([](Random&, ProblemDesc& d) {
         d.activation = Activation::identity, d.activation_a = 0;
       })},
      {"EpilogueMissing", "epilogue_missing", with_epilogue,
       [](Random&, Scene& scene) {
         run_with_epilogue(scene, [](double sum, double, double) { return sum; });
       }},
      {"ActivationBeforeResidual", "activation_order", with_epilogue,
       [=](Random&, Scene& scene) {
         run_with_epilogue(scene, [&](double sum, double bias, double residual) {
           const double first = rounded(scene.desc().output_dtype, act(scene, sum + bias));
           return first + residual;
         });
       }},
      {"ActivationBeforeBias", "activation_order", with_epilogue,
       [=](Random&, Scene& scene) {
         run_with_epilogue(scene, [&](double sum, double bias, double residual) {
           return act(scene, sum + residual) + bias;
         });
       }},
      {"UnreachedOutputsLeftZero", "unreached_outputs",
       [](Random&, ProblemDesc& d) {
         d.has_bias = true;
         d.h.out += 3;
       },
       [](Random&, Scene& scene) {
         run_as(scene, scene.desc(), scene.data);
         const Tensors tensors = scene.data.tensors();
         for_each(scene.problem.output_extents(), [&](const Coordinate& at) {
           const auto& [n, p, q, k] = at;
           if (exact_element(scene.problem, tensors, n, p, q, k).terms == 0) {
             scene.store_output(at, 0);
           }
         });
       }},
  };
}

inline std::vector<Plant> all_plants() {
  std::vector<Plant> all;
  for (const auto& some : {padding_plants(), tap_plants(), axis_plants(), channel_plants(),
                           memory_plants(), group_plants(), epilogue_plants()}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

}  // namespace tconv::test
