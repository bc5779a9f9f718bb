// SPDX-License-Identifier: Apache-2.0
// test_teaching_kernels_gpu.cpp: the kernels that try the emulator, on a real GPU: what the
// emulator says of ldmatrix, mma, cp.async, shuffles and votes is what the hardware does. Not yet
// run on a GPU.
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <random>

#include "src/host/problem/dtype.h"
#include "tests/emulator/kernels/matrix_product.h"
#include "tests/emulator/kernels/reduction.h"
#include "tests/emulator/kernels/transpose.h"
#include "tests/gpu/device_operands.h"

namespace tconv::test {
namespace {

/// An array on the device.
template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(const std::vector<T>& values) : copy_(bytes_of(values)) {}
  T* data() const { return static_cast<T*>(copy_.data()); }
  std::vector<T> download() const {
    const Bytes bytes = copy_.download();
    std::vector<T> values(bytes.size() / sizeof(T));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }

 private:
  static Bytes bytes_of(const std::vector<T>& values) {
    Bytes bytes(values.size() * sizeof(T));
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
  }
  DeviceCopy copy_;
};

TEST(TeachingKernelsOnGpu, MatrixProduct) {
  std::mt19937 random(3);
  for (const auto& [m, n, k] :
       {std::array{64, 64, 32}, {1, 1, 1}, {130, 70, 97}, {500, 300, 700}}) {
    const int a_pitch = (k + 7) / 8 * 8, b_pitch = (n + 7) / 8 * 8;
    std::vector<Half> a(std::size_t(m) * a_pitch, Half{0x7e00}), b(std::size_t(k) * b_pitch, a[0]);
    std::vector<float> bias(n), wanted(std::size_t(m) * n);
    const auto small = [&] { return static_cast<float>(random() % 9) - 4; };
    for (int i = 0; i < m; ++i) {
      for (int l = 0; l < k; ++l) a[std::size_t(i) * a_pitch + l] = round_to<Half>(small());
    }
    for (int l = 0; l < k; ++l) {
      for (int j = 0; j < n; ++j) b[std::size_t(l) * b_pitch + j] = round_to<Half>(small());
    }
    for (float& x : bias) x = small();
    for (int i = 0; i < m; ++i) {
      for (int j = 0; j < n; ++j) {
        float sum = bias[j];
        for (int l = 0; l < k; ++l) {
          sum += widen(a[std::size_t(i) * a_pitch + l]) * widen(b[std::size_t(l) * b_pitch + j]);
        }
        wanted[std::size_t(i) * n + j] = sum;
      }
    }
    const DeviceArray on_device_a(a), on_device_b(b);
    const DeviceArray on_device_bias(bias), c(std::vector<float>(wanted.size(), -1.0F));
    cuda::teaching::launch_matrix_product({m, n, k, a_pitch, b_pitch, n, on_device_a.data(),
                                           on_device_b.data(), on_device_bias.data(), c.data()},
                                          nullptr);
    EXPECT_EQ(c.download(), wanted) << m << " x " << n << " x " << k;
  }
}

TEST(TeachingKernelsOnGpu, Reduction) {
  constexpr unsigned kBlocks = 7;
  for (const int count : {1, 257, 100000}) {
    std::vector<float> values(count);
    for (int i = 0; i < count; ++i) values[i] = static_cast<float>(i % 23 - 7);
    const float sum = std::accumulate(values.begin(), values.end(), 0.0F);
    const auto above = std::count_if(values.begin(), values.end(), [](float x) { return x > 0; });
    const DeviceArray x(values), sums(std::vector(kBlocks, 0.0F));
    const DeviceArray positives(std::vector(kBlocks, 0U));
    cuda::teaching::launch_reduction({count, kBlocks, x.data(), sums.data(), positives.data()},
                                     nullptr);
    const auto s = sums.download();
    const auto p = positives.download();
    EXPECT_EQ(std::accumulate(s.begin(), s.end(), 0.0F), sum);
    EXPECT_EQ(std::accumulate(p.begin(), p.end(), int64_t{0}), above);
  }
}

TEST(TeachingKernelsOnGpu, Transpose) {
  constexpr int kRows = 333, kColumns = 70;
  std::vector<float> values(kRows * kColumns), wanted(values.size());
  std::iota(values.begin(), values.end(), 1.0F);
  for (int i = 0; i < kRows * kColumns; ++i)
    wanted[i % kColumns * kRows + i / kColumns] = values[i];
  for (const bool padded : {false, true}) {
    const DeviceArray x(values), y(std::vector(values.size(), 0.0F));
    cuda::teaching::launch_transpose({kRows, kColumns, x.data(), y.data(), padded}, nullptr);
    EXPECT_EQ(y.download(), wanted) << padded;
  }
}

}  // namespace
}  // namespace tconv::test
