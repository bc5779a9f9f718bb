// SPDX-License-Identifier: Apache-2.0
// test_problem.cpp: the constructor that validates everything, and the key.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "src/host/problem/errors.h"
#include "tests/support/support.h"

namespace tconv::test {
namespace {

ProblemDesc valid() {
  ProblemDesc d;
  d.batch = 2, d.in_c = 8, d.out_c = 4;
  d.h = {.in = 8, .kernel = 3, .stride = 2, .dilation = 1, .pad_begin = 0, .out = 16};
  d.w = d.h;
  return d;
}

struct Bad {
  const char* what;                         ///< the message must contain it
  std::function<void(ProblemDesc&)> spoil;  ///< one mistake in a valid request
};

const Bad kBad[] = {
    {"h.kernel = 0, but it must be in [1", [](auto& d) { d.h.kernel = 0; }},
    {"w.kernel = 0", [](auto& d) { d.w.kernel = 0; }},
    {"h.stride = 0", [](auto& d) { d.h.stride = 0; }},
    {"w.stride = -1", [](auto& d) { d.w.stride = -1; }},
    {"h.dilation = 0", [](auto& d) { d.h.dilation = 0; }},
    {"w.dilation = -3", [](auto& d) { d.w.dilation = -3; }},
    {"h.in = -1", [](auto& d) { d.h.in = -1; }},
    {"w.out = -2", [](auto& d) { d.w.out = -2; }},
    {"batch = -1", [](auto& d) { d.batch = -1; }},
    {"in_c = -8", [](auto& d) { d.in_c = -8; }},
    {"out_c = -4", [](auto& d) { d.out_c = -4; }},
    {"groups = -1", [](auto& d) { d.groups = -1; }},
    {"in_c = 8, but it must be a multiple of groups = 3",
     [](auto& d) { d.groups = 3, d.out_c = 3; }},
    {"out_c = 4, but it must be a multiple of groups = 8", [](auto& d) { d.groups = 8; }},
    {"output size does not fit 64 bits", [](auto& d) { d.h.out = d.w.out = int64_t{1} << 40; }},
    {"input size does not fit 64 bits", [](auto& d) { d.h.in = d.w.in = int64_t{1} << 31; }},
    {"filter size does not fit 64 bits",
     [](auto& d) { d.h.kernel = d.w.kernel = int64_t{1} << 31; }},
    {"filter size does not fit 64 bits",
     [](auto& d) { d.h.kernel = d.w.kernel = int64_t{1} << 32, d.in_c = d.out_c = 0; }},
    {"(in - 1) * stride", [](auto& d) { d.h.stride = int64_t{1} << 61; }},
    {"h.stride = 2305843009213693953", [](auto& d) { d.h.stride = (int64_t{1} << 61) + 1; }},
    {"h.pad_begin", [](auto& d) { d.h.pad_begin = INT64_MIN; }},
    {"dtype = 9", [](auto& d) { d.dtype = static_cast<DType>(9); }},
    {"output_dtype = f64, but it must be f16, bf16 or f32",
     [](auto& d) { d.output_dtype = DType::f64; }},
    {"bias_dtype = f16, but it must be f32 or f32", [](auto& d) { d.bias_dtype = DType::f16; }},
    {"layout = 0", [](auto& d) { d.layout = static_cast<Layout>(0); }},
    {"filter_order = 5", [](auto& d) { d.filter_order = static_cast<FilterOrder>(5); }},
    {"activation = 10", [](auto& d) { d.activation = static_cast<Activation>(10); }},
    {"activation_a", [](auto& d) { d.activation = Activation::leaky_relu, d.activation_a = NAN; }},
    {"activation_a = 0.000000, but it must be finite and not 0, the slope of leaky_relu",
     [](auto& d) { d.activation = Activation::leaky_relu; }},
    {"activation_a = 0.000000, but it must be less than activation_b = 0.000000, the ends of clamp",
     [](auto& d) { d.activation = Activation::clamp; }},
    {"activation_a = 1.000000, but it must be less than activation_b = 0",
     [](auto& d) { d.activation = Activation::clamp, d.activation_a = 1; }},
    {"activation_a = nan, but it must be less than activation_b = 1",
     [](auto& d) { d.activation = Activation::clamp, d.activation_a = NAN, d.activation_b = 1; }},
    {"alignment = 3", [](auto& d) { d.alignment = 3; }},
    {"alignment = 2, but it must be a power of two in [4, 256]", [](auto& d) { d.alignment = 2; }},
    {"alignment = 512", [](auto& d) { d.alignment = 512; }},
    {"input_strides.c = 2, but it must be 1",
     [](auto& d) {
       d.input_strides = {1024, 128, 16, 2};
     }},
    {"output_strides.w = 3, but it must be at least 4",
     [](auto& d) {
       d.output_strides = {4096, 64, 3, 1};
     }},
    {"output_strides.n = 0, but it must be at least",
     [](auto& d) {
       d.output_strides = {0, 64, 4, 1};
     }},
    {"input_strides.h = -8, but it must be at least 0",
     [](auto& d) {
       d.input_strides = {64, -8, 8, 1};
     }},
    {"residual_strides.n = -1",
     [](auto& d) {
       d.has_residual = true, d.residual_strides = {-1, 64, 4, 1};
     }},
    {"output size does not fit",
     [](auto& d) {
       d.output_strides = {INT64_MAX, 64, 4, 1};
     }},
};

TEST(Problem, RefusesEveryBadFieldByNameAndValue) {
  ASSERT_NO_THROW(Problem{valid()});
  for (const Bad& bad : kBad) {
    ProblemDesc d = valid();
    bad.spoil(d);
    try {
      const Problem problem(d);
      ADD_FAILURE() << "accepted: " << bad.what << " as " << problem.key();
    } catch (const InvalidProblem& e) {
      EXPECT_NE(std::string(e.what()).find(bad.what), std::string::npos)
          << "expected '" << bad.what << "' in '" << e.what() << "'";
    }
  }
}

TEST(Problem, TakesSizesBeyondTwoToTheThirtyOneAndHugeStrides) {
  ProblemDesc d = valid();
  d.in_c = d.out_c = 64;
  d.h = d.w = {.in = 1024, .kernel = 3, .stride = 8, .dilation = 1, .pad_begin = 0, .out = 8192};
  EXPECT_EQ(Problem(d).output_bytes(), int64_t{2} * 8192 * 8192 * 64 * 4);
  d.h.stride = 46889;
  d.h.out = 1023 * int64_t{46889} + 3;
  EXPECT_NO_THROW(Problem{d});
}

// x.expand(...) of a framework: only what is written needs an address of its own.
TEST(Problem, TakesInputsAndResidualsThatRepeat) {
  ProblemDesc d = valid();
  const Problem dense(d);
  d.input_strides = {0, 0, 8, 1};  // one row for every image and row
  const Problem problem(d);
  EXPECT_EQ(problem.input_bytes(), d.w.in * d.in_c * 4);
  EXPECT_EQ(dense.least_bytes() - problem.least_bytes(),
            static_cast<double>(dense.input_bytes() - problem.input_bytes()));
  EXPECT_EQ(Problem(parse_key(problem.key())).key(), problem.key());
  d.input_strides = {0, 8, 8, 1};  // rows that overlap
  EXPECT_EQ(Problem(d).input_bytes(), (d.h.in + d.w.in - 1) * d.in_c * 4);
  d.has_residual = true;
  d.residual_strides = {0, 0, 0, 1};  // a bias, as a tensor
  EXPECT_EQ(Problem(d).residual_bytes(), d.out_c * 4);
  d.layout = Layout::nchw;
  d.input_strides = {64, 8, 1, 0}, d.residual_strides = {0, 0, 1, 0};
  EXPECT_EQ(Problem(d).input_bytes(), (64 + 64) * 4);
}

TEST(Problem, TakesEmptyTensors) {
  for (int64_t ProblemDesc::*field :
       {&ProblemDesc::batch, &ProblemDesc::in_c, &ProblemDesc::out_c}) {
    ProblemDesc d = valid();
    d.*field = 0;
    EXPECT_NO_THROW(Problem{d});
  }
  ProblemDesc d = valid();
  d.h.in = 0;
  const Problem no_input(d);
  EXPECT_EQ(no_input.input_bytes(), 0);
  EXPECT_FALSE(no_input.empty_output());
  EXPECT_EQ(no_input.useful_macs(), 0);
  d.w.out = 0;
  EXPECT_TRUE(Problem(d).empty_output());
}

TEST(Problem, CountsBytesToTheLastElementOfAStridedTensor) {
  ProblemDesc d = valid();
  d.input_strides = {8 * 8 * 12, 8 * 12, 12, 1};  // a slice of 8 channels out of 12
  EXPECT_EQ(Problem(d).input_bytes(), (768 + 7 * 96 + 7 * 12 + 7 + 1) * 4);
}

/// Counted by walking every input and tap.
double count_pairs(const Axis& axis) {
  double pairs = 0;
  for (int64_t i = 0; i < axis.in; ++i) {
    for (int64_t r = 0; r < axis.kernel; ++r) {
      const int64_t p = i * axis.stride - axis.pad_begin + r * axis.dilation;
      pairs += p >= 0 && p < axis.out ? 1 : 0;
    }
  }
  return pairs;
}

int64_t count_longest_sum(const Axis& axis) {
  int64_t longest = 0;
  for (int64_t p = 0; p < axis.out; ++p) {
    int64_t taps = 0;
    for (int64_t r = 0; r < axis.kernel; ++r) taps += input_index(axis, p, r) != kNoInput ? 1 : 0;
    longest = std::max(longest, taps);
  }
  return longest;
}

TEST(Problem, UsefulWorkAndLongestSumAreWhatCountingGives) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 2000; ++i) {
    const Problem problem(random_desc(random));
    const ProblemDesc& d = problem.desc();
    const double channels = static_cast<double>(problem.in_c_per_group() * d.out_c);
    ASSERT_EQ(problem.useful_macs(),
              static_cast<double>(d.batch) * channels * count_pairs(d.h) * count_pairs(d.w))
        << problem.key();
    ASSERT_LE(count_longest_sum(d.h) * count_longest_sum(d.w) * problem.in_c_per_group(),
              problem.longest_sum())
        << problem.key();
  }
}

