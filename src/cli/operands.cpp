// SPDX-License-Identifier: Apache-2.0
// operands.cpp: see operands.h.
#include "src/cli/operands.h"

#include <algorithm>
#include <array>

#include "src/cli/text.h"

namespace tconv::cli {
namespace {

/// Which tensor: its random stream, its name in messages.
enum class Role { input, filters, bias, slopes, residual };
constexpr const char* kRoleNames[] = {"input", "filters", "bias", "slopes", "residual"};

/// SplitMix64's output function: every bit of the result depends on every bit of `x`.
uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

/// The value of element `i` of a tensor.
class Values {
 public:
  Values(const Generator& generator, Role role, tconv_dtype dtype, int64_t hot)
      : pattern_(generator.pattern), role_(role), hot_(hot) {
    small_ = dtype == TCONV_F16 || dtype == TCONV_BF16;
    stream_ = mix(generator.seed * 8 + static_cast<uint64_t>(role) + 0x9e3779b97f4a7c15u);
  }

  double operator()(int64_t i) const {
    if (pattern_ == Generator::Pattern::random) {
      const uint64_t bits = mix(stream_ + static_cast<uint64_t>(i) * 0x9e3779b97f4a7c15u);
      return static_cast<double>(bits >> 11) * 0x1p-52 - 1;
    }
    if (role_ == Role::slopes) return 0.25;  // a plausible slope, exact in every type
    if (pattern_ == Generator::Pattern::impulse && role_ != Role::filters) {
      return role_ == Role::input && i == hot_ ? 1 : 0;
    }
    return small_ ? static_cast<double>(i % 251 + 1) / 256 : static_cast<double>(i + 1);
  }

 private:
  Generator::Pattern pattern_;
  Role role_;
  bool small_;
  uint64_t stream_;
  int64_t hot_;
};

/// The middle pixel of image 0, channel 0, in the file's order.
int64_t middle(const Request& request) {
  const int64_t pixel = request.desc.h.in / 2 * request.desc.w.in + request.desc.w.in / 2;
  return request.file_layout == TCONV_NHWC ? pixel * request.desc.in_c : pixel;
}

void generate(const Values& values, tconv_dtype dtype, void* to, const Grid& grid) {
  std::array<double, 4096> piece;
  const auto length = static_cast<int64_t>(piece.size());
  const int64_t total = grid.count();
  for (int64_t first = 0; first < total; first += length) {
    const int64_t count = std::min(length, total - first);
    for (int64_t i = 0; i < count; ++i) piece[static_cast<std::size_t>(i)] = values(first + i);
    scatter(TCONV_F64, piece.data(), first, count, dtype, to, grid);
  }
}

void repeat_first(Buffer& buffer, tconv_dtype dtype) {
  auto* data = static_cast<std::byte*>(buffer.data());
  const std::size_t element = element_bytes(dtype);
  for (std::size_t i = element; i < buffer.size(); i += element)
    std::copy_n(data, element, data + i);
}

class Loader {
 public:
  Loader(const Request& request, const std::optional<Generator>& generator)
      : request_(request), generator_(generator) {}

  Buffer load(Role role, std::optional<NpyReader>& file, tconv_dtype dtype, int64_t bytes,
              const Grid& grid) const {
    const char* name = kRoleNames[static_cast<int>(role)];
    if (!file && !generator_) {
      refuse(role == Role::slopes ? "--activation prelu:FILE is missing: the problem has a prelu"
                                  : std::string("--") + name + " FILE is missing");
    }
    Buffer buffer(static_cast<std::size_t>(bytes), name);
    if (file) {
      file->read_to(grid, dtype, buffer.data());
      // One slope for all channels.
      if (role == Role::slopes && file->header().count == 1) repeat_first(buffer, dtype);
    } else {
      generate(Values(*generator_, role, dtype, middle(request_)), dtype, buffer.data(), grid);
    }
    return buffer;
  }

 private:
  const Request& request_;
  const std::optional<Generator>& generator_;
};

}  // namespace

std::optional<Generator> parse_generator(const DataArgs& args) {
  if (!args.data) {
    if (args.seed) refuse("--data-seed cannot be given without --data");
    return std::nullopt;
  }
  Generator generator;
  generator.pattern = static_cast<Generator::Pattern>(
      parse_choice("--data", *args.data, {"random", "arange", "impulse"}));
  if (args.seed) {
    generator.seed = static_cast<uint64_t>(parse_integer("--data-seed", *args.seed, 0, INT64_MAX));
  }
  return generator;
}

tconv_tensors Operands::tensors() {
  auto result = sized<tconv_tensors>();
  result.input = input.data(), result.input_bytes = input.size();
  result.filters = filters.data(), result.filters_bytes = filters.size();
  result.bias = bias.data(), result.bias_bytes = bias.size();
  result.slopes = slopes.data(), result.slopes_bytes = slopes.size();
  result.residual = residual.data(), result.residual_bytes = residual.size();
  result.output = output.data(), result.output_bytes = output.size();
  return result;
}

double operand_bytes(const Request& request) {
  const tconv_problem_info& info = request.info;
  double bytes = 0;
  for (const int64_t part : {info.input_bytes, info.filter_bytes, info.bias_bytes,
                             info.slopes_bytes, info.residual_bytes, info.output_bytes}) {
    bytes += static_cast<double>(part);
  }
  return bytes;
}

Operands load_operands(Request& request, const std::optional<Generator>& generator) {
  const Loader loader(request, generator);
  const tconv_problem_desc& desc = request.desc;
  const tconv_problem_info& info = request.info;
  const tconv_dtype slopes = desc.dtype == TCONV_F64 ? TCONV_F64 : TCONV_F32;
  Operands operands;
  operands.input =
      loader.load(Role::input, request.input, desc.dtype, info.input_bytes, request.input_grid());
  operands.filters = loader.load(Role::filters, request.filters, desc.dtype, info.filter_bytes,
                                 request.filter_grid());
  if (desc.has_bias != 0) {
    operands.bias = loader.load(Role::bias, request.bias, desc.bias_dtype, info.bias_bytes,
                                request.channel_grid());
  }
  if (desc.activation == TCONV_PRELU) {
    operands.slopes = loader.load(Role::slopes, request.slopes, slopes, info.slopes_bytes,
                                  request.channel_grid());
  }
  if (desc.has_residual != 0) {
    operands.residual = loader.load(Role::residual, request.residual, desc.output_dtype,
                                    info.residual_bytes, request.residual_grid());
  }
  operands.output = Buffer(static_cast<std::size_t>(info.output_bytes), "output");
  return operands;
}

}  // namespace tconv::cli
