// SPDX-License-Identifier: Apache-2.0
//
// core.cpp: the module tconv._core. Its functions take what tconv/__init__.py has documented, and
// decide nothing: they translate arrays and arguments.

#include "python/src/call.h"

namespace tconv::python {

namespace {

/// What the caller allows, read once and kept by Python (tconv/_call.py).
Options options_of(const std::string& math, nb::handle kernel, bool verify, nb::handle threads) {
  Options options;
  if (math == "tf32") {
    options.math = Math::tf32;
  } else if (math == "3xtf32") {
    options.math = Math::tf32x3;
  } else if (math != "strict") {
    throw nb::value_error(("math: one of strict, tf32, 3xtf32, not '" + math + "'").c_str());
  }
  if (!kernel.is_none()) {
    if (!nb::try_cast(kernel, options.kernels))
      throw nb::type_error("kernel: a name, or names with commas between them");
  }
  options.verify = verify;
  if (!threads.is_none()) {
    const int64_t count = number_of(threads, "threads");
    if (count < 0 || count > 4096)
      throw nb::value_error(("threads: 0 to 4096, not " + std::to_string(count)).c_str());
    options.threads = static_cast<int32_t>(count);
  }
  return options;
}

Operand optional_operand(nb::handle object, const char* field, bool bf16, bool writable = false) {
  return object.is_none() ? Operand() : Operand(object, field, bf16, writable);
}

/// The arrays that every convention has, by the names that it gives them.
Arrays arrays_of(const Target& target, nb::handle input, nb::handle filters, nb::handle bias,
                 nb::handle residual, nb::handle out, const char* filters_name = "filters",
                 const char* input_name = "input") {
  const bool bf16 = target.bf16;
  Arrays arrays;
  arrays.input = Operand(input, input_name, bf16);
  arrays.filters = Operand(filters, filters_name, bf16);
  arrays.bias = optional_operand(bias, "bias", bf16);
  arrays.residual = optional_operand(residual, "residual", bf16);
  arrays.out = optional_operand(out, "out", bf16, true);
  return arrays;
}

nb::object tensorflow(const Target& target, nb::handle input, nb::handle filters,
                      nb::handle output_shape, nb::handle strides, nb::handle padding,
                      const std::string& data_format, nb::handle dilations, nb::handle groups,
                      nb::handle bias, nb::handle activation, nb::handle residual, nb::handle out,
                      const Options& options) {
  Arrays arrays = arrays_of(target, input, filters, bias, residual, out);
  face::Call<TensorFlowArgs> call;
  TensorFlowArgs& args = call.args;
  args.input_shape = arrays.input.shape();
  args.filter_shape = arrays.filters.shape();
  args.output_shape = optional_numbers(output_shape, "output_shape");
  args.strides = numbers_of(strides, "strides");
  args.dilations = optional_numbers(dilations, "dilations");
  args.data_format = data_format;
  if (nb::isinstance<nb::str>(padding)) {
    args.padding = nb::cast<std::string>(padding);
    if (args.padding == "EXPLICIT")
      throw nb::value_error("padding: 'SAME', 'VALID' or the list of pairs itself, not 'EXPLICIT'");
  } else {
    args.padding = "EXPLICIT";
    args.explicit_paddings = pairs_of(padding, "padding", arrays.input.shape().size());
  }
  if (!groups.is_none()) {
    args.groups = number_of(groups, "groups");
    if (args.groups < 1)
      throw nb::value_error(("groups: at least 1, not " + std::to_string(args.groups)).c_str());
  }
  take_activation(activation, args, arrays.slopes);
  const int axes = args.filter_shape.size() == 3 ? 1 : 2;
  const bool first = data_format == "NCHW" || data_format == "NCW";
  const Memory memory = look_at(arrays, args, places(first, axes, true),
                                first ? Layout::nchw : Layout::nhwc, FilterOrder::hwoi);
  call.options = options;
  return prepare_and_run(call, arrays, memory, target);
}

nb::object pytorch(const Target& target, nb::handle input, nb::handle weight, nb::handle bias,
                   nb::handle stride, nb::handle padding, nb::handle output_padding,
                   nb::handle groups, nb::handle dilation, nb::handle activation,
                   nb::handle residual, nb::handle out, const Options& options) {
  Arrays arrays = arrays_of(target, input, weight, bias, residual, out, "weight");
  face::Call<PyTorchArgs> call;
  PyTorchArgs& args = call.args;
  args.input_shape = arrays.input.shape();
  args.weight_shape = arrays.filters.shape();
  args.stride = optional_numbers(stride, "stride");
  args.padding = optional_numbers(padding, "padding");
  args.output_padding = optional_numbers(output_padding, "output_padding");
  args.dilation = optional_numbers(dilation, "dilation");
  args.groups = number_of(groups, "groups");
  if (args.groups < 1)
    throw nb::value_error(("groups: at least 1, not " + std::to_string(args.groups)).c_str());
  take_activation(activation, args, arrays.slopes);
  const int axes = args.weight_shape.size() == 3 ? 1 : 2;
  const bool batched = args.input_shape.size() == args.weight_shape.size();
  const Memory memory =
      look_at(arrays, args, places(true, axes, batched), std::nullopt, FilterOrder::iohw);
  args.memory_format = memory.layout == Layout::nhwc ? "channels_last" : "contiguous";
  call.options = options;
  return prepare_and_run(call, arrays, memory, target);
}

nb::object onnx(const Target& target, nb::handle x, nb::handle w, nb::handle b,
                const std::string& auto_pad, nb::handle dilations, nb::handle group,
                nb::handle output_padding, nb::handle output_shape, nb::handle pads,
                nb::handle strides, nb::handle activation, nb::handle residual, nb::handle out,
                const Options& options) {
  Arrays arrays = arrays_of(target, x, w, b, residual, out, "W", "X");
  face::Call<OnnxArgs> call;
  OnnxArgs& args = call.args;
  args.x_shape = arrays.input.shape();
  args.w_shape = arrays.filters.shape();
  args.auto_pad = auto_pad;
  args.dilations = optional_numbers(dilations, "dilations");
  args.output_padding = optional_numbers(output_padding, "output_padding");
  args.output_shape = optional_numbers(output_shape, "output_shape");
  args.pads = optional_numbers(pads, "pads");
  args.strides = optional_numbers(strides, "strides");
  args.group = number_of(group, "group");
  if (args.group < 1)
    throw nb::value_error(("group: at least 1, not " + std::to_string(args.group)).c_str());
  take_activation(activation, args, arrays.slopes);
  const int axes = args.w_shape.size() == 3 ? 1 : 2;
  const Memory memory =
      look_at(arrays, args, places(true, axes, true), Layout::nchw, FilterOrder::iohw);
  call.options = options;
  return prepare_and_run(call, arrays, memory, target);
}

void translate_errors(nb::module_& m) {
  static PyObject* mismatch = nullptr;
  const nb::object made = nb::steal(PyErr_NewExceptionWithDoc(
      "tconv.MismatchError", "verify=True: the result is outside the bound of the reference's.",
      PyExc_ArithmeticError, nullptr));
  m.attr("MismatchError") = made;
  mismatch = made.ptr();
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const Error& error) {
      PyObject* kind = PyExc_RuntimeError;
      if (error.code() == Code::invalid) kind = PyExc_ValueError;
      if (error.code() == Code::unsupported) kind = PyExc_NotImplementedError;
      if (error.code() == Code::mismatch) kind = mismatch;
      PyErr_SetString(kind, error.what());
    }
  });
}

