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

CompareResult compared(const Bytes& a, const Bytes& b, const Region& region) {
  const DeviceCopy on_device_a(a), on_device_b(b);
  return gpu().compare(on_device_a.data(), on_device_b.data(), region, nullptr);
}

/// Against the loop on the host, which tests/host/run/test_compare_plans.cpp tests.
void expect_right(const Bytes& a, const Bytes& b, const Region& region) {
  const CompareResult got = compared(a, b, region);
  const CompareResult wanted = compare_on_host(a.data(), b.data(), region);
  EXPECT_EQ(got.differ, wanted.differ);
  EXPECT_EQ(got.worst, wanted.worst);
  EXPECT_EQ(got.first, wanted.first);
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

TEST(CompareOnGpu, ANullIsZeros) {
  const Bytes a = filled(DType::f32, 4000, [&](int64_t i) { return i == 77 ? -9.0 : 1.0; });
  const DeviceCopy on_device(a);
  const Region region = dense_region(DType::f32, 1000);
  EXPECT_EQ(gpu().compare(on_device.data(), nullptr, region, nullptr).worst, 9);
  EXPECT_EQ(gpu().compare(nullptr, nullptr, dense_region(DType::f32, 0), nullptr).differ, 0);
}

}  // namespace
}  // namespace tconv::test
