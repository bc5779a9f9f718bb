// SPDX-License-Identifier: Apache-2.0
// command_upscale.cpp: tconv upscale: a picture, enlarged by a depthwise transposed convolution.
#include <tconv/printable.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>

#include "src/cli/commands.h"
#include "src/cli/image.h"
#include "src/cli/record.h"
#include "src/cli/resample.h"
#include "src/cli/runner.h"
#include "src/cli/text.h"

namespace tconv::cli {
namespace {

tconv_axis make_axis(int64_t pixels, int64_t scale, const Resampler& resampler) {
  tconv_axis axis{};
  axis.in = pixels + int64_t{2} * resampler.radius;
  axis.kernel = static_cast<int64_t>(resampler.taps.size());
  axis.stride = scale;
  axis.dilation = 1;
  axis.pad_begin = resampler.pad_begin + resampler.radius * scale;  // the margin is cut off again
  axis.out = pixels * scale;
  return axis;
}

/// Of `rows` rows of the picture.
Request make_upscale_request(const Image& image, int64_t rows, int64_t scale,
                             const Resampler& resampler) {
  auto desc = sized<tconv_problem_desc>();
  desc.name = "upscale";
  desc.batch = 1;
  desc.in_c = desc.out_c = desc.groups = image.channels;
  desc.h = make_axis(rows, scale, resampler);
  desc.w = make_axis(image.width, scale, resampler);
  desc.dtype = TCONV_F32;
  desc.activation = TCONV_CLAMP;
  desc.activation_a = 0;
  desc.activation_b = image.largest();
  return make_request(desc);
}

/// The picture with its edges repeated outwards, so that no sum lacks a pixel. Colours are
/// multiplied by their alpha: what is transparent has none to give to its neighbours.
void fill_input(const Image& image, int margin, float* to) {
  const int largest = image.largest();
  for (int h = -margin; h < image.height + margin; ++h) {
    const int row = std::clamp(h, 0, image.height - 1);
    for (int w = -margin; w < image.width + margin; ++w) {
      const int column = std::clamp(w, 0, image.width - 1);
      const std::size_t pixel =
          static_cast<std::size_t>(row) * static_cast<std::size_t>(image.width) +
          static_cast<std::size_t>(column);
      const auto channels = static_cast<std::size_t>(image.channels);
      const std::size_t first = pixel * channels, last = first + channels - 1;
      const double opaque =
          image.has_alpha() ? static_cast<double>(image.value(last)) / largest : 1;
      for (std::size_t i = first; i <= last; ++i) {
        const bool alpha = image.has_alpha() && i == last;
        *to++ = static_cast<float>(image.value(i) * (alpha ? 1 : opaque));
      }
    }
  }
}

/// HWOI with one output channel a group: [kh][kw][1][channels].
void fill_filters(const std::vector<double>& taps, int channels, float* to) {
  for (const double row : taps) {
    for (const double column : taps)
      to = std::fill_n(to, channels, static_cast<float>(row * column));
  }
}

Operands make_operands(const Request& request, const Image& image, const Resampler& resampler) {
  const auto bytes = [](int64_t n) { return static_cast<std::size_t>(n); };
  Operands operands;
  operands.input = Buffer(bytes(request.info.input_bytes), "picture");
  operands.filters = Buffer(bytes(request.info.filter_bytes), "filters");
  operands.output = Buffer(bytes(request.info.output_bytes), "enlarged picture");
  fill_input(image, resampler.radius, static_cast<float*>(operands.input.data()));
  fill_filters(resampler.taps, image.channels, static_cast<float*>(operands.filters.data()));
  return operands;
}

/// How many rows of the picture one run enlarges: some tenths of a second of work on any machine.
int64_t rows_of_band(const Image& image, int64_t scale) {
  constexpr int64_t kValues = int64_t{1} << 22;
  const int64_t row = int64_t{image.width} * image.channels * scale * scale;
  return std::clamp<int64_t>(kValues / row, 1, image.height);
}

/// Enlarges band after band, so that the share done is known. A band is a picture like the whole,
/// whose margin is what lies above and below it. Returns the microseconds of all.
double enlarge(Runner& runner, const Request& band, int64_t scale, const Image& image,
               Operands& operands, Progress& progress) {
  const int64_t rows = band.desc.h.out / scale;
  const int64_t from_bytes = band.info.input_bytes / band.desc.h.in;
  const int64_t to_bytes = band.info.output_bytes / rows;
  double us = 0;
  for (int64_t done = 0; done < image.height; done += rows) {
    const int64_t row = std::min(done, image.height - rows);  // the last band may overlap
    tconv_tensors tensors = operands.tensors();
    tensors.input = static_cast<const std::byte*>(tensors.input) + row * from_bytes;
    tensors.input_bytes = static_cast<std::size_t>(band.info.input_bytes);
    tensors.output = static_cast<std::byte*>(tensors.output) + row * to_bytes;
    tensors.output_bytes = static_cast<std::size_t>(band.info.output_bytes);
    runner.bind(tensors);
    us += runner.sample_us(1);
    progress.update(static_cast<double>(row + rows) / image.height);
  }
  return us;
}

/// Rounds the values, and divides colours by their alpha again; no rounding of alpha comes between.
template <typename Value>
void round_values(const float* from, const Image& image, Value* to) {
  const auto largest = static_cast<float>(image.largest());
  constexpr float kHalf = 0.5F;  // values are clamped to 0 and more: the cast rounds down
  const auto round = [](float value) { return static_cast<Value>(value + kHalf); };
  const std::size_t count = image.count();
  if (!image.has_alpha()) {
    std::transform(from, from + count, to, round);
    return;
  }
  const auto channels = static_cast<std::size_t>(image.channels);
  for (std::size_t i = 0; i < count; i += channels) {
    const float alpha = from[i + channels - 1];
    for (std::size_t c = 0; c + 1 < channels; ++c) {
      const float colour = alpha > 0 ? from[i + c] * largest / alpha : 0;
      to[i + c] = round(std::min(colour, largest));
    }
    to[i + channels - 1] = round(alpha);
  }
}

Image rounded(const Request& request, const Buffer& output, const Image& like) {
  Image image;
  image.width = static_cast<int>(request.desc.w.out);
  image.height = static_cast<int>(request.desc.h.out);
  image.channels = like.channels;
  image.bits = like.bits;
  image.bytes.resize(image.row_bytes() * static_cast<std::size_t>(image.height));
  const auto* values = static_cast<const float*>(output.data());
  if (image.bits == 16) {
    round_values(values, image, reinterpret_cast<uint16_t*>(image.bytes.data()));
  } else {
    round_values(values, image, image.bytes.data());
  }
  return image;
}

/// What the format of the target cannot hold.
void say_what_is_lost(ImageFormat format, const Image& image) {
  if (format != ImageFormat::jpeg) return;
  if (image.has_alpha()) {
    std::fputs("tconv: note: JPEG has no alpha channel, it was left out\n", stderr);
  }
  if (image.bits == 16) {
    std::fputs("tconv: note: JPEG has 8 bits a channel, the picture had 16\n", stderr);
  }
}

void print(const UpscaleArgs& args, const Image& before, const Image& after, const Request& request,
           const Runner& runner, double us, const std::optional<Verification>& verification) {
  if (args.json) {
    Record record;
    record.set("key", request.key());
    runner.describe(record);
    record.set("median_us", us);
    verification ? verification->describe(record) : void(record.set("verified", false));
    record.set("picture", args.picture)
        .set("size", std::vector<int64_t>{before.width, before.height})
        .set("bits", before.bits)
        .set("orientation", before.orientation)
        .set("output", args.target)
        .set("output_size", std::vector<int64_t>{after.width, after.height});
    std::puts(record.line().c_str());
    return;
  }
  std::printf("problem    %s\n", request.key());
  std::printf("device     %s\n", runner.device());
  std::printf("row        %s, tile %s, %s\n", runner.kernel(), runner.tile(),
              time_text(us).c_str());
  if (verification) std::printf("%s\n", verification->sentence().c_str());
  const std::string turned =
      before.orientation == 1
          ? ""
          : format(" (turned upright: EXIF orientation %d)", before.orientation);
  std::printf("picture    %s, %d x %d%s -> %s, %d x %d, %d channels of %d bits\n",
              printable(args.picture).c_str(), before.width, before.height, turned.c_str(),
              printable(args.target).c_str(), after.width, after.height, after.channels,
              after.bits);
}

}  // namespace

int upscale_command(const UpscaleArgs& args) {
  const int64_t scale = args.scale ? parse_integer("--scale", *args.scale, 1, 16) : 2;
  const auto shape = static_cast<KernelShape>(
      args.kernel_shape ? parse_choice("--kernel-shape", *args.kernel_shape, {"cubic", "bilinear"})
                        : 0);
  const ImageFormat format = image_format(args.target);
  const tconv_options options = plan_options(args.choice);
  const Image image = read_image(args.picture);
  check_image_size(image.width * scale, image.height * scale, image);
  const Resampler resampler = make_resampler(shape, static_cast<int>(scale));
  const Request request = make_upscale_request(image, image.height, scale, resampler);
  const Request band = make_upscale_request(image, rows_of_band(image, scale), scale, resampler);
  require_memory(operand_bytes(request));
  Runner runner(band, options);
  OutputFile file(args.target);
  Operands operands = make_operands(request, image, resampler);
  double us = 0;
  {
    Progress progress("enlarging", args.json);
    us = enlarge(runner, band, scale, image, operands, progress);
  }
  std::optional<Verification> verification;
  if (args.verify) {
    Progress progress("verifying", args.json);
    verification = verify_output(request, operands, verify_options(options, progress));
    if (!verification->right()) throw Failure(TCONV_MISMATCH, verification->mismatch);
  }
  const Image enlarged = rounded(request, operands.output, image);
  write_image(file, format, enlarged);
  file.commit();
  say_what_is_lost(format, image);
  print(args, image, enlarged, request, runner, us, verification);
  return TCONV_OK;
}

}  // namespace tconv::cli
