// SPDX-License-Identifier: Apache-2.0
// test_igemm_3xtf32_emulated.cpp: the row `igemm_sm80` with f32 in three products of TF32, in the
// emulator: equality where products are exact, the bound where they are not, infinities, counters.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "src/cuda/igemm_sm80/prediction.h"
#include "src/host/device/device_models.h"
#include "src/host/verify/verify.h"
#include "tests/cuda/igemm_sm80/igemm_runs.h"

namespace tconv::host {
extern const Kernel igemm_sm80_kernel;
}  // namespace tconv::host

namespace tconv::test {
namespace {

Options with_tile(const char* tile, Math math = Math::tf32x3) {
  return {.device = DeviceKind::cuda, .kernels = {"igemm_sm80"}, .tile = tile, .math = math};
}

ProblemDesc f32_problem(int64_t batch, int64_t in_c, int64_t out_c, const Axis& h, const Axis& w) {
  return problem_of(batch, in_c, out_c, h, w, DType::f32);
}

/// Aligned and odd channels, several chunks, phases, dilation, planes, groups, one pixel.
std::vector<ProblemDesc> chosen_problems() {
  std::vector<ProblemDesc> all = {
      f32_problem(1, 72, 40, axis(9, 4, 2, 1), axis(11, 4, 2, 1)),
      f32_problem(2, 37, 19, axis(7, 3, 1, 1), axis(5, 4, 3, 1)),
      f32_problem(3, 21, 33, axis(6, 3, 2, 1), axis(7, 5, 3, 1)),
      f32_problem(1, 48, 24, axis(9, 3, 2, 1, 2), axis(9, 3, 2, 1, 2)),
      f32_problem(2, 99, 12, axis(5, 4, 2, 1), axis(6, 4, 2, 1)),
      f32_problem(40, 33, 8, axis(1, 4, 1, 0), axis(1, 4, 1, 0)),
  };
  all[2].layout = Layout::nchw;
  all[4].groups = 3;
  all[0].has_bias = all[3].has_residual = true;
  return all;
}

TEST(Igemm3xTf32, EqualsTheReferenceOnSmallIntegers) {
  uint64_t seed = 0;
  for (const ProblemDesc& d : chosen_problems()) {
    EXPECT_GE(expect_exact(Problem(d), ++seed, Math::tf32x3), 2) << Problem(d).key();
  }
}

TEST(Igemm3xTf32, MultipliesSmallPartsOfBothOperands) {
  for (const ProblemDesc& d : chosen_problems()) {
    const Problem problem(d);
    for (const bool wide_input : {true, false}) {
      const Operands operands = wide_integers(problem, wide_input, 1);
      Operands expected = operands;
      reference_conv2d_transpose(problem, expected.tensors(), 1);
      EXPECT_TRUE(result_of(problem, with_tile(""), operands) == expected.output)
          << problem.key() << " " << wide_input;
      // TF32 has 11 bits.
      EXPECT_FALSE(result_of(problem, with_tile("", Math::tf32), operands) == expected.output);
    }
  }
}

VerifyReport verify_result(const Problem& problem, Math math) {
  Operands operands = uniform(problem, 1);
  operands.output = result_of(problem, with_tile("", math), operands);
  return verify(problem, operands.tensors(),
                {.scope = VerifyScope::whole, .threads = 1, .math = Math::tf32x3});
}

// Short sums: in long ones the bound of the additions hides what TF32 loses.
TEST(Igemm3xTf32, StaysWithinItsBoundAndTf32DoesNot) {
  for (ProblemDesc d : {f32_problem(1, 8, 24, axis(9, 4, 2, 1), axis(11, 3, 2, 1)),
                        f32_problem(2, 21, 33, axis(4, 2, 2, 0), axis(5, 2, 2, 0)),
                        f32_problem(1, 300, 16, axis(5, 3, 1, 1), axis(5, 3, 1, 1))}) {
    const Problem problem(d);
    const VerifyReport three = verify_result(problem, Math::tf32x3);
    EXPECT_TRUE(three.right()) << describe_mismatch(problem, three);
    EXPECT_GT(three.worst_ratio, 0);
    if (d.in_c > 100) continue;
    EXPECT_GT(verify_result(problem, Math::tf32).mismatches, three.checked / 20) << problem.key();
  }
}

/// One product, by a problem of one pixel.
float product(float x, float w) {
  const Problem problem(f32_problem(1, 1, 1, axis(1, 1, 1, 0), axis(1, 1, 1, 0)));
  Operands operands = small_integers(problem, 1);
  std::memcpy(operands.input.data(), &x, 4);
  std::memcpy(operands.filters.data(), &w, 4);
  const Bytes output = result_of(problem, with_tile(""), operands);
  float result = 0;
  std::memcpy(&result, output.data(), 4);
  return result;
}

TEST(Igemm3xTf32, HasInfinitiesWhereF32HasThem) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  // 1 has no small part, 1 + 2^-20 one of its sign, 1 - 2^-20 one of the other.
  for (const float x : {1.0F, 1 + 0x1p-20F, 1 - 0x1p-20F, 0x1p-100F, kInf, 3e38F}) {
    for (const float sign : {1.0F, -1.0F}) {
      EXPECT_EQ(product(kInf, sign * x), sign * kInf) << x;
      EXPECT_EQ(product(sign * x, -kInf), -sign * kInf) << x;
    }
    EXPECT_TRUE(std::isnan(product(kNan, x)) && std::isnan(product(x, kNan))) << x;
  }
  EXPECT_TRUE(std::isnan(product(kInf, 0)) && std::isnan(product(0, -kInf)));
}

// Such an operand keeps as many bits as TF32 has.
TEST(Igemm3xTf32, TakesNumbersThatTf32RoundsToInfinity) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  for (const float x : {kLargest, -kLargest, 0x1.ffep127F, -0x1.ffep127F}) {
    EXPECT_NEAR(product(x, 0x1p-100F) / (x * 0x1p-100F), 1, 0x1p-10F);
    EXPECT_NEAR(product(-0x1.5p-90F, x) / (x * -0x1.5p-90F), 1, 0x1p-10F);
  }
  constexpr float kFits = 0x1.ffdffep127F;  // the largest that TF32 rounds to a number
  EXPECT_NEAR(product(kFits, 0x1p-100F) / (kFits * 0x1p-100F), 1, 0x1p-22F);
}

