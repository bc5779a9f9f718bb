// SPDX-License-Identifier: Apache-2.0
// test_gather.cpp: the host side of the row `gather`: when 32-bit indices are enough, how a thread
// finds its output, what is loaded, launched and estimated, and what a launch costs.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "src/cuda/common/index.cuh"
#include "src/host/plan/plan.h"
#include "src/host/run/run.h"
#include "tests/support/count_allocations.h"
#include "tests/support/cuda_on_host/gather_on_host.h"
#include "tests/support/fake_gpu.h"
#include "tests/support/support.h"

namespace tconv::host {
extern const Kernel gather_kernel;
}  // namespace tconv::host

namespace tconv::test {
namespace {

using cuda::axis_fits;
using cuda::fits;

constexpr int64_t k2To31 = int64_t{1} << 31;
constexpr int kBlock = 256;

bool fits32(const ProblemDesc& d) { return fits<int32_t>(Problem(d), kBlock); }

// ---- 32 bits or 64. -----------------------------------------------------------------------------

/// A dense row of `size` pixels; in f16, so that byte counts stay far from int64's end.
ProblemDesc row_of(int64_t size) {
  ProblemDesc d;
  d.dtype = d.output_dtype = d.bias_dtype = DType::f16;
  d.w.out = size;
  return d;
}

TEST(Fits, OutputsUpTo2To31Minus1) {
  EXPECT_TRUE(fits32(row_of(k2To31 - 1)));
  EXPECT_FALSE(fits32(row_of(k2To31)));
  ProblemDesc d = row_of(1 << 16);
  d.batch = 1 << 15;
  EXPECT_FALSE(fits32(d));
  d.batch -= 1;
  EXPECT_TRUE(fits32(d));
}

TEST(Fits, ThreadsOfTheLastBlockCount) {
  // 2^31 - 1 outputs rounded up to blocks of 3000 threads end past 2^31; of 256, exactly there.
  EXPECT_TRUE(fits<int32_t>(Problem(row_of(k2To31 - 1)), 256));
  EXPECT_FALSE(fits<int32_t>(Problem(row_of(k2To31 - 1)), 3000));
  EXPECT_TRUE(fits<int32_t>(Problem(row_of((k2To31 / 3000) * 3000)), 3000));
}

TEST(Fits, OffsetsOfEveryTensor) {
  ProblemDesc input = row_of(4);
  input.w.in = k2To31 - 1;
  EXPECT_TRUE(fits32(input));
  input.w.in = k2To31;
  EXPECT_FALSE(fits32(input));

  ProblemDesc filters = row_of(4);
  filters.in_c = (1 << 16) - 1, filters.out_c = 1 << 15;
  EXPECT_TRUE(fits32(filters));
  filters.in_c = 1 << 16;
  EXPECT_FALSE(fits32(filters));

  // Element strides: the last element is at n + w.
  ProblemDesc strided = row_of(4);
  strided.batch = 2;
  strided.has_residual = true;
  for (Strides ProblemDesc::*tensor : {&ProblemDesc::input_strides, &ProblemDesc::output_strides,
                                       &ProblemDesc::residual_strides}) {
    const int64_t pixels = tensor == &ProblemDesc::input_strides ? 1 : 4;
    ProblemDesc d = strided;
    d.*tensor = {.n = k2To31 - 1 - pixels, .h = pixels, .w = 1, .c = 1};
    if (tensor == &ProblemDesc::output_strides)
      d.residual_strides = dense_strides(d.layout, {2, 1, 4, 1});
    EXPECT_TRUE(fits32(d));
    (d.*tensor).n += 1;
    EXPECT_FALSE(fits32(d));
  }
}

TEST(Fits, AStrideThatNoElementUsesDoesNotCount) {
  ProblemDesc d = row_of(4);
  d.output_strides = {.n = int64_t{1} << 61, .h = int64_t{1} << 60, .w = 1, .c = 1};
  EXPECT_TRUE(fits32(d));
  EXPECT_EQ(cuda::make_shape<int32_t>(Problem(d)).output.n, 0);
}

TEST(Fits, EveryTapPosition) {
  const auto axis = [](int64_t kernel, int64_t dilation, int64_t pad_begin, int64_t out) {
    return axis_fits<int32_t>({.in = 5,
                               .kernel = kernel,
                               .stride = 2,
                               .dilation = dilation,
                               .pad_begin = pad_begin,
                               .out = out});
  };
  EXPECT_TRUE(axis(1, 1, k2To31 - 1, 1));
  EXPECT_FALSE(axis(1, 1, k2To31 - 1, 2));  // p + pad_begin
  EXPECT_TRUE(axis(1, 1, -k2To31, 2));
  EXPECT_FALSE(axis(2, 1, -k2To31, 2));  // pad_begin - r * dilation
  EXPECT_TRUE(axis(2, k2To31 - 1, -1, 1));
  EXPECT_FALSE(axis(2, k2To31 - 1, -2, 1));
  EXPECT_FALSE(axis(2, k2To31, 5, 1));
  EXPECT_FALSE(axis(1, k2To31, 0, 1));  // of a single tap: unused, yet a number that must fit
  EXPECT_TRUE(axis(3, (k2To31 - 2) / 2, 0, 1));
  EXPECT_FALSE(axis(3, k2To31 / 2, 0, 1));
  EXPECT_TRUE(axis_fits<int32_t>({.in = 5, .stride = k2To31 - 1, .out = 1}));
  EXPECT_FALSE(axis_fits<int32_t>({.in = 1, .stride = k2To31, .out = 1}));
}

/// The extremes of every number that a kernel forms.
class Extremes {
 public:
  void see(int64_t value) {
    low_ = std::min(low_, value);
    high_ = std::max(high_, value);
  }
  template <typename Index>
  bool within() const {
    return low_ >= std::numeric_limits<Index>::min() && high_ <= std::numeric_limits<Index>::max();
  }

