// SPDX-License-Identifier: Apache-2.0
// convention_options.cpp: see convention_options.h.
#include "src/cli/convention_options.h"

#include <cctype>

#include "src/cli/library.h"
#include "src/cli/text.h"

namespace tconv::cli {
namespace {

std::optional<std::vector<int64_t>> numbers(const char* option, const Typed& value) {
  if (!value) return std::nullopt;
  return parse_integers(option, *value);
}

const int64_t* data(const std::optional<std::vector<int64_t>>& numbers) {
  return numbers ? numbers->data() : nullptr;
}
int32_t count(const std::optional<std::vector<int64_t>>& numbers) {
  return numbers ? static_cast<int32_t>(numbers->size()) : 0;
}
int32_t rank(const std::vector<int64_t>& shape) { return static_cast<int32_t>(shape.size()); }

bool is_number(const std::string& value) {
  return !value.empty() &&
         (value[0] == '-' || value[0] == '+' || std::isdigit(static_cast<unsigned char>(value[0])));
}

}  // namespace

const char* letters_of(tconv_filter_order order) {
  constexpr const char* kLetters[] = {"hwoi", "ihwo", "iohw", "ohwi"};
  return kLetters[order - 1];
}

ConventionOptions::ConventionOptions(const ProblemArgs& args, std::vector<int64_t> input_shape,
                                     std::vector<int64_t> filter_shape)
    : input_shape_(std::move(input_shape)), filter_shape_(std::move(filter_shape)) {
  if (args.convention) {
    convention_ = static_cast<Convention>(
        parse_choice("--convention", *args.convention, {"tensorflow", "pytorch", "onnx"}));
  }
  refuse_strangers(args);
  if (args.filter_order) {
    filter_order_ = 1 + parse_choice("--filter-order", *args.filter_order,
                                     {letters_of(TCONV_HWOI), letters_of(TCONV_IHWO),
                                      letters_of(TCONV_IOHW), letters_of(TCONV_OHWI)});
    filter_shape_ = in_conventions_order(std::move(filter_shape_));
  }
  // A scalar's shape has no numbers, and an empty vector may have no address to pass on.
  input_shape_.reserve(1);
  filter_shape_.reserve(1);
  strides_ = one_an_axis(numbers("--strides", args.strides));
  dilations_ = one_an_axis(numbers("--dilations", args.dilations));
  output_padding_ = one_an_axis(numbers("--output-padding", args.output_padding));
  output_shape_ = numbers("--output-shape", args.output_shape);
  output_size_ = numbers("--output-size", args.output_size);
  pads_ = numbers("--pads", args.pads);
  if (args.padding) parse_padding(*args.padding);
  if (args.auto_pad) auto_pad_ = *args.auto_pad;
  if (args.data_format) data_format_ = *args.data_format;
  if (args.memory_format) memory_format_ = *args.memory_format;
  if (args.groups) groups_ = parse_integer("--groups", *args.groups, 1, INT64_MAX);
  if (!strides_) strides_ = one_an_axis(std::vector<int64_t>{1});
}

/// The filters' shape as the convention writes it, of one in --filter-order. One of another rank
/// stays as it is: it is refused later.
std::vector<int64_t> ConventionOptions::in_conventions_order(std::vector<int64_t> shape) const {
  std::string from = letters_of(*filter_order_);
  if (shape.size() == 3) std::erase(from, 'h');  // one axis
  if (from.size() != shape.size()) return shape;
  std::vector<int64_t> result;
  for (const char letter : std::string(convention_ == kTensorFlow ? "hwoi" : "iohw")) {
    const std::size_t place = from.find(letter);
    if (place != std::string::npos) result.push_back(shape[place]);
  }
  return result;
}

void ConventionOptions::refuse_strangers(const ProblemArgs& args) const {
  struct Own {
    const char* option;
    const Typed& value;
    bool tensorflow, pytorch, onnx;
  };
  const Own owners[] = {{"--padding", args.padding, true, true, false},
                        {"--data-format", args.data_format, true, false, false},
                        {"--output-shape", args.output_shape, true, false, true},
                        {"--output-padding", args.output_padding, false, true, true},
                        {"--output-size", args.output_size, false, true, false},
                        {"--memory-format", args.memory_format, false, true, false},
                        {"--pads", args.pads, false, false, true},
                        {"--auto-pad", args.auto_pad, false, false, true}};
  const char* name[] = {"tensorflow", "pytorch", "onnx"};
  for (const Own& own : owners) {
    const bool legal[] = {own.tensorflow, own.pytorch, own.onnx};
    if (!own.value || legal[convention_]) continue;
    std::string others;
    for (int i = 0; i < 3; ++i) {
      if (legal[i]) others += (others.empty() ? "" : " or ") + std::string(name[i]);
    }
    // What the convention calls the same thing.
    const bool size = &own.value == &args.output_shape || &own.value == &args.output_size;
    const std::string here = convention_ == kPyTorch ? "--output-size" : "--output-shape";
    refuse(std::string(own.option) + " = '" + *own.value + "' belongs to --convention " + others +
           ", but the convention is " + name[convention_] + (size ? ", where it is " + here : ""));
  }
}

void ConventionOptions::parse_padding(const std::string& value) {
  if (convention_ == kPyTorch) {
    padding_ = parse_integers("--padding", value);
  } else if (is_number(value)) {
    padding_mode_ = "EXPLICIT";
    padding_ = parse_integers("--padding", value);
  } else {
    if (value != "SAME" && value != "VALID") {
      refuse("--padding", "'" + value + "'", "SAME, VALID or top,bottom,left,right");
    }
    padding_mode_ = value;
  }
}

/// ONNX wants a number for each axis where the other conventions take one for both.
ConventionOptions::Numbers ConventionOptions::one_an_axis(Numbers numbers) const {
  const bool wants_two = convention_ == kOnnx && file_dimensions().height;
  if (wants_two && numbers && numbers->size() == 1) numbers->push_back(numbers->front());
  return numbers;
}

tconv_tensorflow_args ConventionOptions::tensorflow() const {
  auto args = sized<tconv_tensorflow_args>();
  args.input_shape = input_shape_.data();
  args.input_rank = rank(input_shape_);
  args.filter_shape = filter_shape_.data();
  args.filter_rank = rank(filter_shape_);
  args.output_shape = data(output_shape_);
  args.output_shape_count = count(output_shape_);
  args.strides = data(strides_);
  args.strides_count = count(strides_);
  args.dilations = data(dilations_);
  args.dilations_count = count(dilations_);
  args.padding = padding_mode_.c_str();
  args.explicit_paddings = data(padding_);
  args.explicit_paddings_count = count(padding_);
  args.data_format = data_format_.c_str();
  args.groups = groups_;
  return args;
}

tconv_pytorch_args ConventionOptions::pytorch() const {
  auto args = sized<tconv_pytorch_args>();
  args.input_shape = input_shape_.data();
  args.input_rank = rank(input_shape_);
  args.weight_shape = filter_shape_.data();
  args.weight_rank = rank(filter_shape_);
  args.stride = data(strides_);
  args.stride_count = count(strides_);
  args.padding = data(padding_);
  args.padding_count = count(padding_);
  args.output_padding = data(output_padding_);
  args.output_padding_count = count(output_padding_);
  args.dilation = data(dilations_);
  args.dilation_count = count(dilations_);
  args.groups = groups_;
  args.memory_format = memory_format_.c_str();
  args.output_size = data(output_size_);
  args.output_size_count = count(output_size_);
  return args;
}

tconv_onnx_args ConventionOptions::onnx() const {
  auto args = sized<tconv_onnx_args>();
  args.x_shape = input_shape_.data();
  args.x_rank = rank(input_shape_);
  args.w_shape = filter_shape_.data();
  args.w_rank = rank(filter_shape_);
  args.strides = data(strides_);
  args.strides_count = count(strides_);
  args.pads = data(pads_);
  args.pads_count = count(pads_);
  args.output_padding = data(output_padding_);
  args.output_padding_count = count(output_padding_);
  args.output_shape = data(output_shape_);
  args.output_shape_count = count(output_shape_);
  args.dilations = data(dilations_);
  args.dilations_count = count(dilations_);
  args.auto_pad = auto_pad_.c_str();
  args.group = groups_;
  return args;
}

void ConventionOptions::translate(tconv_problem_desc& desc) const {
  switch (convention_) {
    case kTensorFlow: {
      const tconv_tensorflow_args args = tensorflow();
      check(tconv_problem_desc_from_tensorflow(&args, &desc));
      break;
    }
    case kPyTorch: {
      const tconv_pytorch_args args = pytorch();
      check(tconv_problem_desc_from_pytorch(&args, &desc));
      break;
    }
    case kOnnx: {
      const tconv_onnx_args args = onnx();
      check(tconv_problem_desc_from_onnx(&args, &desc));
      break;
    }
  }
  if (filter_order_) desc.filter_order = *filter_order_;
}

tconv_output_sizes ConventionOptions::output_sizes() const {
  auto sizes = sized<tconv_output_sizes>();
  switch (convention_) {
    case kTensorFlow: {
      const tconv_tensorflow_args args = tensorflow();
      check(tconv_tensorflow_output_sizes(&args, &sizes));
      break;
    }
    case kPyTorch: {
      const tconv_pytorch_args args = pytorch();
      check(tconv_pytorch_output_sizes(&args, &sizes));
      break;
    }
    case kOnnx: {
      const tconv_onnx_args args = onnx();
      check(tconv_onnx_output_sizes(&args, &sizes));
      break;
    }
  }
  return sizes;
}

tconv_layout ConventionOptions::file_layout() const {
  const bool channels_first = data_format_ == "NCHW" || data_format_ == "NCW";
  return convention_ == kTensorFlow && !channels_first ? TCONV_NHWC : TCONV_NCHW;
}

tconv_filter_order ConventionOptions::file_filter_order() const {
  return filter_order_.value_or(convention_ == kTensorFlow ? TCONV_HWOI : TCONV_IOHW);
}

FileDimensions ConventionOptions::file_dimensions() const {
  const std::size_t filter_rank = filter_shape_.size();
  const bool unbatched = convention_ == kPyTorch && input_shape_.size() + 1 == filter_rank;
  return {.batch = !unbatched, .height = filter_rank != 3};
}

std::optional<std::array<int64_t, 2>> ConventionOptions::output_padding() const {
  if (convention_ == kTensorFlow || output_size_ || output_shape_) return std::nullopt;
  if (auto_pad_.starts_with("SAME")) return std::nullopt;
  if (!output_padding_) return {{0, 0}};
  return {{output_padding_->front(), output_padding_->back()}};
}

}  // namespace tconv::cli
