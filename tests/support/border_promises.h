// SPDX-License-Identifier: Apache-2.0
// border_promises.h: every family of this build, held to what it says of pixels beyond the border:
// an infinite or NaN weight shows whether they are multiplied.
#pragma once

#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <random>
#include <string>

#include "src/host/plan/plan.h"
#include "src/host/problem/errors.h"
#include "src/host/run/run.h"
#include "src/host/verify/verify.h"
#include "tests/support/support.h"

namespace tconv::test {

/// x = [1 1], w = [inf 1 1], SAME, and problems with borders of every kind.
inline Problem bordered(std::mt19937_64& random, DType type, int drawn) {
  ProblemDesc d;
  d.dtype = d.output_dtype = type;
  d.w = {.in = 2, .kernel = 3, .pad_begin = 1, .out = 2};
  if (drawn > 0) {
    RandomLimits limits;
    limits.zero_sizes = false, limits.max_dilation = 2;
    d.h = random_axis(random, limits), d.w = random_axis(random, limits);
    d.groups = 1 + drawn % 2;
    d.in_c = d.groups * (1 + static_cast<int64_t>(random() % 12));
    d.out_c = d.groups * (1 + static_cast<int64_t>(random() % 20));
    d.layout = drawn % 3 == 0 ? Layout::nchw : Layout::nhwc;
  }
  return Problem(d);
}

/// Ones, but for one weight, or one pixel, in eight (and the first) that is infinite or NaN.
inline Operands with_infinities(const Problem& problem, std::mt19937_64& random, bool weights) {
  const double values[] = {std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity(),
                           std::numeric_limits<double>::quiet_NaN()};
  Operands o = operands(
      problem, [](int64_t) { return 1.0; }, [](int64_t) { return 1.0; });
  const int64_t bytes = weights ? problem.filter_bytes() : problem.input_bytes();
  (weights ? o.filters : o.input) = filled(problem.desc().dtype, bytes, [&](int64_t i) {
    return i == 0 ? values[0] : random() % 8 == 0 ? values[random() % 3] : 1.0;
  });
  return o;
}

/// By family: elements that zeros beyond the border explain.
inline std::map<std::string, int64_t> hold_families_to_their_borders(DeviceKind device,
                                                                     int problems) {
  std::map<std::string, int64_t> padded;
  for (const Kernel* kernel : kernel_table()) {
    if (kernel->device != device || kernel->border == Border::unknown) continue;
    std::mt19937_64 random(14);
    int64_t runs = 0, elements = 0;
    for (int drawn = 0; drawn < problems; ++drawn) {
      const DType type = kernel->dtypes[static_cast<std::size_t>(drawn) % kernel->dtypes.size()];
      const Problem problem = bordered(random, type, drawn);
      const Operands operands = with_infinities(problem, random, drawn % 4 != 3);
      for (const char* tile : kernel->tiles) {
        Operands mine = operands;
        try {
          const Plan plan = make_plan(
              problem,
              {.device = device, .kernels = {kernel->name}, .tile = tile, .math = Math::tf32});
          run_host(plan, mine.tensors(), {}, 1, 1, nullptr);
        } catch (const Unsupported&) {
          continue;
        }
        ++runs;
        const VerifyReport report =
            verify(problem, mine.tensors(), {.threads = 1, .math = Math::tf32});
        const int64_t excused = kernel->border == Border::zeros ? report.zero_padded : 0;
        EXPECT_EQ(report.mismatches, excused) << problem.key() << " by " << kernel->name << "/"
                                              << tile << ": " << describe_mismatch(problem, report);
        elements += report.zero_padded;
      }
    }
    EXPECT_GT(runs, problems / 4) << kernel->name;
    padded[kernel->name] = elements;
  }
  return padded;
}

}  // namespace tconv::test
