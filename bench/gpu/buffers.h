// SPDX-License-Identifier: Apache-2.0
// buffers.h: a problem's operands: random normal values on the host, and as many sets of them on
// the device as a footprint beyond the caches needs.
#pragma once

#include <cstdint>
#include <vector>

#include "src/host/device/device_memory.h"
#include "src/host/plan/kernel_table.h"

namespace tconv::bench {

/// N(0, 1), the filters scaled so that an output's variance is about 1: no overflow in f16, and
/// bits as random as in a network (zeros would raise the clocks).
struct HostData {
  std::vector<std::byte> input, filters, bias;
  double largest_input = 0, largest_filter = 0, largest_bias = 0;  ///< magnitudes

  HostData(const host::Problem& problem, uint64_t seed);
  host::Tensors tensors() const;
};

/// `sets` times input, filters, packed filters, bias and output in one piece of device memory, each
/// aligned to 256 bytes. Every set holds the same values.
class RotatingBuffers {
 public:
  RotatingBuffers(const host::Problem& problem, const HostData& data, int64_t sets,
                  host::Stream stream);
  int64_t sets() const { return sets_; }
  /// What a launch on one set touches, times sets.
  int64_t footprint_bytes() const;
  host::Tensors tensors(int64_t set, bool packed_filters) const;
  void* packed_filters(int64_t set) const { return at(set, packed_); }
  /// Room for the packed filters of a set: every family packs the filters' own bytes.
  std::size_t packed_filter_bytes() const { return packed_bytes_; }
  /// Fills the output of a set with NaN.
  void poison(int64_t set, host::Stream stream) const;

 private:
  void* at(int64_t set, std::size_t offset) const {
    return static_cast<std::byte*>(memory_.data()) + static_cast<std::size_t>(set) * stride_ +
           offset;
  }

  const host::Problem& problem_;
  int64_t sets_;
  std::size_t filters_, packed_, packed_bytes_, bias_, output_,
      stride_;  // offsets; a size; of the next set
  host::DeviceMemory memory_;
};

}  // namespace tconv::bench
