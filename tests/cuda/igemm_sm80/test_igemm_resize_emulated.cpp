// SPDX-License-Identifier: Apache-2.0
// test_igemm_resize_emulated.cpp: plans of the row `igemm_sm80` for other sizes: on the same packed
// filters, equal to the reference in the emulator, in a workspace that was bounded before.
#include <gtest/gtest.h>

#include <array>
#include <optional>

#include "src/host/device/device_models.h"
#include "src/host/problem/errors.h"
#include "tests/cuda/igemm_sm80/igemm_runs.h"

namespace tconv::test {
namespace {

struct Size {
  int64_t n, h, w;
};

/// Dense variants of the chosen problems: other sizes have no strides of their own.
std::vector<Problem> dense_problems() {
  std::vector<Problem> all;
  for (ProblemDesc d : chosen_problems()) {
    d.filter_order = all.size() % 3 == 0 ? FilterOrder::iohw : d.filter_order;
    all.emplace_back(d);
  }
  return all;
}

TEST(IgemmResize, RunsOnTheSamePackedFilters) {
  int ran = 0;
  uint64_t seed = 0;
  for (const Problem& problem : dense_problems()) {
    emulator::configure({});
    const Plan made = make_plan(problem, {.device = DeviceKind::cuda,
                                          .kernels = {"igemm_sm80"},
                                          .math = Math::tf32,
                                          .prepacked_filters = true});
    const Operands of_made = small_integers(problem, ++seed);
    const DeviceCopy filters(of_made.filters);
    const DeviceCopy packed(Bytes(made.packed_filter_bytes(), kPoison));
    prepack(made, filters.data(), packed.data(), made.packed_filter_bytes(), nullptr);
    for (const Size& size : {Size{1, 5, 3}, Size{3, 8, 11}}) {
      std::optional<Plan> other;
      try {
        other = resized(made, size.n, size.h, size.w);
      } catch (const Unsupported&) {
        continue;
      }
      EXPECT_STREQ(other->tile(), made.tile());
      EXPECT_LE(other->workspace_bytes(), workspace_bytes_upto(made, size.n, size.h, size.w));
      Operands operands = small_integers(other->problem(), seed + 100);
      operands.filters = of_made.filters;
      const DeviceOperands device(operands);
      Tensors tensors = device.tensors();
      tensors.filters = packed.data();
      run_on_device(*other, tensors);
      reference_conv2d_transpose(other->problem(), operands.tensors(), 1);
      EXPECT_TRUE(device.output.download() == operands.output) << other->problem().key();
      ++ran;
    }
  }
  EXPECT_GE(ran, 60);
}

TEST(IgemmResize, NoSmallerSizeNeedsMoreWorkspaceThanTheBound) {
  std::mt19937_64 random(5);
  const std::vector<Problem> problems = dense_problems();
  const auto upto = [&](int64_t most) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(most + 1));
  };
  int checked = 0, split = 0;
  for (int i = 0; i < enumeration(6000, 600); ++i) {
    const DeviceFacts device = device_model(std::array{"h200", "a100", "l4"}[random() % 3]);
    const Problem& problem = problems[random() % problems.size()];
    const igemm::Tile& tile = igemm::kTiles[random() % igemm::kTileCount];
    const int64_t limit = random() % 4 == 0 ? problem.filter_bytes() + upto(1 << 20) : -1;
    const Options options = {.kernels = {"igemm_sm80"},
                             .tile = tile.name,
                             .workspace_limit = limit,
                             .math = Math::tf32,
                             .prepacked_filters = random() % 2 == 0};
    const Size most = {upto(9), upto(70), upto(70)};
    try {
      const Plan made = make_plan(problem, options, device, kernel_table());
      const std::size_t bound = workspace_bytes_upto(made, most.n, most.h, most.w);
      EXPECT_TRUE(limit < 0 || static_cast<int64_t>(bound) <= limit);
      for (int j = 0; j < 4; ++j) {
        const Plan smaller = resized(made, upto(most.n), upto(most.h), upto(most.w));
        EXPECT_LE(smaller.workspace_bytes(), bound)
            << smaller.problem().key() << " " << tile.name << " " << device.name;
        EXPECT_EQ(smaller.packed_filter_bytes(), made.packed_filter_bytes());
        split += smaller.workspace_bytes() > static_cast<std::size_t>(problem.filter_bytes());
        ++checked;
      }
    } catch (const Unsupported&) {
    } catch (const InvalidProblem&) {  // sizes whose output would be less than nothing
    }
  }
  EXPECT_GE(checked, enumeration(10000, 1000));
  EXPECT_GE(split, checked / 20);
}

TEST(IgemmResize, DeclinesWhatTheTileDoesNotTake) {
  const Problem problem(problem_of(1, 64, 64, axis(9, 4, 2, 1), axis(9, 4, 2, 1)));
  const Plan made = make_plan(problem, {.kernels = {"igemm_sm80"}, .device_model = "h200"});
  try {
    (void)resized(made, 1, 9, 1 << 29);
    FAIL() << "resized";
  } catch (const Unsupported& e) {
    EXPECT_NE(std::string(e.what()).find("cannot be resized: the row igemm_sm80"),
              std::string::npos)
        << e.what();
  }
}

}  // namespace
}  // namespace tconv::test
