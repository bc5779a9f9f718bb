// SPDX-License-Identifier: Apache-2.0
// test_verify_environment.cpp: with TCONV_VERIFY=1 every run is verified, whatever its plan. A
// program of its own: the environment is read once.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "src/host/cpu/reference.h"
#include "src/host/plan/environment.h"
#include "src/host/plan/plan.h"
#include "src/host/problem/errors.h"
#include "src/host/run/run.h"
#include "tests/support/fake_kernels.h"
#include "tests/support/support.h"

namespace tconv::test {
namespace {

std::shared_ptr<const KernelState> state(const Problem& problem, int, const Options& options,
                                         const DeviceFacts&) {
  auto state = std::make_shared<FakeState>();
  if (options.prepacked_filters) {
    state->packed_filter_bytes = static_cast<std::size_t>(problem.filter_bytes());
  }
  return state;
}
void copy(const Problem&, const KernelState& state, const void* filters, void* packed, Stream) {
  std::memcpy(packed, filters, state.packed_filter_bytes);
}
/// Right but for one element.
void spoiled(const Problem& problem, const KernelState&, const Tensors& tensors, Stream) {
  reference_conv2d_transpose(problem, tensors, 1);
  static_cast<float*>(tensors.output)[2] += 1;
}

TEST(VerifyEnvironment, EveryRunIsVerifiedThoseWithPackedFiltersToo) {
  setenv("TCONV_VERIFY", "1", 1);
  if (!environment().verify) GTEST_SKIP() << "built with TCONV_READ_ENVIRONMENT=OFF";
  ProblemDesc d;
  d.in_c = 3, d.out_c = 4;
  d.h = d.w = {.in = 3, .kernel = 3, .stride = 2, .out = 7};
  const Problem problem(d);
  Kernel wrong = fake("wrong", takes_all, state);
  wrong.launch = spoiled, wrong.prepack = copy;
  const Kernel* table[] = {&wrong};
  Operands operands = uniform(problem, 1);
  EXPECT_THROW(run(make_plan(problem, {}, table), operands.tensors(), {}, nullptr), Mismatch);
  const Plan packing = make_plan(problem, {.prepacked_filters = true}, table);
  Bytes packed(packing.packed_filter_bytes());
  prepack(packing, operands.filters.data(), packed.data(), packed.size(), nullptr);
  operands.filters = packed;
  EXPECT_THROW(run(packing, operands.tensors(), {}, nullptr), Mismatch);
}

}  // namespace
}  // namespace tconv::test
