// SPDX-License-Identifier: Apache-2.0
// test_compare_gpu.cpp: the comparison of two device buffers, against a loop. Not yet run on a GPU.
#include <gtest/gtest.h>

#include <limits>

#include "src/host/device/compare.h"
#include "tests/gpu/device_operands.h"

namespace tconv::test {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Against the loop on the host, which test_compare.cpp tests: without magnitudes, and with some by
/// which elements are excused, and some where nothing bounds them.
void expect_right(const Bytes& a, const Bytes& b, const Region& region) {
  const DeviceCopy on_device_a(a), on_device_b(b);
  for (const DType type : {DType::same, DType::f32, DType::f64}) {
    const bool bounded = type != DType::same;
    const DType magnitude_type = bounded ? type : DType::f32;
    const auto bytes = static_cast<int64_t>(size_of(magnitude_type)) * region.count();
    const Bytes magnitudes = filled(magnitude_type, bytes, [](int64_t i) { return double(i % 7); });
    const DeviceCopy on_device(magnitudes);
    Compared what{.a = a.data(), .b = b.data(), .region = region};
    if (bounded) {
      what.magnitudes = magnitudes.data(), what.magnitude_type = type;
      what.tolerance = {.slope = 25, .offset = 1, .most = 90, .limit = 6, .end = 65536};
    }
    const CompareResult wanted = compare_on_host(what);
    what.a = on_device_a.data(), what.b = on_device_b.data();
    if (bounded) what.magnitudes = on_device.data();
    const CompareResult got = gpu().compare(what, nullptr);
    EXPECT_EQ(got.differ, wanted.differ);
    EXPECT_EQ(got.wrong, wanted.wrong);
    EXPECT_EQ(got.one_nan, wanted.one_nan);
    EXPECT_EQ(got.unbounded, wanted.unbounded);
    EXPECT_EQ(got.first, wanted.first);
    EXPECT_EQ(got.first_wrong, wanted.first_wrong);
    EXPECT_EQ(got.worst, wanted.worst);
    EXPECT_EQ(got.distance, wanted.distance);
    EXPECT_EQ(got.allowed, wanted.allowed);
  }
}

TEST(CompareOnGpu, FindsEveryDifference) {
  std::mt19937_64 random(5);
  for (const DType type : {DType::f16, DType::bf16, DType::f32, DType::f64}) {
    for (const int64_t count : {1, 31, 1000, 1000003}) {
      const auto bytes = count * static_cast<int64_t>(size_of(type));
      const Bytes a = filled(type, bytes, [&](int64_t) { return double(random() % 9); });
      Bytes b = a;
      const Region region = dense_region(type, count);
      expect_right(a, b, region);
      for (int i = 0; i < 5; ++i) {
        store(type, b.data(), static_cast<int64_t>(random() % static_cast<uint64_t>(count)), 100);
      }
      expect_right(a, b, region);
      store(type, b.data(), count - 1, kNaN);
      expect_right(a, b, region);
    }
  }
}

TEST(CompareOnGpu, SpecialValuesEqualThemselves) {
  const double values[] = {kNaN, kInfinity, -kInfinity, 0.0, -0.0, 1.0};
  for (const double x : values) {
    for (const double y : values) {
      const Bytes a = filled(DType::f32, 4, [&](int64_t) { return x; });
      const Bytes b = filled(DType::f32, 4, [&](int64_t) { return y; });
      expect_right(a, b, dense_region(DType::f32, 1));
    }
  }
}

TEST(CompareOnGpu, ReadsNoPadding) {
  std::mt19937_64 random(6);
  for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
    const Extents extents{3, 7, 9, 5}, wide{3, 8, 11, 6};
    const Region region{DType::f16, layout, extents, dense_strides(layout, wide)};
    const auto draw = [&](int64_t) { return double(random() % 9); };
    const Bytes a = filled(DType::f16, 2 * wide.count(), draw);
    const Bytes b = filled(DType::f16, 2 * wide.count(), draw);
    EXPECT_FALSE(region.is_dense());
    expect_right(a, b, region);
  }
}

TEST(CompareOnGpu, NothingIsTheSame) {
  EXPECT_EQ(gpu().compare({.region = dense_region(DType::f32, 0)}, nullptr).differ, 0);
}

}  // namespace
}  // namespace tconv::test