TEST(Key, SaysEverythingButTheName) {
  std::mt19937_64 random(2);
  std::set<std::string> keys;
  for (int i = 0; i < 5000; ++i) {
    ProblemDesc d = random_desc(random, {.inexact_activations = true});
    if (d.activation == Activation::leaky_relu) d.activation_a = 0.1 + static_cast<double>(i);
    const Problem problem(d);
    const Problem again(parse_key(problem.key()));
    ASSERT_EQ(again.key(), problem.key());
    const ProblemDesc &a = problem.desc(), &b = again.desc();
    ASSERT_TRUE(a.batch == b.batch && a.in_c == b.in_c && a.out_c == b.out_c &&
                a.groups == b.groups && a.h == b.h && a.w == b.w)
        << problem.key();
    ASSERT_TRUE(a.dtype == b.dtype && a.output_dtype == b.output_dtype &&
                a.bias_dtype == b.bias_dtype && a.layout == b.layout &&
                a.filter_order == b.filter_order && a.has_bias == b.has_bias &&
                a.has_residual == b.has_residual && a.activation == b.activation &&
                a.activation_a == b.activation_a && a.activation_b == b.activation_b &&
                a.alignment == b.alignment)
        << problem.key();
    ASSERT_TRUE(a.input_strides == b.input_strides && a.output_strides == b.output_strides &&
                a.residual_strides == b.residual_strides)
        << problem.key();
    keys.insert(problem.key());
  }
  EXPECT_GT(keys.size(), 4900U);
}

