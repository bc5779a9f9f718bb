// SPDX-License-Identifier: Apache-2.0
//
// core.cpp: the module tconv._core. Its functions take what the package's Python documents, and
// decide nothing: they translate arrays and arguments.
#include "python/src/call.h"
#include "python/src/plan.h"

namespace tconv::python {

namespace {

using namespace nb::literals;
using Any = nb::handle;

// ---- A call: target, arrays, epilogue, options, and then the convention's own
// --------------------

void take_epilogue(Details& details, Arrays& arrays, const Target& target, Any activation,
                   Any name) {
  arrays.take_slopes(take_activation(activation, details), target);
  if (!name.is_none()) details.name = word_of(name, "name");
}

nb::object tensorflow(const Target& target, Any input, Any filters, Any bias, Any activation,
                      Any residual, Any out, const Options& options, int axes, Any output_shape,
                      Any strides, Any padding, Any data_format, Any dilations, Any groups,
                      Any name) {
  Arrays arrays(target, input, filters, bias, residual, out);
  face::Call<TensorFlowArgs> call;
  call.options = options;
  call.args.input_shape = arrays.input.shape();
  call.args.filter_shape = arrays.filters.shape();
  const Written written =
      take(call.args, axes, output_shape, strides, padding, data_format, dilations, groups);
  take_epilogue(call.args, arrays, target, activation, name);
  return prepare_and_run(call, arrays, look_at(arrays, written, call.args), target);
}

nb::object pytorch(const Target& target, Any input, Any weight, Any bias, Any activation,
                   Any residual, Any out, const Options& options, int axes, Any stride, Any padding,
                   Any output_padding, Any groups, Any dilation, Any output_size) {
  Arrays arrays(target, input, weight, bias, residual, out, "input", "weight");
  face::Call<PyTorchArgs> call;
  call.options = options;
  call.args.input_shape = arrays.input.shape();
  call.args.weight_shape = arrays.filters.shape();
  const Written written =
      take(call.args, axes, stride, padding, output_padding, groups, dilation, output_size);
  take_epilogue(call.args, arrays, target, activation, nb::none());
  const Memory memory = look_at(arrays, written, call.args);
  if (memory.layout == Layout::nhwc) call.args.memory_format = "channels_last";
  return prepare_and_run(call, arrays, memory, target);
}

nb::object onnx(const Target& target, Any x, Any w, Any b, Any activation, Any residual, Any out,
                const Options& options, Any auto_pad, Any dilations, Any group, Any kernel_shape,
                Any output_padding, Any output_shape, Any pads, Any strides) {
  Arrays arrays(target, x, w, b, residual, out, "X", "W");
  face::Call<OnnxArgs> call;
  call.options = options;
  call.args.x_shape = arrays.input.shape();
  call.args.w_shape = arrays.filters.shape();
  const Written written = take(call.args, auto_pad, dilations, group, kernel_shape, output_padding,
                               output_shape, pads, strides);
  take_epilogue(call.args, arrays, target, activation, nb::none());
  return prepare_and_run(call, arrays, look_at(arrays, written, call.args), target);
}

// ---- A plan: options, shapes, types, epilogue, and then likewise
// ---------------------------------

/// What Python says of the operands that a plan will be run with.
struct Promise {
  std::string dtype = "float32";
  nb::object output_dtype, bias_dtype, activation, device, device_model;
  bool bias = false, residual = false;
};

void take_promise(const Promise& promise, Details& details, Options& options) {
  details.dtype = details.output_dtype = dtype_named(promise.dtype, "dtype");
  if (!promise.output_dtype.is_none())
    details.output_dtype =
        dtype_named(word_of(promise.output_dtype, "output_dtype"), "output_dtype");
  details.has_bias = promise.bias;
  if (!promise.bias_dtype.is_none())
    details.bias_dtype = dtype_named(word_of(promise.bias_dtype, "bias_dtype"), "bias_dtype");
  details.has_residual = promise.residual;
  const bool prelu = PyUnicode_Check(promise.activation.ptr()) &&
                     nb::cast<std::string>(promise.activation) == "prelu";
  if (prelu) {
    details.activation = Activation::prelu;  // the slopes come with each run
  } else if (!take_activation(promise.activation, details).is_none()) {
    throw nb::value_error("activation: 'prelu' alone; its slopes are given to run()");
  }
  const std::string device = word_of(promise.device, "device");
  if (device != "auto" && device != "cpu" && device != "cuda")
    throw nb::value_error(("device: one of auto, cpu, cuda, not '" + device + "'").c_str());
  options.device = device == "cpu"    ? Device::cpu
                   : device == "cuda" ? Device::cuda
                                      : Device::automatic;
  if (!promise.device_model.is_none())
    options.device_model = word_of(promise.device_model, "device_model");
}

HeldPlan plan_tensorflow(const Promise& promise, const Options& options, Any input_shape,
                         Any filter_shape, int axes, Any output_shape, Any strides, Any padding,
                         Any data_format, Any dilations, Any groups) {
  face::Call<TensorFlowArgs> call;
  call.options = options;
  call.args.input_shape = numbers_of(input_shape, "input_shape");
  call.args.filter_shape = numbers_of(filter_shape, "filter_shape");
  take_promise(promise, call.args, call.options);
  const Written written =
      take(call.args, axes, output_shape, strides, padding, data_format, dilations, groups);
  return HeldPlan(call, written, call.args.input_shape, call.args.filter_shape);
}

HeldPlan plan_pytorch(const Promise& promise, const Options& options, Any input_shape,
                      Any weight_shape, int axes, Any stride, Any padding, Any output_padding,
                      Any groups, Any dilation, Any output_size, Any memory_format) {
  face::Call<PyTorchArgs> call;
  call.options = options;
  call.args.input_shape = numbers_of(input_shape, "input_shape");
  call.args.weight_shape = numbers_of(weight_shape, "weight_shape");
  call.args.memory_format = word_of(memory_format, "memory_format");
  take_promise(promise, call.args, call.options);
  const Written written =
      take(call.args, axes, stride, padding, output_padding, groups, dilation, output_size);
  return HeldPlan(call, written, call.args.input_shape, call.args.weight_shape);
}

HeldPlan plan_onnx(const Promise& promise, const Options& options, Any x_shape, Any w_shape,
                   Any auto_pad, Any dilations, Any group, Any kernel_shape, Any output_padding,
                   Any output_shape, Any pads, Any strides) {
  face::Call<OnnxArgs> call;
  call.options = options;
  call.args.x_shape = numbers_of(x_shape, "x_shape");
  call.args.w_shape = numbers_of(w_shape, "w_shape");
  take_promise(promise, call.args, call.options);
  const Written written = take(call.args, auto_pad, dilations, group, kernel_shape, output_padding,
                               output_shape, pads, strides);
  return HeldPlan(call, written, call.args.x_shape, call.args.w_shape);
}

Format format_of(const std::string& format) {
  if (format != "text" && format != "json")
    throw nb::value_error(("format: one of text, json, not '" + format + "'").c_str());
  return format == "json" ? Format::json : Format::text;
}

// ---- The module
// ----------------------------------------------------------------------------------

void define_errors(nb::module_& m) {
  static PyObject* mismatch = nullptr;
  const nb::object made = nb::steal(PyErr_NewExceptionWithDoc(
      "tconv.MismatchError",
      "verify=True, and the result is not within the bound of what is right. The message has the "
      "coordinates, what was expected and what came.",
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

void define_calls(nb::module_& m) {
  m.def("tensorflow", &tensorflow, "target"_a, "input"_a.none(), "filters"_a.none(),
        "bias"_a.none(), "activation"_a.none(), "residual"_a.none(), "out"_a.none(), "options"_a,
        "axes"_a, "output_shape"_a.none(), "strides"_a.none(), "padding"_a.none(),
        "data_format"_a.none(), "dilations"_a.none(), "groups"_a.none(), "name"_a.none());
  m.def("pytorch", &pytorch, "target"_a, "input"_a.none(), "weight"_a.none(), "bias"_a.none(),
        "activation"_a.none(), "residual"_a.none(), "out"_a.none(), "options"_a, "axes"_a,
        "stride"_a.none(), "padding"_a.none(), "output_padding"_a.none(), "groups"_a.none(),
        "dilation"_a.none(), "output_size"_a.none());
  m.def("onnx", &onnx, "target"_a, "X"_a.none(), "W"_a.none(), "B"_a.none(), "activation"_a.none(),
        "residual"_a.none(), "out"_a.none(), "options"_a, "auto_pad"_a.none(), "dilations"_a.none(),
        "group"_a.none(), "kernel_shape"_a.none(), "output_padding"_a.none(),
        "output_shape"_a.none(), "pads"_a.none(), "strides"_a.none());
}

void define_values(nb::module_& m) {
  nb::class_<Options>(m, "Options")
      .def(
          "__init__",
          [](Options* self, const std::string& math, Any kernel, bool verify, Any threads) {
            new (self) Options(options_of(math, kernel, verify, threads));
          },
          "math"_a, "kernel"_a.none(), "verify"_a, "threads"_a.none());
  nb::class_<Target>(m, "Target")
      .def(
          "__init__",
          [](Target* self, int framework, bool bf16, nb::object memory) {
            new (self) Target{static_cast<Framework>(framework), bf16, std::move(memory)};
          },
          "framework"_a, "bf16"_a = false, "memory"_a = nb::none());
  nb::class_<Promise>(m, "Promise")
      .def(
          "__init__",
          [](Promise* self, Any dtype, nb::object output_dtype, bool bias, nb::object bias_dtype,
             bool residual, nb::object activation, nb::object device, nb::object device_model) {
            new (self) Promise{word_of(dtype, "dtype"),
                               std::move(output_dtype),
                               std::move(bias_dtype),
                               std::move(activation),
                               std::move(device),
                               std::move(device_model),
                               bias,
                               residual};
          },
          "dtype"_a.none(), "output_dtype"_a.none(), "bias"_a, "bias_dtype"_a.none(), "residual"_a,
          "activation"_a.none(), "device"_a, "device_model"_a.none());
}

void define_plans(nb::module_& m) {
  m.def("plan_tensorflow", &plan_tensorflow, "promise"_a, "options"_a, "input_shape"_a.none(),
        "filter_shape"_a.none(), "axes"_a, "output_shape"_a.none(), "strides"_a.none(),
        "padding"_a.none(), "data_format"_a.none(), "dilations"_a.none(), "groups"_a.none());
  m.def("plan_pytorch", &plan_pytorch, "promise"_a, "options"_a, "input_shape"_a.none(),
        "weight_shape"_a.none(), "axes"_a, "stride"_a.none(), "padding"_a.none(),
        "output_padding"_a.none(), "groups"_a.none(), "dilation"_a.none(), "output_size"_a.none(),
        "memory_format"_a.none());
  m.def("plan_onnx", &plan_onnx, "promise"_a, "options"_a, "x_shape"_a.none(), "w_shape"_a.none(),
        "auto_pad"_a.none(), "dilations"_a.none(), "group"_a.none(), "kernel_shape"_a.none(),
        "output_padding"_a.none(), "output_shape"_a.none(), "pads"_a.none(), "strides"_a.none());
  m.def("plan_from_key", [](const std::string& key, const Options& options) {
    return HeldPlan(Plan(Problem(key), options), options);
  });
  m.def("plan_from_saved", [](const std::string& text) { return HeldPlan(Plan::load(text), {}); });
  nb::class_<Packed>(m, "PackedFilters",
                     "Filters in a plan's own order, as Plan.pack() makes them.")
      .def_ro("key", &Packed::key, "Plans with this packed_key take these filters.")
      .def_ro("nbytes", &Packed::bytes);
  nb::class_<HeldPlan>(m, "Plan")
      .def("run", &HeldPlan::run, "target"_a, "input"_a.none(), "filters"_a.none(), "bias"_a.none(),
           "residual"_a.none(), "slopes"_a.none(), "out"_a.none())
      .def("pack", &HeldPlan::pack, "target"_a, "filters"_a.none())
      .def("resized", &HeldPlan::resized)
      .def("explain",
           [](const HeldPlan& p, const std::string& f) { return p.plan().explain(format_of(f)); })
      .def("counters",
           [](const HeldPlan& p, const std::string& f) { return p.plan().counters(format_of(f)); })
      .def("describe_problem",
           [](const HeldPlan& p, const std::string& f) {
             return p.ready().problem.describe(format_of(f));
           })
      .def("save", [](const HeldPlan& p) { return p.plan().save(); })
      .def("packed_key", [](const HeldPlan& p) { return p.packed_key(); })
      .def("dtype", [](const HeldPlan& p) { return name_of(static_cast<DType>(p.desc().dtype)); })
      .def("key", [](const HeldPlan& p) { return p.ready().problem.key(); })
      .def("kernel", [](const HeldPlan& p) { return p.plan().kernel(); })
      .def("tile", [](const HeldPlan& p) { return p.plan().tile(); })
      .def("device",
           [](const HeldPlan& p) { return p.plan().device() == Device::cuda ? "cuda" : "cpu"; })
      .def("estimate_us", [](const HeldPlan& p) { return p.plan().estimate_us(); })
      .def("workspace_bytes", [](const HeldPlan& p) { return p.ready().workspace_bytes; })
      .def("input_shape", &HeldPlan::input_shape)
      .def("filter_shape", &HeldPlan::filter_shape)
      .def("output_shape", [](const HeldPlan& p) { return p.ready().output_shape; })
      .def("describe", &HeldPlan::describe);
}

}  // namespace

void define(nb::module_& m) {
  nb::set_leak_warnings(false);  // frameworks keep arrays past the interpreter's end
  define_errors(m);
  define_values(m);
  define_calls(m);
  define_plans(m);
  m.def("version", &version);
  m.def("kernels", [](const std::string& format) { return kernels(format_of(format)); });
  m.def("devices", [](const std::string& format) { return devices(format_of(format)); });
  m.def("cached_plans", [] { return face::detail::PlanCache::instance().size(); });
  m.def("clear_cache", [] {
    const nb::gil_scoped_release released;
    face::detail::PlanCache::instance().clear();
  });
}

}  // namespace tconv::python

NB_MODULE(_core, m) { tconv::python::define(m); }
