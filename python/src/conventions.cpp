// SPDX-License-Identifier: Apache-2.0
#include "python/src/conventions.h"

namespace tconv::python {

namespace {

struct Named {
  const char* name;
  Activation activation;
  int numbers;
};
constexpr Named kActivations[] = {
    {"identity", Activation::identity, 0},
    {"relu", Activation::relu, 0},
    {"leaky_relu", Activation::leaky_relu, 1},
    {"prelu", Activation::prelu, 0},
    {"clamp", Activation::clamp, 2},
    {"sigmoid", Activation::sigmoid, 0},
    {"tanh", Activation::tanh, 0},
    {"gelu", Activation::gelu, 0},
    {"gelu_tanh", Activation::gelu_tanh, 0},
    {"silu", Activation::silu, 0},
};

/// `known`: "a, b, c".
[[noreturn]] void refuse_name(const char* field, const std::string& known,
                              const std::string& name) {
  throw nb::value_error((field + (": one of " + known) + ", not '" + name + "'").c_str());
}

const Named& activation_named(nb::handle object) {
  const std::string name = word_of(object, "activation");
  std::string known;
  for (const Named& one : kActivations) {
    if (name == one.name) return one;
    known += (known.empty() ? "" : ", ") + std::string(one.name);
  }
  refuse_name("activation", known, name);
}

double real_of(nb::handle object) {
  double number = 0;
  if (!nb::try_cast(object, number)) throw nb::type_error("activation: its numbers are floats");
  return number;
}

int64_t groups_of(nb::handle object, const char* field) {
  const int64_t groups = number_of(object, field);
  if (groups < 1)
    throw nb::value_error(
        (std::string(field) + ": at least 1, not " + std::to_string(groups)).c_str());
  return groups;
}

void check_rank(const Numbers& shape, std::size_t rank, const char* field) {
  if (shape.size() != rank)
    throw nb::value_error((std::string(field) + ": " + std::to_string(rank) +
                           " dimensions, not the shape " + text_of(shape))
                              .c_str());
}

}  // namespace

Written take(TensorFlowArgs& args, int axes, nb::handle output_shape, nb::handle strides,
             nb::handle padding, nb::handle data_format, nb::handle dilations, nb::handle groups) {
  const std::size_t rank = axes + 2;
  check_rank(args.filter_shape, rank, "filters");
  check_rank(args.input_shape, rank, "input");
  args.output_shape = optional_numbers(output_shape, "output_shape");
  args.strides = numbers_of(strides, "strides");
  args.dilations = optional_numbers(dilations, "dilations");
  if (!data_format.is_none()) args.data_format = word_of(data_format, "data_format");
  if (PyUnicode_Check(padding.ptr())) {
    args.padding = word_of(padding, "padding");
    if (args.padding == "EXPLICIT")
      throw nb::value_error("padding: 'SAME', 'VALID' or the list of pairs itself, not 'EXPLICIT'");
  } else {
    args.padding = "EXPLICIT";
    args.explicit_paddings = pairs_of(padding, "padding", rank);
  }
  if (!groups.is_none()) args.groups = groups_of(groups, "groups");
  const bool first = args.data_format == "NCHW" || args.data_format == "NCW";
  return {places(first, axes, true), first ? Layout::nchw : Layout::nhwc, FilterOrder::hwoi, false};
}

Written take(PyTorchArgs& args, int axes, nb::handle stride, nb::handle padding,
             nb::handle output_padding, nb::handle groups, nb::handle dilation,
             nb::handle output_size) {
  check_rank(args.weight_shape, axes + 2, "weight");
  const bool batched = args.input_shape.size() != args.weight_shape.size() - 1;
  if (batched) check_rank(args.input_shape, axes + 2, "input");
  args.stride = numbers_of(stride, "stride");
  args.padding = numbers_of(padding, "padding");
  args.output_padding = numbers_of(output_padding, "output_padding");
  args.dilation = numbers_of(dilation, "dilation");
  args.output_size = optional_numbers(output_size, "output_size");
  args.groups = groups_of(groups, "groups");
  return {places(true, axes, batched), Layout::nchw, FilterOrder::iohw, true};
}

Written take(OnnxArgs& args, nb::handle auto_pad, nb::handle dilations, nb::handle group,
             nb::handle kernel_shape, nb::handle output_padding, nb::handle output_shape,
             nb::handle pads, nb::handle strides) {
  const int axes = args.w_shape.size() == 3 ? 1 : 2;
  check_rank(args.w_shape, axes + 2, "W");
  check_rank(args.x_shape, axes + 2, "X");
  args.auto_pad = word_of(auto_pad, "auto_pad");
  args.dilations = optional_numbers(dilations, "dilations");
  args.output_padding = optional_numbers(output_padding, "output_padding");
  args.output_shape = optional_numbers(output_shape, "output_shape");
  args.pads = optional_numbers(pads, "pads");
  args.strides = optional_numbers(strides, "strides");
  args.group = groups_of(group, "group");
  const auto kernel = optional_numbers(kernel_shape, "kernel_shape");
  const Numbers taps(args.w_shape.begin() + 2, args.w_shape.end());
  if (kernel && *kernel != taps)
    throw nb::value_error(
        ("kernel_shape: " + text_of(*kernel) + ", but W has " + text_of(taps) + " taps").c_str());
  return {places(true, axes, true), Layout::nchw, FilterOrder::iohw, false};
}

nb::object take_activation(nb::handle object, Details& details) {
  if (object.is_none()) return nb::none();
  const bool listed = PyTuple_Check(object.ptr()) || PyList_Check(object.ptr());
  const std::size_t count = listed ? nb::len(object) : 1;
  if (count == 0) throw nb::value_error("activation: an empty list");
  const Named& named = activation_named(listed ? nb::object(object[0]) : nb::borrow(object));
  const bool prelu = named.activation == Activation::prelu;
  const std::size_t wanted = 1 + (prelu ? 1 : named.numbers);
  if (count != wanted)
    throw nb::value_error((std::string("activation: ") + named.name + " takes " +
                           (prelu ? "its slopes" : std::to_string(named.numbers) + " numbers") +
                           ", not " + std::to_string(count - 1))
                              .c_str());
  details.activation = named.activation;
  if (prelu) return object[1];
  if (count > 1) details.activation_a = real_of(object[1]);
  if (count > 2) details.activation_b = real_of(object[2]);
  return nb::none();
}

Options options_of(const std::string& math, nb::handle kernel, bool verify, nb::handle threads) {
  Options options;
  if (math == "tf32") {
    options.math = Math::tf32;
  } else if (math == "3xtf32") {
    options.math = Math::tf32x3;
  } else if (math != "strict") {
    refuse_name("math", "strict, tf32, 3xtf32", math);
  }
  if (!kernel.is_none()) options.kernels = word_of(kernel, "kernel");
  options.verify = verify;
  if (!threads.is_none()) {
    const int64_t count = number_of(threads, "threads");
    if (count < 0 || count > 4096)
      throw nb::value_error(("threads: 0 to 4096, not " + std::to_string(count)).c_str());
    options.threads = static_cast<int32_t>(count);
  }
  return options;
}

DType dtype_named(const std::string& name, const char* field) {
  std::string known;
  for (const DType dtype : {DType::f16, DType::bf16, DType::f32, DType::f64}) {
    if (name == name_of(dtype)) return dtype;
    known += (known.empty() ? "" : ", ") + std::string(name_of(dtype));
  }
  refuse_name(field, known, name);
}

}  // namespace tconv::python