TEST(Key, AnExampleReadsAsDocumented) {
  ProblemDesc d = valid();
  d.dtype = d.output_dtype = DType::f16;
  d.bias_dtype = DType::f32, d.has_bias = true;
  d.activation = Activation::leaky_relu, d.activation_a = 0.1;
  EXPECT_EQ(Problem(d).key(), "f16:nhwc:n2:c8:k4:h8k3s2o16:w8k3s2o16:bias=f32:act=leaky_relu,0.1");
}

TEST(Key, WhatItCannotReadIsNamed) {
  const std::pair<const char*, const char*> bad[] = {
      {"", "expected f16, bf16, f32 or f64"},
      {"f17:nhwc", "f17"},
      {"f32:nwhc", "expected nhwc or nchw"},
      {"f32:nhwc:n1:c1:k1:h1k1s1o1", "'w...' is missing"},
      {"f32:nhwc:n1:c1:k1:h1k1o1:w1k1s1o1", "'s'"},
      {"f32:nhwc:n1:n1:c1:k1:h1k1s1o1:w1k1s1o1", "each part once"},
      {"f32:nhwc:n1:c1:k1:h1k1s1o1:w1k1s1o1x", "nothing after"},
      {"f32:nhwc:n1:c1:k1:h1k1s1o1:w1k1s1o1:act=relu6", "an activation"},
      {"f32:nhwc:n99999999999999999999:c1:k1:h1k1s1o1:w1k1s1o1", "a number"},
  };
  for (const auto& [key, what] : bad) {
    try {
      parse_key(key);
      ADD_FAILURE() << "read " << key;
    } catch (const InvalidProblem& e) {
      EXPECT_NE(std::string(e.what()).find(what), std::string::npos) << e.what();
    }
  }
}

}  // namespace
}  // namespace tconv::test
