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
  desc.activation_b = 255;
  return make_request(desc);
}

/// The picture with its edges repeated outwards, so that no sum lacks a pixel.
void fill_input(const Image& image, int margin, float* to) {
  for (int h = -margin; h < image.height + margin; ++h) {
    const int row = std::clamp(h, 0, image.height - 1);
    for (int w = -margin; w < image.width + margin; ++w) {
      const int column = std::clamp(w, 0, image.width - 1);
      const std::size_t pixel =
          static_cast<std::size_t>(row) * static_cast<std::size_t>(image.width) +
          static_cast<std::size_t>(column);
      const uint8_t* from = &image.pixels[pixel * static_cast<std::size_t>(image.channels)];
      to = std::copy(from, from + image.channels, to);
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

Image rounded(const Request& request, const Buffer& output) {
  Image image;
  image.width = static_cast<int>(request.desc.w.out);
  image.height = static_cast<int>(request.desc.h.out);
  image.channels = static_cast<int>(request.desc.out_c);
  const auto* values = static_cast<const float*>(output.data());
  image.pixels.resize(output.size() / sizeof(float));
  std::transform(values, values + image.pixels.size(), image.pixels.begin(),
                 [](float value) { return static_cast<uint8_t>(std::lround(value)); });
  return image;
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
  std::printf("picture    %s, %d x %d -> %s, %d x %d, %d channels\n",
              printable(args.picture).c_str(), before.width, before.height,
              printable(args.target).c_str(), after.width, after.height, after.channels);
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
  check_image_size(image.width * scale, image.height * scale, image.channels);
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
  const Image enlarged = rounded(request, operands.output);
  write_image(file, format, enlarged);
  file.commit();
  if (format == ImageFormat::jpeg && image.channels % 2 == 0) {
    std::fputs("tconv: note: JPEG has no alpha channel, it was left out\n", stderr);
  }
  print(args, image, enlarged, request, runner, us, verification);
  return TCONV_OK;
}

}  // namespace tconv::cli
