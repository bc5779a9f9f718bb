// SPDX-License-Identifier: Apache-2.0
//
// conventions.h: each framework's arguments, as Python gives them, into the library's.
#ifndef TCONV_PYTHON_SRC_CONVENTIONS_H_
#define TCONV_PYTHON_SRC_CONVENTIONS_H_

#include <string>

#include "python/src/arrays.h"

namespace tconv::python {

/// How a convention writes shapes.
struct Written {
  Places places;          ///< of the dimensions of input, residual and output
  Layout layout;          ///< of the order that they are written in
  FilterOrder filters;    ///< likewise of the filters
  bool any_memory_order;  ///< PyTorch: the memory may lie in the other layout
};

/// The arguments of `m.tensorflow(...)` and `m.plan_tensorflow(...)`; all but `axes` and
/// `data_format` as the caller wrote them. The shapes are in `args` already. `axes`: 1 or 2.
Written take(TensorFlowArgs& args, int axes, nb::handle output_shape, nb::handle strides,
             nb::handle padding, nb::handle data_format, nb::handle dilations, nb::handle groups);
Written take(PyTorchArgs& args, int axes, nb::handle stride, nb::handle padding,
             nb::handle output_padding, nb::handle groups, nb::handle dilation,
             nb::handle output_size);
Written take(OnnxArgs& args, nb::handle auto_pad, nb::handle dilations, nb::handle group,
             nb::handle kernel_shape, nb::handle output_padding, nb::handle output_shape,
             nb::handle pads, nb::handle strides);

/// `activation`: None, a name, or a tuple of a name and its numbers or, of prelu, its slopes.
/// Sets `slopes` to these, which the caller takes as an array; None without.
nb::object take_activation(nb::handle activation, Details& details);

/// What the caller allows, read once and kept by Python (tconv/_call.py).
Options options_of(const std::string& math, nb::handle kernel, bool verify, nb::handle threads);

DType dtype_named(const std::string& name, const char* field);

}  // namespace tconv::python

#endif  // TCONV_PYTHON_SRC_CONVENTIONS_H_
