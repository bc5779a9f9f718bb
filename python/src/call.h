// SPDX-License-Identifier: Apache-2.0
//
// call.h: one call: arrays and a convention's arguments in, an array of the caller's framework out.
#ifndef TCONV_PYTHON_SRC_CALL_H_
#define TCONV_PYTHON_SRC_CALL_H_

#include <memory>
#include <optional>

#include "integrations/common/plan_cache.h"
#include "python/src/arrays.h"
#include "python/src/conventions.h"

namespace tconv::python {

/// What becomes of the result, as Python says it (tconv/_frameworks.py).
enum class Framework : int { numpy, torch, tensorflow, jax };
struct Target {
  Framework framework = Framework::numpy;
  bool bf16 = false;  ///< 16-bit unsigned integers are bf16 bits, which NumPy has no name for
  nb::object memory;  ///< of a GPU: empty(), workspace(), stream(); None on the CPU
};

/// The arrays of a call; what is None is empty, and so are filters of the handle nb::handle().
struct Arrays {
  Operand input, filters, bias, slopes, residual, out;
  const void* packed_filters = nullptr;  ///< in the place of filters

  Arrays(const Target& target, nb::handle input, nb::handle filters, nb::handle bias,
         nb::handle residual, nb::handle out, const char* input_name = "input",
         const char* filters_name = "filters");
  void take_slopes(nb::handle object, const Target& target);
  /// Refuses what is given and not asked for, and the other way round.
  void check_given(const tconv_problem_desc& desc) const;
};

/// How the arrays are read: decided before anything is validated, done after it.
struct Memory {
  Written written;
  Layout layout;             ///< that the memory of input, residual and output is in
  FilterOrder filter_order;  ///< likewise of the filters
  DType output = DType::same;
  bool copy_input = false, copy_filters = false, copy_residual = false;
};

/// Types, strides and alignment into `details`.
Memory look_at(const Arrays& arrays, const Written& written, Details& details);

/// Checks the shapes, copies what must be, runs without the GIL. The new array, or None where `out`
/// is given.
nb::object run(const face::Prepared& ready, Arrays& arrays, const Memory& memory,
               const Target& target);

/// Prepares and runs. The caller has taken shapes and numbers into `call.args`.
template <typename Args>
nb::object prepare_and_run(face::Call<Args>& call, Arrays& arrays, const Memory& memory,
                           const Target& target) {
  call.filter_order = memory.filter_order;
  call.options.device = arrays.input.on_cuda() ? Device::cuda : Device::cpu;
  call.device_index = arrays.input.on_cuda() ? arrays.input.device_id() : 0;
  std::shared_ptr<const face::Prepared> ready;
  {
    const nb::gil_scoped_release released;
    ready = face::prepare(call);
  }
  return run(*ready, arrays, memory, target);
}

}  // namespace tconv::python

#endif  // TCONV_PYTHON_SRC_CALL_H_
