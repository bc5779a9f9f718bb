// SPDX-License-Identifier: Apache-2.0
// test_compare_gpu.cpp: the comparison of two device buffers, against a loop. Not yet run on a GPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/host/compare.h"
#include "tests/gpu/device_operands.h"

namespace tconv::test {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The definition, element by element.
CompareResult expected(DType type, const Bytes& a, const Bytes& b, int64_t count) {
  CompareResult result;
  for (int64_t i = 0; i < count; ++i) {
    const double x = load(type, a.data(), i), y = load(type, b.data(), i);
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    if (result.differ++ == 0) result.first = i;
    const double distance = std::fabs(x - y);
    result.worst = std::max(result.worst, std::isnan(distance) ? kInfinity : distance);
  }
  return result;
}

CompareResult compared(DType type, const Bytes& a, const Bytes& b, int64_t count) {
  const DeviceCopy on_device_a(a), on_device_b(b);
  return compare_buffers(on_device_a.data(), on_device_b.data(), type, count, nullptr);
}

void expect_same(const CompareResult& got, const CompareResult& wanted) {
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
      expect_same(compared(type, a, b, count), {});
      for (int i = 0; i < 5; ++i) {
        store(type, b.data(), static_cast<int64_t>(random() % static_cast<uint64_t>(count)), 100);
      }
      expect_same(compared(type, a, b, count), expected(type, a, b, count));
      store(type, b.data(), count - 1, kNaN);
      expect_same(compared(type, a, b, count), expected(type, a, b, count));
    }
  }
}

TEST(CompareOnGpu, SpecialValuesEqualThemselves) {
  const double values[] = {kNaN, kInfinity, -kInfinity, 0.0, -0.0, 1.0};
  for (const double x : values) {
    for (const double y : values) {
      const Bytes a = filled(DType::f32, 4, [&](int64_t) { return x; });
      const Bytes b = filled(DType::f32, 4, [&](int64_t) { return y; });
      expect_same(compared(DType::f32, a, b, 1), expected(DType::f32, a, b, 1));
    }
  }
}

TEST(CompareOnGpu, NothingEqualsNothing) {
  expect_same(compare_buffers(nullptr, nullptr, DType::f32, 0, nullptr), {});
}

}  // namespace
}  // namespace tconv::test
