// SPDX-License-Identifier: Apache-2.0
// problem_options.cpp: see problem_options.h.
#include "src/cli/problem_options.h"

#include <algorithm>

#include "src/cli/convention_options.h"
#include "src/cli/text.h"

namespace tconv::cli {
namespace {

tconv_dtype parse_dtype(const char* option, const std::string& value) {
  return 1 + parse_choice(option, value, {"f16", "bf16", "f32", "f64"});
}

/// "leaky_relu:0.1" -> {"leaky_relu", "0.1"}.
struct ActivationText {
  std::string name;
  Typed parameter;

  explicit ActivationText(const std::string& value) : name(value.substr(0, value.find(':'))) {
    if (name.size() < value.size()) parameter = value.substr(name.size() + 1);
  }
};

void apply_activation(const std::string& value, tconv_problem_desc& desc) {
  const ActivationText text(value);
  desc.activation = parse_choice("--activation", text.name,
                                 {"identity", "relu", "leaky_relu", "prelu", "clamp", "sigmoid",
                                  "tanh", "gelu", "gelu_tanh", "silu"});
  const auto must_be = [&](const char* legal) { refuse("--activation", "'" + value + "'", legal); };
  switch (desc.activation) {
    case TCONV_LEAKY_RELU:
      if (!text.parameter) must_be("leaky_relu:SLOPE, such as leaky_relu:0.1");
      desc.activation_a = parse_real("--activation leaky_relu", *text.parameter);
      if (desc.activation_a == 0) must_be("relu, or leaky_relu:SLOPE with another slope than 0");
      break;
    case TCONV_CLAMP: {
      const std::vector<std::string> ends = split(text.parameter.value_or(""), ',');
      if (ends.size() != 2) must_be("clamp:LOW,HIGH, such as clamp:0,6");
      desc.activation_a = parse_real("--activation clamp", ends[0]);
      desc.activation_b = parse_real("--activation clamp", ends[1]);
      if (desc.activation_a >= desc.activation_b) must_be("clamp:LOW,HIGH with LOW below HIGH");
      break;
    }
    case TCONV_PRELU: break;  // its parameter is a file
    default:
      if (text.parameter) must_be((text.name + ", which has no parameter").c_str());
  }
}

void open_files(const ProblemArgs& args, Request& request) {
  const auto open = [&](const char* option, const Typed& path) -> std::optional<NpyReader> {
    if (!path || path->empty()) return std::nullopt;
    NpyReader file(option, *path);
    require_dtype(file, args);
    return file;
  };
  request.input = open("--input", args.input);
  request.filters = open("--filters", args.filters);
  request.bias = open("--bias", args.bias);
  request.residual = open("--residual", args.residual);
  if (!args.activation) return;
  const ActivationText activation(*args.activation);
  if (activation.name == "prelu") request.slopes = open("--activation prelu", activation.parameter);
}

/// A 16-bit problem keeps a bias that is more precise than its input.
tconv_dtype bias_dtype(const Request& request, tconv_dtype dtype) {
  const tconv_dtype there = request.bias ? request.bias->header().dtype : dtype;
  const bool wide = there == TCONV_F32 || there == TCONV_F64;
  return wide && (dtype == TCONV_F16 || dtype == TCONV_BF16) ? TCONV_F32 : dtype;
}

/// No file is rounded, and no type preferred to another, unless somebody asks for it. Output and
/// residual have the input's type where it is not said.
void check_types(const ProblemArgs& args, const Request& request, const tconv_problem_desc& desc) {
  if (args.dtype) return;
  const auto refuse_type = [](const NpyReader& file, tconv_dtype other, const char* what,
                              const char* ask) {
    refuse("the file of " + file.option() + " is " + dtype_name(file.header().dtype) + ", " + what +
           " " + dtype_name(other) + ": " + ask + " says what is converted to what");
  };
  if (request.input && request.filters &&
      request.filters->header().dtype != request.input->header().dtype) {
    refuse_type(*request.filters, request.input->header().dtype, "that of --input", "--dtype");
  }
  const auto check_rounding = [&](const std::optional<NpyReader>& file, tconv_dtype type,
                                  const char* what, const char* ask) {
    if (!file || element_bytes(file->header().dtype) <= element_bytes(type)) return;
    refuse_type(*file, type, what, ask);
  };
  check_rounding(request.bias, desc.bias_dtype, "the bias of this problem", "--dtype");
  check_rounding(request.slopes, desc.dtype == TCONV_F64 ? TCONV_F64 : TCONV_F32,
                 "slopes of this problem are", "--dtype");
  if (!args.output_dtype) {
    check_rounding(request.residual, desc.dtype, "the output of this problem",
                   "--output-dtype or --dtype");
  }
}

void make_from_options(const ProblemArgs& args, Request& request) {
  const std::vector<int64_t> input =
      stated_shape("--input-shape", args.input_shape, "--input", request.input);
  const std::vector<int64_t> filters =
      stated_shape("--filter-shape", args.filter_shape, "--filters", request.filters);
  const ConventionOptions convention(args, input, filters);
  auto desc = sized<tconv_problem_desc>();
  convention.translate(desc);
  request.file_layout = convention.file_layout();
  request.file_filter_order = convention.file_filter_order();
  request.file_dimensions = convention.file_dimensions();
  request.output_padding = convention.output_padding();
  desc.dtype = request.input     ? request.input->header().dtype
               : request.filters ? request.filters->header().dtype
                                 : TCONV_F32;
  apply_epilogue(args, desc);
  if (desc.has_bias != 0) desc.bias_dtype = bias_dtype(request, desc.dtype);
  check_types(args, request, desc);
  request.problem = make_problem(desc);
}

void make_from_key(const ProblemArgs& args, Request& request) {
  refuse_geometry(args, "--problem says it");
  const std::pair<const char*, const Typed&> others[] = {{"--dtype", args.dtype},
                                                         {"--output-dtype", args.output_dtype}};
  for (const auto& [option, value] : others) {
    if (value) refuse(std::string(option) + " cannot be given: --problem says it");
  }
  if (args.activation && !request.slopes) {
    refuse("--activation", "'" + *args.activation + "'",
           "absent, or prelu:FILE for the slopes, because --problem says the rest");
  }
  tconv_problem* problem = nullptr;
  check(tconv_problem_from_key(args.problem->c_str(), &problem));
  request.problem.reset(problem);
  const tconv_problem_desc desc = desc_of(problem);
  request.file_layout = desc.layout;
  request.file_filter_order = desc.filter_order;
}

/// A file of an operand that the problem does not have.
void refuse_unused(const Request& request) {
  const auto unused = [](const std::optional<NpyReader>& file, bool used, const char* what) {
    if (file && !used) refuse(file->option() + " cannot be given: --problem has no " + what);
  };
  unused(request.bias, request.desc.has_bias != 0, "bias");
  unused(request.residual, request.desc.has_residual != 0, "residual");
  unused(request.slopes, request.desc.activation == TCONV_PRELU, "prelu");
}

std::size_t dimensions_behind_channels(const Request& request) {
  return request.file_layout == TCONV_NHWC ? 0 : request.file_dimensions.height ? 2 : 1;
}

/// Whether numbers of this shape are one per output channel: [C], or what broadcasts along the
/// channels of the output as its file has them, such as [1, 1, 1, C] or [C, 1, 1].
bool is_per_channel(std::vector<int64_t> shape, const Request& request) {
  const std::size_t behind = dimensions_behind_channels(request);
  if (shape == std::vector<int64_t>{request.desc.out_c}) return true;
  if (shape.size() <= behind || shape.size() > 4) return false;
  const std::size_t place = shape.size() - 1 - behind;
  const int64_t channels = shape[place];
  shape[place] = 1;
  return channels == request.desc.out_c &&
         std::ranges::all_of(shape, [](int64_t n) { return n == 1; });
}

/// Refuses numbers that are not one per output channel, nor, where `one_for_all`, a single one.
void check_channel_vector(const NpyReader& file, const Request& request, bool one_for_all) {
  const std::vector<int64_t>& shape = file.header().shape;
  if (is_per_channel(shape, request) || (one_for_all && file.header().count == 1)) return;
  std::vector<int64_t> broadcast = request.output_grid().shape;
  const std::size_t place = broadcast.size() - 1 - dimensions_behind_channels(request);
  for (std::size_t i = 0; i < broadcast.size(); ++i) {
    if (i != place) broadcast[i] = 1;
  }
  refuse("the file of " + file.option() + " has the shape " + join(shape) + ", but it must be " +
         join(request.channel_grid().shape) + " or " + join(broadcast) +
         (one_for_all ? ", or one number for all channels" : ""));
}

void check_shapes(const Request& request) {
  if (request.input) check_shape(*request.input, request.input_grid().shape);
  if (request.filters) check_shape(*request.filters, request.filter_grid().shape);
  if (request.bias) check_channel_vector(*request.bias, request, false);
  if (request.slopes) check_channel_vector(*request.slopes, request, true);
  if (request.residual) check_output_shape(*request.residual, request);
}

void fill_in(Request& request) {
  request.desc = desc_of(request.problem.get());
  request.info = info_of(request.problem.get());
}

/// A dimension of a file: how many, how far apart in memory, whether the file has it.
struct Dimension {
  int64_t extent, stride;
  bool there = true;
};

Grid grid_of(std::initializer_list<Dimension> dimensions) {
  Grid grid;
  for (const Dimension& dimension : dimensions) {
    if (!dimension.there) continue;
    grid.shape.push_back(dimension.extent);
    grid.strides.push_back(dimension.stride);
  }
  return grid;
}

/// `extent`: of an axis, what is the tensor's.
Grid image_grid(const Request& request, int64_t tconv_axis::*extent, int64_t channels,
                const tconv_strides& s) {
  const tconv_problem_desc& desc = request.desc;
  const FileDimensions& there = request.file_dimensions;
  const Dimension n = {desc.batch, s.n, there.batch}, c = {channels, s.c};
  const Dimension h = {desc.h.*extent, s.h, there.height}, w = {desc.w.*extent, s.w};
  return request.file_layout == TCONV_NHWC ? grid_of({n, h, w, c}) : grid_of({n, c, h, w});
}

}  // namespace

Grid Request::input_grid() const {
  return image_grid(*this, &tconv_axis::in, desc.in_c, desc.input_strides);
}
Grid Request::residual_grid() const {
  return image_grid(*this, &tconv_axis::out, desc.out_c, desc.residual_strides);
}
Grid Request::output_grid() const {
  return image_grid(*this, &tconv_axis::out, desc.out_c, desc.output_strides);
}
Grid Request::channel_grid() const { return {{desc.out_c}, {1}}; }

Grid Request::filter_grid() const {
  const auto extent = [this](char letter) {
    return letter == 'h'   ? desc.h.kernel
           : letter == 'w' ? desc.w.kernel
           : letter == 'i' ? desc.in_c
                           : desc.out_c / desc.groups;
  };
  Grid grid;
  for (const char letter : std::string(letters_of(file_filter_order))) {
    if (letter == 'h' && !file_dimensions.height) continue;
    int64_t stride = 1;  // in memory: over all dimensions that lie further inside
    const std::string memory = letters_of(desc.filter_order);
    for (std::size_t i = memory.find(letter) + 1; i < memory.size(); ++i)
      stride *= extent(memory[i]);
    grid.shape.push_back(extent(letter));
    grid.strides.push_back(stride);
  }
  return grid;
}

std::vector<int64_t> stated_shape(const char* shape_option, const Typed& shape,
                                  const char* file_option, const std::optional<NpyReader>& file) {
  if (!shape && !file) {
    refuse(std::string(shape_option) + " or " + file_option +
           " is missing (or --problem, which says everything)");
  }
  if (!shape) return file->header().shape;
  std::vector<int64_t> numbers = parse_integers(shape_option, *shape);
  if (file && numbers != file->header().shape) {
    refuse(shape_option, *shape,
           join(file->header().shape) + ", the shape of the file of " + file_option);
  }
  return numbers;
}

void require_dtype(const NpyReader& file, const ProblemArgs& args) {
  const std::string& type = file.header().integer;
  if (type.empty() || args.dtype || args.problem) return;
  refuse("the file of " + file.option() + " holds integers ('" + type +
         "'), so --dtype must say what they become: f16, bf16, f32 or f64");
}

void check_shape(const NpyReader& file, const std::vector<int64_t>& wanted) {
  if (file.header().shape == wanted) return;
  refuse("the file of " + file.option() + " has the shape " + join(file.header().shape) +
         ", but it must be " + join(wanted));
}

namespace {

/// "; --output-padding 1,0 would make it so", if one would.
std::string output_padding_hint(const std::vector<int64_t>& shape, const Request& request) {
  const std::vector<int64_t> now = request.output_grid().shape;
  if (!request.output_padding || shape.size() != now.size()) return "";
  const bool two = request.file_dimensions.height;
  const std::size_t first = shape.size() - (two ? 2 : 1);  // the convention's files are N,C,H,W
  if (!std::equal(now.begin(), now.begin() + static_cast<std::ptrdiff_t>(first), shape.begin())) {
    return "";
  }
  std::vector<int64_t> padding;
  for (std::size_t i = first; i < shape.size(); ++i) {
    const bool is_h = two && i == first;
    const tconv_axis& axis = is_h ? request.desc.h : request.desc.w;
    padding.push_back((*request.output_padding)[is_h ? 0 : 1] + shape[i] - now[i]);
    if (padding.back() < 0 || padding.back() >= std::max(axis.stride, axis.dilation)) return "";
  }
  return "; --output-padding " + join(padding) + " would make it so";
}

}  // namespace

void check_output_shape(const NpyReader& file, const Request& request) {
  const std::vector<int64_t>& shape = file.header().shape;
  const std::vector<int64_t> wanted = request.output_grid().shape;
  if (shape == wanted) return;
  refuse("the file of " + file.option() + " has the shape " + join(shape) + ", but it must be " +
         join(wanted) + output_padding_hint(shape, request));
}

void refuse_geometry(const ProblemArgs& args, const char* because) {
  const std::pair<const char*, const Typed&> geometry[] = {
      {"--input-shape", args.input_shape},
      {"--filter-shape", args.filter_shape},
      {"--strides", args.strides},
      {"--dilations", args.dilations},
      {"--groups", args.groups},
      {"--convention", args.convention},
      {"--filter-order", args.filter_order},
      {"--padding", args.padding},
      {"--output-shape", args.output_shape},
      {"--output-padding", args.output_padding},
      {"--output-size", args.output_size},
      {"--memory-format", args.memory_format},
      {"--pads", args.pads},
      {"--auto-pad", args.auto_pad},
      {"--data-format", args.data_format}};
  for (const auto& [option, value] : geometry) {
    if (value) refuse(std::string(option) + " cannot be given: " + because);
  }
}

void apply_epilogue(const ProblemArgs& args, tconv_problem_desc& desc) {
  if (args.dtype) desc.dtype = parse_dtype("--dtype", *args.dtype);
  if (args.output_dtype) desc.output_dtype = parse_dtype("--output-dtype", *args.output_dtype);
  if (args.bias) desc.has_bias = 1;
  if (args.residual) desc.has_residual = 1;
  if (args.activation) apply_activation(*args.activation, desc);
}

Request make_request(const ProblemArgs& args) {
  Request request;
  open_files(args, request);
  args.problem ? make_from_key(args, request) : make_from_options(args, request);
  fill_in(request);
  refuse_unused(request);
  check_shapes(request);
  return request;
}

Request make_request(const tconv_problem_desc& desc) {
  Request request;
  request.problem = make_problem(desc);
  fill_in(request);
  request.file_layout = request.desc.layout;
  request.file_filter_order = request.desc.filter_order;
  return request;
}

tconv_options plan_options(const ChoiceArgs& args) {
  auto options = sized<tconv_options>();
  if (args.device) {
    options.device = parse_choice("--device", *args.device, {"auto", "cpu", "cuda"});
  }
  if (args.device_model) options.device_model = args.device_model->c_str();
  if (args.math) options.math = parse_choice("--math", *args.math, {"strict", "tf32", "3xtf32"});
  if (args.kernel) options.kernels = args.kernel->c_str();
  if (args.tile) options.tile = args.tile->c_str();
  if (args.workspace_limit) {
    const int64_t limit = parse_integer("--workspace-limit", *args.workspace_limit, 0, INT64_MAX);
    options.workspace_limit = limit == 0 ? int64_t{TCONV_NO_WORKSPACE} : limit;
  }
  if (args.threads) {
    options.threads = static_cast<int32_t>(parse_integer("--threads", *args.threads, 1, 4096));
  }
  options.allow_nondeterministic = args.allow_nondeterministic ? 1 : 0;
  options.prepacked_filters = args.prepack ? 1 : 0;
  return options;
}

}  // namespace tconv::cli
