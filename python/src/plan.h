// SPDX-License-Identifier: Apache-2.0
//
// plan.h: a plan that Python holds (tconv/_plan.py), for arrays of the sizes that it was made for.
#ifndef TCONV_PYTHON_SRC_PLAN_H_
#define TCONV_PYTHON_SRC_PLAN_H_

#include <memory>
#include <string>

#include "python/src/call.h"

namespace tconv::python {

/// Filters in the order of a plan's family.
struct Packed {
  std::string key;  ///< "" where the family reads filters as they are
  std::shared_ptr<void> memory;
  nb::object on_gpu;  ///< owns `data` there
  const void* data = nullptr;
  std::size_t bytes = 0;
};

class HeldPlan {
 public:
  /// Its shapes are those of `call`, in the order that `written` says; all tensors are dense.
  template <typename Args>
  HeldPlan(const face::Call<Args>& call, Written written, Numbers input_shape, Numbers filter_shape)
      : ready_(face::prepare(call)),
        options_(call.options),
        written_(written),
        input_shape_(std::move(input_shape)),
        filter_shape_(std::move(filter_shape)) {
    read_problem();
  }
  /// From save()'s text or a problem's key: shapes are N H W C or N C H W, as the problem's layout
  /// is.
  HeldPlan(const Plan& plan, const Options& options);

  nb::object run(const Target& target, nb::handle input, nb::handle filters, nb::handle bias,
                 nb::handle residual, nb::handle slopes, nb::handle out) const;
  Packed pack(const Target& target, nb::handle filters) const;
  HeldPlan resized(int64_t n, int64_t h, int64_t w) const;

  const Plan& plan() const { return ready_->plan; }
  const face::Prepared& ready() const { return *ready_; }
  const tconv_problem_desc& desc() const { return desc_; }
  const Numbers& input_shape() const { return input_shape_; }
  const Numbers& filter_shape() const { return filter_shape_; }
  std::string packed_key() const { return packed_plan().plan.packed_key(); }
  std::string describe() const;

 private:
  void read_problem();
  /// The sizes of the problem's input or output as `written_` writes them.
  Numbers shape_of(int64_t n, int64_t h, int64_t w, int64_t c) const;
  /// The plan with packed filters, made by the first pack().
  const face::Prepared& packed_plan() const;
  Operand filters_of(const Target& target, nb::handle filters) const;
  const face::Prepared& take_packed(const Packed& packed, Arrays& arrays) const;

  std::shared_ptr<const face::Prepared> ready_;
  mutable std::shared_ptr<const face::Prepared> packed_;
  Options options_;
  Written written_{};
  tconv_problem_desc desc_{};
  Numbers input_shape_, filter_shape_;
};

}  // namespace tconv::python

#endif  // TCONV_PYTHON_SRC_PLAN_H_
