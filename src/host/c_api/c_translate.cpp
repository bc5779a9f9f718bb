// SPDX-License-Identifier: Apache-2.0
#include "src/host/c_api/c_translate.h"

#include <functional>
#include <optional>
#include <string_view>

namespace tconv::host {
namespace {

Axis to_host(const tconv_axis& axis) {
  return {.in = axis.in,
          .kernel = axis.kernel,
          .stride = axis.stride,
          .dilation = axis.dilation,
          .pad_begin = axis.pad_begin,
          .out = axis.out};
}

tconv_axis to_c(const Axis& axis) {
  return {.in = axis.in,
          .kernel = axis.kernel,
          .stride = axis.stride,
          .dilation = axis.dilation,
          .pad_begin = axis.pad_begin,
          .out = axis.out};
}

Strides to_host(const tconv_strides& s) { return {.n = s.n, .h = s.h, .w = s.w, .c = s.c}; }
tconv_strides to_c(const Strides& s) { return {.n = s.n, .h = s.h, .w = s.w, .c = s.c}; }

/// 0 is the default; what is out of range is left to Problem, which names the field.
template <typename Enum>
Enum or_default(int32_t value, Enum fallback) {
  return value == 0 ? fallback : static_cast<Enum>(value);
}

/// A list that must be there; a null pointer with a count is refused.
Numbers list(const char* name, const int64_t* numbers, int32_t count) {
  if (count < 0) refuse(std::string(name) + " count", count, "at least 0");
  if (numbers == nullptr && count > 0) {
    refuse(name, "null", "a pointer to " + std::to_string(count) + " numbers");
  }
  return numbers == nullptr ? Numbers{} : Numbers(numbers, numbers + count);
}

std::optional<Numbers> optional_list(const char* name, const int64_t* numbers, int32_t count) {
  if (numbers == nullptr && count == 0) return std::nullopt;
  return list(name, numbers, count);
}

std::string text_or(const char* text, const char* fallback) {
  return text == nullptr ? fallback : text;
}

}  // namespace

ProblemDesc to_host(const tconv_problem_desc& given) {
  const tconv_problem_desc desc = received(given, "desc");
  ProblemDesc d;
  d.name = text_or(desc.name, "");
  d.batch = desc.batch;
  d.in_c = desc.in_c;
  d.out_c = desc.out_c;
  d.groups = desc.groups;
  d.h = to_host(desc.h);
  d.w = to_host(desc.w);
  d.dtype = static_cast<DType>(desc.dtype);
  d.output_dtype = static_cast<DType>(desc.output_dtype);
  d.bias_dtype = static_cast<DType>(desc.bias_dtype);
  d.layout = or_default(desc.layout, Layout::nhwc);
  d.filter_order = or_default(desc.filter_order, FilterOrder::hwoi);
  d.input_strides = to_host(desc.input_strides);
  d.output_strides = to_host(desc.output_strides);
  d.residual_strides = to_host(desc.residual_strides);
  d.has_bias = desc.has_bias != 0;
  d.has_residual = desc.has_residual != 0;
  d.activation = static_cast<Activation>(desc.activation);
  d.activation_a = desc.activation_a;
  d.activation_b = desc.activation_b;
  if (desc.alignment != 0) d.alignment = desc.alignment;
  return d;
}

namespace {

/// "a,b" -> {"a", "b"}; an empty name is refused by the planner, which knows all names.
std::vector<std::string> split_names(const char* names) {
  std::vector<std::string> result;
  if (names == nullptr) return result;
  for (std::string_view rest = names;;) {
    const std::size_t comma = rest.find(',');
    result.emplace_back(rest.substr(0, comma));
    if (comma == std::string_view::npos) return result;
    rest.remove_prefix(comma + 1);
  }
}

std::function<void(const std::string&)> log_of(const tconv_options& options) {
  if (options.log == nullptr) return nullptr;
  return [call = options.log, user = options.log_user](const std::string& line) {
    call(line.c_str(), user);
  };
}

void check_number(const char* name, int64_t value, int64_t low, int64_t high, const char* legal) {
  if (value < low || value > high) refuse(name, value, legal);
}

}  // namespace

Options to_host(const tconv_options& given) {
  const tconv_options options = received(given, "options");
  check_number("options.device", options.device, 0, 2, "0 (auto), 1 (cpu) or 2 (cuda)");
  check_number("options.math", options.math, 0, 2, "0 (strict), 1 (tf32) or 2 (3xtf32)");
  check_number("options.workspace_limit", options.workspace_limit, TCONV_NO_WORKSPACE, INT64_MAX,
               "bytes, 0 for no limit, or TCONV_NO_WORKSPACE (-1)");
  check_number("options.threads", options.threads, 0, 4096, "in [0, 4096], 0 for one per core");
  const int64_t limit = options.workspace_limit;
  return {.device = static_cast<DeviceKind>(options.device),
          .kernels = split_names(options.kernels),
          .tile = text_or(options.tile, ""),
          .workspace_limit = limit == TCONV_NO_WORKSPACE ? 0
                             : limit == 0                ? -1
                                                         : limit,
          .math = static_cast<Math>(options.math),
          .deterministic = options.allow_nondeterministic == 0,
          .prepacked_filters = options.prepacked_filters != 0,
          .verify = options.verify != 0,
          .threads = options.threads,
          .callers_threads = {.parallel_for = options.parallel_for,
                              .user = options.parallel_user,
                              .progress = options.progress,
                              .progress_user = options.progress_user},
          .device_model = text_or(options.device_model, ""),
          .log = log_of(options)};
}

Options callbacks_of(const tconv_options& given) {
  const tconv_options options = received(given, "callbacks");
  const auto absent = [](const char* field, bool is_given) {
    if (is_given) {
      refuse(std::string("callbacks.") + field, "given", "zero: the saved plan says it");
    }
  };
  absent("device", options.device != 0);
  absent("kernels", options.kernels != nullptr);
  absent("tile", options.tile != nullptr);
  absent("workspace_limit", options.workspace_limit != 0);
  absent("math", options.math != 0);
  absent("allow_nondeterministic", options.allow_nondeterministic != 0);
  absent("prepacked_filters", options.prepacked_filters != 0);
  absent("verify", options.verify != 0);
  absent("threads", options.threads != 0);
  absent("device_model", options.device_model != nullptr);
  return {.callers_threads = {options.parallel_for, options.parallel_user}, .log = log_of(options)};
}

Tensors to_host(const tconv_tensors& t) {
  return {.input = t.input,
          .filters = t.filters,
          .bias = t.bias,
          .slopes = t.slopes,
          .residual = t.residual,
          .output = t.output,
          .workspace = t.workspace};
}

StatedBytes stated_bytes(const tconv_tensors& t) {
  return {.input = t.input_bytes,
          .filters = t.filters_bytes,
          .bias = t.bias_bytes,
          .slopes = t.slopes_bytes,
          .residual = t.residual_bytes,
          .output = t.output_bytes,
          .workspace = t.workspace_bytes};
}

VerifyOptions to_host(const tconv_verify_options* given) {
  if (given == nullptr) return {};
  const tconv_verify_options options = received(*given, "options");
  check_number("options.scope", options.scope, 0, 2, "0 (auto), 1 (whole) or 2 (sample)");
  check_number("options.threads", options.threads, 0, 4096, "in [0, 4096], 0 for one per core");
  check_number("options.math", options.math, 0, 2, "0 (strict), 1 (tf32) or 2 (3xtf32)");
  VerifyOptions result{.scope = static_cast<VerifyScope>(options.scope),
                       .threads = options.threads,
                       .seed = options.seed,
                       .math = static_cast<Math>(options.math)};
  if (options.progress != nullptr) {
    result.progress = [call = options.progress, user = options.progress_user](double done) {
      call(done, user);
    };
  }
  return result;
}

TensorFlowArgs to_host(const tconv_tensorflow_args& given) {
  const tconv_tensorflow_args args = received(given, "args");
  TensorFlowArgs a;
  a.input_shape = list("input_shape", args.input_shape, args.input_rank);
  a.filter_shape = list("filter_shape", args.filter_shape, args.filter_rank);
  a.output_shape = optional_list("output_shape", args.output_shape, args.output_shape_count);
  a.strides = list("strides", args.strides, args.strides_count);
  a.dilations = optional_list("dilations", args.dilations, args.dilations_count);
  a.padding = text_or(args.padding, "SAME");
  a.explicit_paddings =
      list("explicit_paddings", args.explicit_paddings, args.explicit_paddings_count);
  a.data_format = text_or(args.data_format, "");
  a.groups = args.groups;
  return a;
}

PyTorchArgs to_host(const tconv_pytorch_args& given) {
  const tconv_pytorch_args args = received(given, "args");
  PyTorchArgs a;
  a.input_shape = list("input_shape", args.input_shape, args.input_rank);
  a.weight_shape = list("weight_shape", args.weight_shape, args.weight_rank);
  a.stride = optional_list("stride", args.stride, args.stride_count);
  a.padding = optional_list("padding", args.padding, args.padding_count);
  a.output_padding =
      optional_list("output_padding", args.output_padding, args.output_padding_count);
  a.dilation = optional_list("dilation", args.dilation, args.dilation_count);
  a.groups = args.groups;
  a.memory_format = text_or(args.memory_format, "contiguous");
  a.output_size = optional_list("output_size", args.output_size, args.output_size_count);
  return a;
}

OnnxArgs to_host(const tconv_onnx_args& given) {
  const tconv_onnx_args args = received(given, "args");
  OnnxArgs a;
  a.x_shape = list("x_shape", args.x_shape, args.x_rank);
  a.w_shape = list("w_shape", args.w_shape, args.w_rank);
  a.strides = optional_list("strides", args.strides, args.strides_count);
  a.pads = optional_list("pads", args.pads, args.pads_count);
  a.output_padding =
      optional_list("output_padding", args.output_padding, args.output_padding_count);
  a.output_shape = optional_list("output_shape", args.output_shape, args.output_shape_count);
  a.dilations = optional_list("dilations", args.dilations, args.dilations_count);
  a.auto_pad = text_or(args.auto_pad, "NOTSET");
  a.group = args.group;
  return a;
}

void write_geometry(const ProblemDesc& desc, tconv_problem_desc& out) {
  out.batch = desc.batch;
  out.in_c = desc.in_c;
  out.out_c = desc.out_c;
  out.groups = desc.groups;
  out.h = to_c(desc.h);
  out.w = to_c(desc.w);
  out.layout = static_cast<tconv_layout>(desc.layout);
  out.filter_order = static_cast<tconv_filter_order>(desc.filter_order);
}

void write_desc(const ProblemDesc& desc, tconv_problem_desc& out) {
  write_geometry(desc, out);
  out.name = desc.name.c_str();
  out.dtype = static_cast<tconv_dtype>(desc.dtype);
  out.output_dtype = static_cast<tconv_dtype>(desc.output_dtype);
  out.bias_dtype = static_cast<tconv_dtype>(desc.bias_dtype);
  out.input_strides = to_c(desc.input_strides);
  out.output_strides = to_c(desc.output_strides);
  out.residual_strides = to_c(desc.residual_strides);
  out.has_bias = desc.has_bias ? 1 : 0;
  out.has_residual = desc.has_residual ? 1 : 0;
  out.activation = static_cast<tconv_activation>(desc.activation);
  out.activation_a = desc.activation_a;
  out.activation_b = desc.activation_b;
  out.alignment = desc.alignment;
}

tconv_verify_report to_c(const VerifyReport& report) {
  auto c = blank<tconv_verify_report>();
  c.whole = report.whole ? 1 : 0;
  c.checked = report.checked;
  c.total = report.total;
  c.mismatches = report.mismatches;
  c.largest_bound = report.largest_bound;
  c.worst_ratio = report.worst_ratio;
  c.n = report.n;
  c.p = report.p;
  c.q = report.q;
  c.k = report.k;
  c.expected = report.expected;
  c.got = report.got;
  c.bound = report.bound;
  c.overflowed = report.overflowed;
  c.zero_padded = report.zero_padded;
  return c;
}

tconv_comparison to_c(const PlanComparison& comparison) {
  auto c = blank<tconv_comparison>();
  c.total = comparison.total;
  c.differ = comparison.differ;
  c.worst = comparison.worst;
  c.allowed = comparison.allowed;
  c.n = comparison.first.n;
  c.p = comparison.first.p;
  c.q = comparison.first.q;
  c.k = comparison.first.k;
  c.got = comparison.got;
  c.other = comparison.other;
  c.wrong = comparison.wrong;
  c.one_nan = comparison.one_nan;
  c.unbounded = comparison.unbounded;
  return c;
}

}  // namespace tconv::host
