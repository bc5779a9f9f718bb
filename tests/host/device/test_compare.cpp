// SPDX-License-Identifier: Apache-2.0
// test_compare.cpp: two tensors against each other: which elements differ, and which are wrong.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "src/host/device/compare.h"
#include "tests/support/fake_gpu.h"
#include "tests/support/support.h"

namespace tconv::test {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

CompareResult exactly(double x, double y) { return difference(x, y, 0, {}, 7); }

TEST(Compare, SpecialValuesEqualThemselves) {
  const double values[] = {kNaN, kInfinity, -kInfinity, 0.0, -0.0, 1.0};
  for (const double x : values) {
    for (const double y : values) {
      const bool same = x == y || (std::isnan(x) && std::isnan(y));
      const CompareResult result = exactly(x, y);
      EXPECT_EQ(result.differ, same ? 0 : 1) << x << ", " << y;
      EXPECT_EQ(result.wrong, same ? 0 : 1) << x << ", " << y;
      EXPECT_EQ(result.first, same ? -1 : 7);
      EXPECT_EQ(result.one_nan, !same && std::isnan(x) != std::isnan(y) ? 1 : 0);
      EXPECT_EQ(result.distance, same ? 0 : std::isfinite(x) && std::isfinite(y) ? 1 : kInfinity);
    }
  }
}

// What is allowed grows with the element's own addends: a large one excuses no other.
TEST(Compare, EachElementHasItsOwnBound) {
  const Tolerance tolerance{.slope = 0.5, .offset = 0.25, .most = 100, .limit = 1e6};
  EXPECT_EQ(difference(0, 0.25, 0, tolerance, 1).wrong, 0);
  EXPECT_EQ(difference(0, 0.26, 0, tolerance, 1).wrong, 1);
  EXPECT_EQ(difference(0, 1.25, 2, tolerance, 1).wrong, 0);
  EXPECT_EQ(difference(0, 1.26, 2, tolerance, 1).wrong, 1);
  EXPECT_EQ(difference(0, 101, 1e5, tolerance, 1).wrong, 1) << "the most";
  EXPECT_EQ(difference(0, 1, kNaN, tolerance, 1).wrong, 1) << "NaN excuses nothing";
  const CompareResult off = difference(3, 1, 2, tolerance, 5);
  EXPECT_EQ(off.distance, 2);
  EXPECT_EQ(off.allowed, 1.25);
  EXPECT_EQ(off.ratio, 1.6);
  EXPECT_EQ(off.worst, 5);
}

TEST(Compare, OneNaNIsWrongAndInfinityIsAsFarAsTheTypesEnd) {
  const Tolerance tolerance{.slope = 1e-3, .limit = 1e6, .end = 65536};
  for (const double x : {0.0, 65504.0, kInfinity}) {
    const CompareResult one = difference(x, kNaN, 7e4, tolerance, 2);
    EXPECT_EQ(one.wrong, 1) << x;
    EXPECT_EQ(one.one_nan, 1) << x;
    EXPECT_EQ(one.first_wrong, 2) << x;
  }
  EXPECT_EQ(difference(kInfinity, 65504, 7e4, tolerance, 1).wrong, 0);
  EXPECT_EQ(difference(kInfinity, 60000, 7e4, tolerance, 1).wrong, 1);
  EXPECT_EQ(difference(-kInfinity, 65504, 7e4, tolerance, 1).wrong, 1);
  // Where the sum may overflow on the way, anything may come out; it is counted.
  for (const double y : {kNaN, kInfinity, 0.0}) {
    const CompareResult result = difference(1, y, 1e6, tolerance, 1);
    EXPECT_EQ(result.wrong, 0) << y;
    EXPECT_EQ(result.unbounded, 1) << y;
    EXPECT_EQ(result.differ, 1) << y;
  }
}

TEST(Compare, CountsTheWorstAndTheFirstInAnyGrouping) {
  const Tolerance tolerance{.offset = 1, .limit = 10};
  const CompareResult parts[] = {{},
                                 difference(0, 3, 0, tolerance, 9),
                                 difference(0, 0.5, 0, tolerance, 3),
                                 difference(0, 3, 0, tolerance, 5),
                                 difference(0, kNaN, 20, tolerance, 4),
                                 {}};
  CompareResult forward, backward;
  for (int i = 0; i < 6; ++i) {
    forward = joined(forward, parts[i]);
    backward = joined(backward, parts[5 - i]);
  }
  for (const CompareResult& all : {forward, backward}) {
    EXPECT_EQ(all.differ, 4);
    EXPECT_EQ(all.wrong, 2);
    EXPECT_EQ(all.unbounded, 1);
    EXPECT_EQ(all.one_nan, 0);
    EXPECT_EQ(all.first, 3);
    EXPECT_EQ(all.first_wrong, 5);
    EXPECT_EQ(all.worst, 5) << "the first of two that are equally far off";
    EXPECT_EQ(all.distance, 3);
  }
}

// Where nothing is allowed, all that differ are infinitely far: then the distance decides.
TEST(Compare, WithoutAToleranceTheWorstIsTheFarthest) {
  CompareResult all;
  for (const auto& [y, i] : {std::pair{1.0, 0}, {-7.0, 1}, {7.0, 2}, {2.0, 3}}) {
    all = joined(difference(0, y, 0, {}, i), all);
  }
  EXPECT_EQ(all.distance, 7);
  EXPECT_EQ(all.worst, 1);
  EXPECT_EQ(all.wrong, 4);
}

TEST(Compare, WalksTheElementsInMemoryOrderAndNoPadding) {
  for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
    const Extents extents{2, 3, 4, 5}, wide{2, 4, 6, 7};
    const Region region{DType::f32, layout, extents, dense_strides(layout, wide)};
    EXPECT_FALSE(region.is_dense());
    Bytes a = filled(DType::f32, 4 * wide.count(), [](int64_t i) { return double(i); });
    Bytes b = filled(DType::f32, 4 * wide.count(), [](int64_t) { return -1.0; });
    int64_t last = -1;
    for (int64_t i = 0; i < region.count(); ++i) {
      EXPECT_GT(region.offset(i), last);
      last = region.offset(i);
      store(DType::f32, b.data(), last, double(last));
    }
    EXPECT_EQ(region.bytes(), 4 * (last + 1));
    const Compared both{.a = a.data(), .b = b.data(), .region = region};
    EXPECT_EQ(compare_on_host(both).differ, 0);
    store(DType::f32, b.data(), region.offset(41), 1000);
    EXPECT_EQ(compare_on_host(both).first, 41);
  }
  // A stride that no element uses does not count.
  EXPECT_TRUE((Region{DType::f32, Layout::nhwc, {1, 1, 4, 5}, {99, 98, 5, 1}}.is_dense()));
}

TEST(Compare, WhatASeamWithoutCodeOfItsOwnDoes) {
  FakeGpu fake;
  const Bytes a = filled(DType::f32, 40, [](int64_t i) { return i == 3 ? -8.0 : 1.0; });
  const Bytes b = filled(DType::f32, 40, [](int64_t) { return 1.0; });
  const Bytes magnitudes = filled(DType::f64, 80, [](int64_t i) { return double(i); });
  Compared what{.a = a.data(),
                .b = b.data(),
                .region = dense_region(DType::f32, 10),
                .magnitudes = magnitudes.data(),
                .magnitude_type = DType::f64,
                .tolerance = {.slope = 2}};
  const CompareResult result = fake.Gpu::compare(what, nullptr);
  EXPECT_EQ(result.first_wrong, 3);
  EXPECT_EQ(result.distance, 9);
  EXPECT_EQ(result.allowed, 6);
  EXPECT_EQ(fake.bytes_to_host, 160);
  what.region = dense_region(DType::f32, 0);
  EXPECT_EQ(fake.Gpu::compare(what, nullptr).differ, 0);
}

}  // namespace
}  // namespace tconv::test
