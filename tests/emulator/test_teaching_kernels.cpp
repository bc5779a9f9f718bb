// SPDX-License-Identifier: Apache-2.0
// test_teaching_kernels.cpp: kernels with tensor cores, shuffles and shared memory give the right
// results, cost what can be counted by hand, and miss every one of their synchronisations.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <random>

#include "src/host/problem/dtype.h"
#include "src/host/problem/errors.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/kernels/matrix_product.h"
#include "tests/emulator/kernels/reduction.h"
#include "tests/emulator/kernels/transpose.h"

namespace tconv::emulator {
namespace {

using cuda::teaching::MatrixProduct;
using cuda::teaching::Reduction;
using cuda::teaching::Transpose;
using host::Half;

/// Emulated global memory. What is given is constant, the rest is unwritten.
template <typename T>
class Tensor {
 public:
  Tensor(const char* name, std::size_t count) : count_(count) {
    data_ = static_cast<T*>(allocate(count * sizeof(T), name));
  }
  Tensor(const char* name, const std::vector<T>& values) : Tensor(name, values.size()) {
    std::copy(values.begin(), values.end(), data_);
    set_written(data_, count_ * sizeof(T), true);
    set_constant(data_, count_ * sizeof(T), true);
  }
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;
  ~Tensor() { release(data_); }
  T* data() const { return data_; }
  T operator[](std::size_t i) const { return data_[i]; }

 private:
  std::size_t count_;
  T* data_ = nullptr;
};

/// Runs `launch` with `config`; its report. A finding makes the launch throw and is in the report;
/// a launch that was refused has none.
Report run_with(const Config& config, const std::function<void()>& launch) {
  configure(config);
  forget_reports();
  try {
    launch();
  } catch (const host::DeviceError& error) {
    if (reports().empty()) {
      ADD_FAILURE() << error.what();
      return {};
    }
    EXPECT_FALSE(reports().back().clean()) << error.what();
  }
  return reports().back();
}

/// `check` holds for several orders of the threads and nothing is found; then without each
/// synchronisation in turn, for some order, something is found or `check` fails.
void expect_all_synchronisation_needed(const std::function<void()>& launch,
                                       const std::function<bool()>& check) {
  constexpr uint64_t kSeeds = 5;
  std::vector<SyncSite> sites;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Report report = run_with({.seed = seed}, launch);
    EXPECT_TRUE(report.clean()) << report.text();
    EXPECT_TRUE(check()) << "seed " << seed;
    sites = report.sites;
  }
  EXPECT_FALSE(sites.empty());
  for (const SyncSite& dropped : sites) {
    bool noticed = false;
    for (uint64_t seed = 1; seed <= kSeeds && !noticed; ++seed) {
      noticed = !run_with({.seed = seed, .drop = {dropped.site}}, launch).clean() || !check();
    }
    EXPECT_TRUE(noticed) << "nothing misses " << dropped.name << " at " << dropped.site.text();
  }
  configure({});
}

/// Small whole numbers: every sum is exact, whatever its order.
class Product {
 public:
  Product(int m, int n, int k) : m_(m), n_(n), k_(k) {
    std::uniform_int_distribution<int> value(-8, 8);
    a_values_ = matrix(m, k, round_up(k), value);
    b_values_ = matrix(k, n, round_up(n), value);
    bias_values_.resize(n);
    for (float& x : bias_values_) x = static_cast<float>(value(random_));
  }

  void expect_right() {
    Tensor<Half> a("a", halves(a_values_)), b("b", halves(b_values_));
    Tensor<float> bias("bias", bias_values_);
    Tensor<float> c("c", std::size_t(m_ - 1) * c_pitch() + n_);
    const MatrixProduct product{m_,        n_,       k_,       round_up(k_), round_up(n_),
                                c_pitch(), a.data(), b.data(), bias.data(),  c.data()};
    const Report report = run_with({.seed = 3}, [&] { launch_matrix_product(product, nullptr); });
    EXPECT_TRUE(report.clean()) << report.text();
    EXPECT_TRUE(is_right(c)) << m_ << " x " << n_ << " x " << k_;
  }

