// SPDX-License-Identifier: Apache-2.0
// test_igemm_operands.cpp: how many bytes of input and filters the implicit GEMM copies at once.
#include <gtest/gtest.h>

#include "src/cuda/igemm_sm80/operands.h"
#include "tests/cuda/igemm_sm80/igemm_problems.h"

namespace tconv::test {
namespace {

TEST(IgemmOperands, KnowsHowRowsOfChannelsAreAligned) {
  ProblemDesc d;
  d.dtype = d.output_dtype = DType::f16;
  d.h = d.w = axis(4, 3, 1, 1);
  const auto vector_bytes = [&](int64_t in_c) {
    d.in_c = in_c;
    return igemm::vector_bytes(Problem(d));
  };
  EXPECT_EQ(vector_bytes(64), 16);
  EXPECT_EQ(vector_bytes(12), 8);
  EXPECT_EQ(vector_bytes(6), 4);
  EXPECT_EQ(vector_bytes(21), 2);
  d.alignment = 4;
  EXPECT_EQ(vector_bytes(64), 4);
  // Rows of columns are aligned as the output channels of a group are.
  const auto filter_vector_bytes = [&](FilterOrder order, int64_t out_c) {
    d.in_c = 64, d.out_c = out_c, d.groups = 2, d.alignment = 16, d.filter_order = order;
    EXPECT_EQ(igemm::vector_bytes(Problem(d)), 16);
    return igemm::filter_vector_bytes(Problem(d));
  };
  EXPECT_EQ(filter_vector_bytes(FilterOrder::hwoi, 6), 16);
  EXPECT_EQ(filter_vector_bytes(FilterOrder::ihwo, 6), 2);
  EXPECT_EQ(filter_vector_bytes(FilterOrder::ihwo, 24), 8);
  EXPECT_EQ(filter_vector_bytes(FilterOrder::ihwo, 32), 16);
}

}  // namespace
}  // namespace tconv::test