 private:
  int64_t low_ = 0, high_ = 0;
};

void see_axis(const Axis& axis, Extremes& seen) {
  for (const int64_t field :
       {axis.in, axis.kernel, axis.stride, axis.dilation, axis.pad_begin, axis.out}) {
    seen.see(field);
  }
  for (int64_t p = 0; p < axis.out; ++p) {
    seen.see(p + axis.pad_begin);
    for (int64_t r = 0; r < axis.kernel; ++r) {
      seen.see(r * axis.dilation);
      seen.see(p + axis.pad_begin - r * axis.dilation);
    }
  }
}

/// The last element's offset; every partial sum of it is smaller.
void see_tensor(const Extents& e, const Strides& strides, Extremes& seen) {
  if (e.count() == 0) return;
  seen.see(strides.offset(e.n - 1, e.h - 1, e.w - 1, e.c - 1));
}

Extremes extremes_of(const Problem& problem, int64_t block) {
  const ProblemDesc& d = problem.desc();
  Extremes seen;
  const int64_t outputs = problem.output_extents().count();
  for (const int64_t number :
       {outputs, ceil_div(outputs, block) * block - 1, d.batch, d.in_c, d.out_c}) {
    seen.see(number);
  }
  see_axis(d.h, seen);
  see_axis(d.w, seen);
  see_tensor(problem.input_extents(), d.input_strides, seen);
  see_tensor(problem.output_extents(), d.output_strides, seen);
  if (d.has_residual) see_tensor(problem.output_extents(), d.residual_strides, seen);
  const FilterStrides f = problem.filter_strides();
  see_tensor({d.h.kernel, d.w.kernel, problem.out_c_per_group(), d.in_c}, {f.r, f.s, f.k, f.c},
             seen);
  return seen;
}

// The same bound for a type of 8 and of 16 bits, where every number can be looked at.
template <typename Index>
void expect_sound_and_tight(const RandomLimits& limits, uint64_t seed) {
  std::mt19937_64 random(seed);
  constexpr int64_t kSmallBlock = 16;
  int fitting = 0, refused = 0, refused_at_the_edge = 0;
  for (int i = 0; i < 4000; ++i) {
    const Problem problem(random_desc(random, limits));
    if (problem.empty_output()) continue;
    const bool within = extremes_of(problem, kSmallBlock).within<Index>();
    const bool claimed = fits<Index>(problem, kSmallBlock);
    ASSERT_TRUE(within || !claimed) << problem.key();
    (claimed ? fitting : refused) += 1;
    if (within && !claimed) ++refused_at_the_edge;  // a count, not its last offset, is one too many
  }
  EXPECT_GT(fitting, 400);
  EXPECT_GT(refused, 400);
  EXPECT_LT(refused_at_the_edge, refused / 20);
}

TEST(Fits, IsSoundAndTightForSmallerTypes) {
  expect_sound_and_tight<int8_t>({.max_in = 4, .max_kernel = 3, .max_channels = 3}, 1);
  expect_sound_and_tight<int16_t>({.max_in = 24, .max_kernel = 5, .max_channels = 24}, 2);
}

TEST(Fits, SixtyFourBitsAreAlwaysEnough) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(fits<int64_t>(Problem(random_desc(random)), kBlock));
  ProblemDesc d = row_of(int64_t{1} << 61);
  d.w.pad_begin = -(int64_t{1} << 61);
  EXPECT_TRUE(fits<int64_t>(Problem(d), kBlock));
}

// ---- From thread to output. ---------------------------------------------------------------------

TEST(PositionOf, CountsTheOutputInMemoryOrder) {
  std::mt19937_64 random(4);
  for (int i = 0; i < 500; ++i) {
    ProblemDesc d = random_desc(random, {.strided_tensors = false});
    const Problem problem(d);
    const auto narrow = cuda::make_shape<int32_t>(problem);
    const auto wide = cuda::make_shape<int64_t>(problem);
    ASSERT_EQ(wide.outputs, problem.output_extents().count());
    for (int32_t at = 0; at < narrow.outputs; ++at) {
      const auto [n, p, q, k] = cuda::position_of(narrow, at);
      ASSERT_EQ(narrow.output.offset(n, p, q, k), at) << problem.key();
      const auto same = cuda::position_of(wide, int64_t{at});
      ASSERT_TRUE(same.n == n && same.p == p && same.q == q && same.k == k);
      ASSERT_TRUE(n < d.batch && p < d.h.out && q < d.w.out && k < d.out_c);
    }
  }
}

TEST(InputIndex, IsTheSameIn32Bits) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 2000; ++i) {
    const Axis axis = random_axis(random, {.max_in = 9, .max_kernel = 9, .max_stride = 9});
    const auto narrow = cuda::narrowed<int32_t>(axis);
    for (int32_t p = 0; p < axis.out; ++p) {
      for (int32_t r = 0; r < axis.kernel; ++r) {
        ASSERT_EQ(input_index(narrow, p, r), input_index(axis, p, r));
      }
    }
  }
}