  bool is_right(const Tensor<float>& c) const {
    for (int i = 0; i < m_; ++i) {
      for (int j = 0; j < n_; ++j) {
        float sum = bias_values_[j];
        for (int l = 0; l < k_; ++l) {
          sum += a_values_[std::size_t(i) * round_up(k_) + l] *
                 b_values_[std::size_t(l) * round_up(n_) + j];
        }
        if (!(c[std::size_t(i) * c_pitch() + j] == sum)) return false;
      }
    }
    return true;
  }

  std::vector<Half> halves(const std::vector<float>& values) const {
    std::vector<Half> result;
    for (const float x : values) result.push_back(host::round_to<Half>(x));
    return result;
  }
  static int round_up(int x) { return (x + 7) / 8 * 8; }
  int c_pitch() const { return n_ + 3; }

  std::vector<float> a_values_, b_values_, bias_values_;
  int m_, n_, k_;

 private:
  /// NaN between the end of a row and its pitch: whoever reads it spoils the sums.
  std::vector<float> matrix(int rows, int columns, int pitch,
                            std::uniform_int_distribution<int>& value) {
    std::vector<float> values(std::size_t(rows) * pitch, std::numeric_limits<float>::quiet_NaN());
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) {
        values[std::size_t(i) * pitch + j] = static_cast<float>(value(random_));
      }
    }
    return values;
  }
  std::mt19937 random_{7};
};

TEST(TeachingMatrixProduct, AnySize) {
  Product(64, 64, 32).expect_right();
  Product(64, 64, 224).expect_right();  // the ring goes round twice
  Product(1, 1, 1).expect_right();
  Product(3, 70, 9).expect_right();
  Product(65, 63, 33).expect_right();
  Product(130, 8, 97).expect_right();
}

TEST(TeachingMatrixProduct, NeedsEachSynchronisation) {
  const Product p(70, 66, 136);
  Tensor<Half> a("a", p.halves(p.a_values_)), b("b", p.halves(p.b_values_));
  Tensor<float> bias("bias", p.bias_values_);
  Tensor<float> c("c", std::size_t(p.m_) * p.c_pitch());
  const MatrixProduct product{p.m_,        p.n_,     p.k_,     p.round_up(p.k_), p.round_up(p.n_),
                              p.c_pitch(), a.data(), b.data(), bias.data(),      c.data()};
  expect_all_synchronisation_needed([&] { launch_matrix_product(product, nullptr); },
                                    [&] { return p.is_right(c); });
}

TEST(TeachingMatrixProduct, CountsByHand) {
  const Product p(128, 64, 96);
  Tensor<Half> a("a", p.halves(p.a_values_)), b("b", p.halves(p.b_values_));
  Tensor<float> bias("bias", p.bias_values_);
  Tensor<float> c("c", std::size_t(p.m_) * p.c_pitch());
  const MatrixProduct product{p.m_,        p.n_,     p.k_,     p.k_,        p.n_,
                              p.c_pitch(), a.data(), b.data(), bias.data(), c.data()};
  const Report report = run_with({.count = true}, [&] { launch_matrix_product(product, nullptr); });
  EXPECT_TRUE(report.clean()) << report.text();
  const Counters& counters = report.counters;
  EXPECT_EQ(counters.multiply_adds, uint64_t{128} * 64 * 96);  // no edge: all are useful
  // Two blocks, three steps, 4 warps: two times 2 + 2 matrices of four.
  EXPECT_EQ(counters.ldmatrix.requests, 2U * 3U * 4U * 2U * 4U);
  EXPECT_EQ(counters.ldmatrix.wavefronts, 4 * counters.ldmatrix.requests);
  EXPECT_EQ(counters.ldmatrix.wavefronts, counters.ldmatrix.ideal);
  // 512 chunks of 16 bytes a stage; half a sector each, and neighbours share theirs.
  EXPECT_EQ(counters.async_copies.lanes, 2U * 3U * 512U);
  EXPECT_EQ(counters.async_copies.requests, 2U * 3U * 512U / 32U);
  EXPECT_EQ(counters.async_copies.useful_bytes, 2U * 3U * 512U * 16U);
  EXPECT_EQ(counters.async_copies.moved_bytes(), counters.async_copies.useful_bytes);
  EXPECT_EQ(counters.barriers, 2U * 3U);
  EXPECT_EQ(counters.threads, 2U * 128U);
  EXPECT_EQ(counters.global_stores.lanes, 128U * 64U);
}