void define(nb::module_& m) {
  using namespace nb::literals;
  translate_errors(m);
  nb::class_<Options>(m, "Options")
      .def(
          "__init__",
          [](Options* self, const std::string& math, nb::handle kernel, bool verify,
             nb::handle threads) { new (self) Options(options_of(math, kernel, verify, threads)); },
          "math"_a, "kernel"_a.none(), "verify"_a, "threads"_a.none());
  nb::class_<Target>(m, "Target")
      .def(
          "__init__",
          [](Target* self, int framework, bool bf16, nb::object memory) {
            new (self) Target{static_cast<Framework>(framework), bf16, std::move(memory)};
          },
          "framework"_a, "bf16"_a = false, "memory"_a = nb::none());
  m.def("tensorflow", &tensorflow, "target"_a, "input"_a.none(), "filters"_a.none(),
        "output_shape"_a.none(), "strides"_a.none(), "padding"_a.none(), "data_format"_a,
        "dilations"_a.none(), "groups"_a.none(), "bias"_a.none(), "activation"_a.none(),
        "residual"_a.none(), "out"_a.none(), "options"_a);
  m.def("pytorch", &pytorch, "target"_a, "input"_a.none(), "weight"_a.none(), "bias"_a.none(),
        "stride"_a.none(), "padding"_a.none(), "output_padding"_a.none(), "groups"_a.none(),
        "dilation"_a.none(), "activation"_a.none(), "residual"_a.none(), "out"_a.none(),
        "options"_a);
  m.def("onnx", &onnx, "target"_a, "X"_a.none(), "W"_a.none(), "B"_a.none(), "auto_pad"_a,
        "dilations"_a.none(), "group"_a.none(), "output_padding"_a.none(), "output_shape"_a.none(),
        "pads"_a.none(), "strides"_a.none(), "activation"_a.none(), "residual"_a.none(),
        "out"_a.none(), "options"_a);
  m.def("version", &version);
}

}  // namespace

}  // namespace tconv::python

NB_MODULE(_core, m) { tconv::python::define(m); }