// ---- The row. -----------------------------------------------------------------------------------

/// The row as the host compiler and, where there is one, as nvcc compiled it.
std::vector<const Kernel*> rows() {
#ifdef TCONV_WITH_CUDA
  return {&gather_on_host(), &gather_kernel};
#else
  return {&gather_on_host()};
#endif
}

Plan plan_with(const Kernel* row, const Problem& problem, const DeviceFacts& facts,
               const Options& options = {}) {
  return make_plan(problem, options, facts, std::vector<const Kernel*>{row});
}

TEST(GatherRow, TakesEveryProblemAndNeedsNothing) {
  FakeGpu gpu;
  std::mt19937_64 random(6);
  for (const Kernel* row : rows()) {
    EXPECT_STREQ(row->name, "gather");
    EXPECT_EQ(row->device, DeviceKind::cuda);
    for (int i = 0; i < 300; ++i) {
      const Problem problem(random_desc(random, {.inexact_activations = true}));
      const Plan plan = plan_with(row, problem, gpu.present[0], {.workspace_limit = 0});
      EXPECT_EQ(plan.workspace_bytes(), 0U);
      EXPECT_GT(plan.estimate_us(), 0);
    }
  }
}

TEST(GatherRow, LoadsTheKernelThatItLaunchesAndNoneForADeviceModel) {
  for (const Kernel* row : rows()) {
    for (const DType type : {DType::f16, DType::bf16, DType::f32, DType::f64}) {
      for (const int64_t out : {int64_t{5}, k2To31 + 5}) {
        FakeGpu gpu;
        Launch seen;
        gpu.on_launch = [&](const Launch& launch) { seen = launch; };
        ProblemDesc d = row_of(out);
        d.dtype = d.output_dtype = d.bias_dtype = type;
        const Problem problem(d);
        plan_with(row, problem, device_model("h200"));
        EXPECT_EQ(gpu.loads, 0);

        const Plan plan = plan_with(row, problem, gpu.present[0]);
        EXPECT_EQ(gpu.loads, 1);
        EXPECT_EQ(gpu.launches, 0);
        row->launch(problem, plan.state(), Tensors{}, &gpu);
        EXPECT_EQ(gpu.launches, 1);
        EXPECT_EQ(seen.kernel, gpu.loaded);
        EXPECT_EQ(seen.stream, &gpu);
        EXPECT_STREQ(seen.name, "gather");
        EXPECT_EQ(seen.shared_bytes, 0U);
        EXPECT_EQ(seen.block[0], static_cast<unsigned>(kBlock));
        EXPECT_EQ(seen.grid[0], ceil_div(out, kBlock));
        for (const int i : {1, 2}) EXPECT_TRUE(seen.grid[i] == 1 && seen.block[i] == 1);
      }
    }
  }
}