TEST(TeachingReduction, SumsAndCounts) {
  for (const int count : {1, 31, 256, 257, 1000, 2048}) {
    std::vector<float> values(count);
    float sum = 0;
    uint32_t positives = 0;
    for (int i = 0; i < count; ++i) {
      values[i] = static_cast<float>(i % 23 - 7);
      sum += values[i];
      positives += values[i] > 0 ? 1 : 0;
    }
    constexpr unsigned kBlocks = 3;
    Tensor<float> x("x", values), sums("sums", kBlocks);
    Tensor<uint32_t> counts("positives", kBlocks);
    const Reduction reduction{count, kBlocks, x.data(), sums.data(), counts.data()};
    expect_all_synchronisation_needed([&] { launch_reduction(reduction, nullptr); },
                                      [&] {
                                        return sums[0] + sums[1] + sums[2] == sum &&
                                               counts[0] + counts[1] + counts[2] == positives;
                                      });
  }
}

class TeachingTranspose : public testing::TestWithParam<bool> {};

TEST_P(TeachingTranspose, AnySize) {
  for (const auto& [rows, columns] : {std::pair{32, 32}, {33, 31}, {1, 70}, {64, 5}}) {
    std::vector<float> values(std::size_t(rows) * columns);
    std::iota(values.begin(), values.end(), 1.0F);
    Tensor<float> x("x", values), y("y", values.size());
    const Transpose transpose{rows, columns, x.data(), y.data(), GetParam()};
    expect_all_synchronisation_needed(
        [&] { launch_transpose(transpose, nullptr); },
        [&] {
          for (int i = 0; i < rows * columns; ++i) {
            if (!(y[std::size_t(i % columns) * rows + i / columns] == values[i])) return false;
          }
          return true;
        });
  }
}

TEST_P(TeachingTranspose, CountsByHand) {
  constexpr int kRows = 64, kColumns = 96;
  std::vector<float> values(std::size_t{kRows} * kColumns, 1.0F);
  Tensor<float> x("x", values), y("y", values.size());
  const Transpose transpose{kRows, kColumns, x.data(), y.data(), GetParam()};
  const Report report = run_with({.count = true}, [&] { launch_transpose(transpose, nullptr); });
  EXPECT_TRUE(report.clean()) << report.text();
  const Counters& counters = report.counters;
  constexpr uint64_t kRequests = kRows * kColumns / 32;  // whole rows of 32 everywhere
  EXPECT_EQ(counters.blocks, 2U * 3U);
  EXPECT_EQ(counters.threads, 2U * 3U * 256U);
  EXPECT_EQ(counters.global_loads.requests, kRequests);
  EXPECT_EQ(counters.global_loads.sectors, 4 * kRequests);
  EXPECT_EQ(counters.global_stores.sectors, 4 * kRequests);
  EXPECT_EQ(counters.shared_stores.wavefronts, kRequests);
  EXPECT_EQ(counters.shared_loads.requests, kRequests);
  EXPECT_EQ(counters.shared_loads.wavefronts, GetParam() ? kRequests : 32 * kRequests);
  EXPECT_EQ(counters.shared_loads.ideal, kRequests);
}

INSTANTIATE_TEST_SUITE_P(Padded, TeachingTranspose, testing::Bool());

}  // namespace
}  // namespace tconv::emulator
