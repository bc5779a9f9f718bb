// SPDX-License-Identifier: Apache-2.0
// problem.h: the request. A Problem that exists is valid; nothing below checks sizes again.
#pragma once

#include <cstdint>
#include <string>

#include "src/host/problem/axis.h"
#include "src/host/problem/dtype.h"
#include "tconv/types.h"

namespace tconv::host {

using tconv::Activation;
using tconv::FilterOrder;
using tconv::Layout;
using tconv::ProblemDesc;
using tconv::Strides;

const char* name_of(Layout layout);          // "nhwc"
const char* name_of(FilterOrder order);      // "hwoi"
const char* name_of(Activation activation);  // "leaky_relu"

/// Extents of a 4-D tensor, whatever its layout.
struct Extents {
  int64_t n = 0, h = 0, w = 0, c = 0;
  constexpr int64_t count() const { return n * h * w * c; }
};

/// The strides of a dense tensor.
constexpr Strides dense_strides(Layout layout, const Extents& e) {
  return layout == Layout::nhwc ? Strides{e.h * e.w * e.c, e.w * e.c, e.c, 1}
                                : Strides{e.c * e.h * e.w, e.w, 1, e.h * e.w};
}

/// Element strides of the filters: tap (r, s), output channel k within its group, and input channel
/// c counted over all groups.
struct FilterStrides {
  int64_t r = 0, s = 0, k = 0, c = 0;
  constexpr int64_t offset(int64_t ir, int64_t is, int64_t ik, int64_t ic) const {
    return ir * r + is * s + ik * k + ic * c;
  }
};

/// A validated, immutable request: the only input of the planner.
class Problem {
 public:
  /// Throws InvalidProblem naming field and value. All sums and products of sizes that are used
  /// anywhere below (addresses, byte counts, tap positions) are proven to fit int64 here.
  explicit Problem(ProblemDesc desc);

  /// Everything filled in: no type is `same`, groups >= 1, strides never all zero unless the tensor
  /// is empty.
  const ProblemDesc& desc() const { return desc_; }
  const std::string& name() const { return desc_.name; }
  /// One line that says everything but the name: test name, log line, tuning key.
  const std::string& key() const { return key_; }

  Extents input_extents() const { return {desc_.batch, desc_.h.in, desc_.w.in, desc_.in_c}; }
  Extents output_extents() const { return {desc_.batch, desc_.h.out, desc_.w.out, desc_.out_c}; }
  int64_t in_c_per_group() const { return desc_.in_c / desc_.groups; }
  int64_t out_c_per_group() const { return desc_.out_c / desc_.groups; }
  FilterStrides filter_strides() const { return filter_strides_; }

  /// The least bytes that a caller's buffer must hold (strided tensors: to the last element).
  int64_t input_bytes() const { return input_bytes_; }
  int64_t filter_bytes() const { return filter_bytes_; }
  int64_t bias_bytes() const;
  int64_t slopes_bytes() const;
  int64_t residual_bytes() const { return residual_bytes_; }
  int64_t output_bytes() const { return output_bytes_; }
  DType slopes_dtype() const { return desc_.dtype == DType::f64 ? DType::f64 : DType::f32; }

  /// True if no output element exists: nothing to do, nothing to launch.
  bool empty_output() const { return output_extents().count() == 0; }
  /// Products in the longest sum of any output: taps of one phase times channels of a group.
  int64_t longest_sum() const;
  /// Multiply-adds whose result reaches an output.
  double useful_macs() const;
  /// Input, filters, bias, slopes, residual and output, each element moved once.
  double least_bytes() const;

 private:
  ProblemDesc desc_;
  std::string key_;
  FilterStrides filter_strides_;
  int64_t input_bytes_ = 0, filter_bytes_ = 0, residual_bytes_ = 0, output_bytes_ = 0;
};

/// Pairs (input, tap) of one axis that land on an output. Beyond 2^24 of both, where no memory
/// could hold the tensors, an upper bound.
double useful_pairs(const Axis& axis);

/// Problem::key and its inverse, e.g. "f16:nhwc:n8:c512:k256:h64k2s2o128:w64k2s2o128:bias".
std::string make_key(const ProblemDesc& desc);
/// Throws InvalidProblem naming the part that it cannot read.
ProblemDesc parse_key(const std::string& key);

}  // namespace tconv::host