TEST(GatherRow, MoreOutputsThanAGridHasThreadsTakeSeveralLaunches) {
  constexpr int64_t kGrid = (k2To31 - 1) * kBlock;
  for (const Kernel* row : rows()) {
    for (const int64_t outputs : {kGrid, kGrid + 1, 3 * kGrid - 7}) {
      FakeGpu gpu;
      std::vector<int64_t> firsts, blocks;
      gpu.on_launch = [&](const Launch& launch) {
        firsts.push_back(*static_cast<const int64_t*>(launch.arguments[1]));
        blocks.push_back(launch.grid[0]);
      };
      const Problem problem(row_of(outputs));
      const Plan plan = plan_with(row, problem, gpu.present[0]);
      row->launch(problem, plan.state(), Tensors{}, nullptr);
      ASSERT_EQ(static_cast<int64_t>(firsts.size()), ceil_div(outputs, kGrid));
      int64_t next = 0;
      for (std::size_t i = 0; i < firsts.size(); ++i) {
        EXPECT_EQ(firsts[i], next);
        EXPECT_LT(blocks[i], k2To31);
        next += blocks[i] * kBlock;
      }
      EXPECT_GE(next, outputs);
      EXPECT_LT(next - outputs, kBlock);
    }
  }
}

TEST(GatherRow, EstimatesGrowWithTheWorkAndTheDevice) {
  const DeviceFacts fast = device_model("h200");
  DeviceFacts slow = fast;
  slow.f32_macs_per_us /= 4, slow.f64_macs_per_us /= 64, slow.bytes_per_us /= 4;
  const auto estimate = [](const ProblemDesc& d, const DeviceFacts& facts) {
    return gather_on_host().consider(Problem(d), 0, {}, facts).estimate_us;
  };
  ProblemDesc d;
  d.in_c = d.out_c = 64;
  d.h = d.w = {.in = 64, .kernel = 4, .stride = 2, .dilation = 1, .pad_begin = 1, .out = 128};
  ProblemDesc more = d;
  more.batch = 4;
  EXPECT_LT(estimate(d, fast), estimate(more, fast));
  EXPECT_LT(estimate(d, fast), estimate(d, slow));
  ProblemDesc wide = d;
  wide.dtype = wide.output_dtype = wide.bias_dtype = DType::f64;
  EXPECT_LT(estimate(d, slow), estimate(wide, slow));
  // An output so sparse that writing it is all there is: no faster than memory.
  ProblemDesc sparse = row_of(int64_t{1} << 30);
  EXPECT_GT(estimate(sparse, fast), static_cast<double>(int64_t{2} << 30) / fast.bytes_per_us);
}

class CostOfRun : public testing::Test {
 protected:
  FakeGpu gpu_;
  Problem problem_ = [] {
    ProblemDesc d;
    d.in_c = d.out_c = 4;
    d.has_bias = d.has_residual = true;
    d.activation = Activation::prelu;
    return Problem(d);
  }();
  Operands operands_ = small_integers(problem_, 1);
};

TEST_F(CostOfRun, AllocatesNothing) {
  for (const Kernel* row : rows()) {
    const Plan plan = plan_with(row, problem_, gpu_.present[0]);
    const Tensors tensors = operands_.tensors();
    const int64_t before = allocation_count(), launched = gpu_.launches;
    for (int i = 0; i < 1000; ++i) run(plan, tensors, {}, nullptr);
    EXPECT_EQ(allocation_count() - before, 0);
    EXPECT_EQ(gpu_.launches - launched, 1000);
  }
}

}  // namespace
}  // namespace tconv::test
