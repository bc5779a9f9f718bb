// SPDX-License-Identifier: Apache-2.0
// check.h: is what a plan left in device memory right? A sample of its elements against their exact
// values, each within its derived bound, and the whole of it against what `gather` wrote, on the
// device, within a bound that holds for every element.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/gpu/buffers.h"
#include "src/host/device/compare.h"
#include "src/host/verify/verify.h"

namespace tconv::bench {

/// host::compare_buffers over dense elements, or what stands for it without a GPU.
using Compare = std::function<host::CompareResult(const void* a, const void* b, host::DType type,
                                                  int64_t count, host::Stream stream)>;

struct Verdict {
  bool right = false;
  int64_t sampled = 0;
  double sample_ratio = 0;  ///< the worst error of the sample, in units of what is allowed there
  double whole_worst = 0;   ///< the largest distance from gather's output, anywhere
  double whole_bound = 0;   ///< what it may be; 0: there was nothing to compare with
  std::string words;        ///< what is wrong
};

class OutputCheck {
 public:
  static constexpr int64_t kSample = 1024;

  OutputCheck(const host::Problem& problem, const HostData& data, Compare compare,
              host::Stream stream);

  /// Keeps gather's output, which must hold no NaN, for the comparisons that follow. `scratch` is
  /// overwritten.
  Verdict keep_expected(const void* output, void* scratch);
  /// `no_bound`: of an engine whose error is not bounded (FFT, Winograd, narrow sums): then a
  /// sampled error may be kLoose times its element's sum of magnitudes.
  Verdict check(const void* output, bool no_bound) const;
  /// Only the comparison with gather: for a second look, after an output was timed.
  void check_whole(const void* output, bool no_bound, Verdict& verdict) const;

 private:
  static constexpr double kLoose = 0.02;
  void check_sample(const void* output, bool no_bound, Verdict& verdict) const;
  double bound_anywhere(bool no_bound) const;

  const host::Problem& problem_;
  Compare compare_;
  host::Stream stream_;
  std::vector<host::Coordinate> at_;
  std::vector<host::ExactElement> exact_;  ///< of at_
  double largest_sum_ = 0;                 ///< of magnitudes: no element's is larger
  double largest_output_ = 0;
  host::DeviceMemory expected_;
};

}  // namespace tconv::bench