TEST(Igemm3xTf32, NeedsEachSynchronisation) {
  const Problem problem(f32_problem(1, 68, 40, axis(9, 4, 2, 1), axis(11, 4, 2, 1)));
  for (const IgemmTile& tile : kIgemmTiles) {
    if (!has_room_for_3xtf32(tile)) continue;
    EXPECT_EQ(unmissed(problem, tile, "", Math::tf32x3), "") << tile.name;
    for (uint64_t seed = 2; seed <= 4; ++seed) {
      EXPECT_TRUE(run_tile(problem, tile, {.seed = seed}, seed, Math::tf32x3).right) << tile.name;
    }
  }
}

TEST(Igemm3xTf32, IssuesThreeProducts) {
  for (const ProblemDesc& d : chosen_problems()) {
    const Problem problem(d);
    for (const IgemmTile& tile : kIgemmTiles) {
      const IgemmPlan plan = plan_igemm(problem, tile, cuda_facts(), Math::tf32x3, 0);
      const Outcome outcome =
          run_tile(problem, tile, {.check_memory = false, .check_races = false}, 1, Math::tf32x3);
      ASSERT_EQ(outcome.taken, plan.refused.empty()) << problem.key() << tile.name;
      if (!outcome.taken) continue;
      const auto issued = static_cast<double>(emulator::reports().front().counters.multiply_adds);
      EXPECT_EQ(issued, plan.issued_macs) << problem.key() << tile.name;
      EXPECT_EQ(issued, count_igemm(problem, tile, plan, cuda_facts()).issued_macs);
    }
  }
}

TEST(Igemm3xTf32, IsForGpusThatAreFasterWithIt) {
  const Problem problem(chosen_problems()[0]);
  for (const int sm : {80, 86, 89, 90, 100, 120}) {
    DeviceFacts device = device_model("h200");
    device.name = "some GPU", device.sm = sm;
    set_model_rates(device);
    const std::string why = igemm_sm80_kernel.declines(problem, {.math = Math::tf32x3}, device);
    EXPECT_EQ(why, sm == 80 || sm == 90 || sm == 100
                       ? ""
                       : "three products of TF32 take longer than one of f32 on some GPU");
  }
}

// A problem that is bound by arithmetic.
TEST(Igemm3xTf32, TakesLongerThanTf32) {
  const Problem problem(f32_problem(16, 256, 256, axis(64, 3, 1, 1), axis(64, 3, 1, 1)));
  const DeviceFacts device = device_model("h200");
  const IgemmTile& tile = kIgemmTiles[1];
  const auto estimate = [&](Math math) {
    return estimate_igemm_us(problem, tile, plan_igemm(problem, tile, device, math), device);
  };
  EXPECT_GT(estimate(Math::tf32x3), 3 * problem.useful_macs() / device.tf32_tensor_macs_per_us);
  EXPECT_GT(estimate(Math::tf32x3), estimate(Math::tf32));
}

}  // namespace
}  // namespace tconv::test
