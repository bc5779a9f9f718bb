// SPDX-License-Identifier: Apache-2.0
//
// call.h: one call: arrays and a convention's arguments in, an array of the caller's framework out.
#ifndef TCONV_PYTHON_SRC_CALL_H_
#define TCONV_PYTHON_SRC_CALL_H_

#include <optional>

#include "integrations/common/plan_cache.h"
#include "python/src/arrays.h"

namespace tconv::python {

/// What becomes of the result, as Python says it (tconv/_frameworks.py).
enum class Framework : int { numpy, torch, tensorflow, jax, cupy };
struct Target {
  Framework framework = Framework::numpy;
  bool bf16 = false;  ///< NumPy: 16-bit integers are bf16 bits
  nb::object memory;  ///< of a GPU: empty(), workspace(), stream(); None on the CPU
};

struct Arrays {
  Operand input, filters, bias, slopes, residual, out;
};

/// How the arrays are read: decided before anything is validated, done after it.
struct Memory {
  Places places;
  Layout layout = Layout::nchw;
  std::optional<FilterOrder> filter_order;  ///< where it is not the convention's own
  bool copy_input = false, copy_filters = false, copy_residual = false;
};

/// `activation`: None, a name, or a tuple of a name and its numbers or, of prelu, its slopes.
void take_activation(nb::handle activation, Details& details, Operand& slopes);
/// Types, strides and alignment into `details`. `layout` absent: whichever the input is in.
Memory look_at(const Arrays& arrays, Details& details, const Places& places,
               std::optional<Layout> layout, FilterOrder own_order);
/// Checks the shapes, copies what must be, runs without the GIL.
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
