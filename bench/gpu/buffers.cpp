// SPDX-License-Identifier: Apache-2.0
// buffers.cpp: see buffers.h.
#include "bench/gpu/buffers.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "src/host/plan/packing.h"

namespace tconv::bench {
namespace {

using host::Copy;
using host::DType;
using host::load;
using host::size_of;
using host::store;

/// Drawing takes longer than copying: a tensor repeats what fits into a cache, with a period that
/// is no multiple of anything.
constexpr std::size_t kPeriod = 1000003;

const std::vector<float>& normal_values() {
  static const std::vector<float> values = [] {
    std::mt19937_64 random(20261125);
    std::normal_distribution<float> normal;
    std::vector<float> drawn(kPeriod);
    for (float& value : drawn) value = normal(random);
    return drawn;
  }();
  return values;
}

/// `bytes` of a tensor; returns the largest magnitude in it.
double fill(std::vector<std::byte>& tensor, int64_t bytes, DType type, double scale,
            uint64_t seed) {
  tensor.resize(static_cast<std::size_t>(bytes));
  const std::size_t count = tensor.size() / size_of(type), drawn = std::min(count, kPeriod);
  double largest = 0;
  for (std::size_t i = 0; i < drawn; ++i) {
    const auto value = static_cast<double>(normal_values()[(i + seed * 7919) % kPeriod]);
    store(type, tensor.data(), static_cast<int64_t>(i), scale * value);
    largest = std::max(largest, std::fabs(load(type, tensor.data(), static_cast<int64_t>(i))));
  }
  for (std::size_t i = drawn; i < count; i += drawn) {
    std::memcpy(tensor.data() + i * size_of(type), tensor.data(),
                std::min(drawn, count - i) * size_of(type));
  }
  return largest;
}

std::size_t aligned(int64_t bytes) { return static_cast<std::size_t>((bytes + 255) / 256 * 256); }

}  // namespace

HostData::HostData(const host::Problem& problem, uint64_t seed) {
  const host::ProblemDesc& d = problem.desc();
  const auto terms = static_cast<double>(std::max<int64_t>(problem.longest_sum(), 1));
  largest_input = fill(input, problem.input_bytes(), d.dtype, 1, 3 * seed);
  largest_filter =
      fill(filters, problem.filter_bytes(), d.dtype, 1 / std::sqrt(terms), 3 * seed + 1);
  largest_bias = fill(bias, problem.bias_bytes(), d.bias_dtype, 1, 3 * seed + 2);
}

host::Tensors HostData::tensors() const {
  return {.input = input.data(), .filters = filters.data(), .bias = bias.data()};
}

RotatingBuffers::RotatingBuffers(const host::Problem& problem, const HostData& data, int64_t sets,
                                 host::Stream stream)
    : problem_(problem),
      sets_(sets),
      filters_(aligned(problem.input_bytes())),
      packed_(filters_ + aligned(problem.filter_bytes())),
      packed_bytes_(sizeof(host::PackedHeader) + static_cast<std::size_t>(problem.filter_bytes())),
      bias_(packed_ + aligned(static_cast<int64_t>(packed_bytes_))),
      output_(bias_ + aligned(problem.bias_bytes())),
      stride_(output_ + aligned(problem.output_bytes())),
      memory_(stride_ * static_cast<std::size_t>(sets)) {
  const auto upload = [&](std::size_t offset, const std::vector<std::byte>& from) {
    if (from.empty()) return;
    host::gpu().copy(at(0, offset), from.data(), from.size(), Copy::to_device, stream);
    for (int64_t set = 1; set < sets_; ++set) {
      host::gpu().copy(at(set, offset), at(0, offset), from.size(), Copy::on_device, stream);
    }
  };
  upload(0, data.input);
  upload(filters_, data.filters);
  upload(bias_, data.bias);
  host::gpu().synchronise(stream);
}

int64_t RotatingBuffers::footprint_bytes() const {
  return sets_ * static_cast<int64_t>(problem_.least_bytes());
}

host::Tensors RotatingBuffers::tensors(int64_t set, bool packed) const {
  return {.input = at(set, 0),
          .filters = at(set, packed ? packed_ : filters_),
          .bias = problem_.bias_bytes() > 0 ? at(set, bias_) : nullptr,
          .output = at(set, output_)};
}

void RotatingBuffers::poison(int64_t set, host::Stream stream) const {
  host::gpu().fill(at(set, output_), 0xff, static_cast<std::size_t>(problem_.output_bytes()),
                   stream);
}

}  // namespace tconv::bench
