// SPDX-License-Identifier: Apache-2.0
// work.cpp: see work.h.
#include "bench/gpu/work.h"

#include <algorithm>
#include <set>

#include "bench/gpu/timing.h"
#include "src/cli/suite.h"
#include "src/host/device/device_models.h"
#include "src/host/plan/kernel_table.h"

namespace tconv::host {
extern const Kernel gather_kernel;
}  // namespace tconv::host

namespace tconv::bench {
namespace {

using host::DType;
using host::Layout;

/// In the order of the list.
struct Setting {
  const char *dtype, *format, *batch;
};
constexpr Setting kSettings[] = {{"f16", "NHWC", "infer"}, {"f16", "NHWC", "large"},
                                 {"f32", "NHWC", "infer"}, {"f32", "NHWC", "large"},
                                 {"f16", "NCHW", "infer"}, {"f16", "NCHW", "large"},
                                 {"f32", "NCHW", "infer"}, {"f32", "NCHW", "large"}};

std::string structure_of(const std::string& name) {
  for (const NamedRow& row : named_rows()) {
    if (name == row.name) return row.structure;
  }
  return "";
}

std::vector<Layer> load(const Setting& setting, const std::string& match) {
  cli::ProblemArgs problem;
  problem.dtype = setting.dtype;
  problem.data_format = setting.format;
  const cli::SuiteArgs suite{.suite = "core", .batch = std::string(setting.batch), .match = match};
  std::vector<Layer> layers;
  for (const cli::SuiteRow& row : cli::load_suite(suite, problem)) {
    host::ProblemDesc desc = host::parse_key(row.request().key());
    desc.name = row.name;
    layers.push_back({row.name, setting.batch, structure_of(row.name), host::Problem(desc)});
  }
  std::ranges::stable_partition(layers, [](const Layer& l) { return !l.structure.empty(); });
  return layers;
}

bool same_setting(const Layer& a, const Layer& b) {
  const host::ProblemDesc &x = a.problem.desc(), &y = b.problem.desc();
  return x.dtype == y.dtype && x.layout == y.layout && a.batch == b.batch;
}

double seconds_of(const Unit& unit) {
  const ExpectedTimes times = expected_times(*unit.layer);
  const double gather = unit.part == Part::first ? times.gather_s[0] + times.gather_s[1] : 0;
  return times.setup_s + gather + (times.plan_s[0] + times.plan_s[1]) * expected_proposals(unit);
}

Unit make_unit(Part part, const Layer& layer) {
  Unit unit{.part = part, .layer = &layer};
  unit.seconds = seconds_of(unit);
  return unit;
}

}  // namespace

std::string Unit::id() const {
  const std::string name = kPartNames[static_cast<int>(part)];
  return layer == nullptr ? name : name + " " + layer->problem.key();
}

// One row for each kind of layer that kernels treat differently: how filter and stride overlap, how
// many channels and groups there are, how many pixels.
const std::vector<NamedRow>& named_rows() {
  static const std::vector<NamedRow> rows = {
      {"SAM mask decoder / output_upscaling.0", "filter = stride 2"},
      {"DPT-Large (384px) / act_postprocess1.4", "filter = stride 4"},
      {"DensePose HRFPN-w32 (800x1344) / interp_conv.3 (k4 s8)", "filter < stride"},
      {"FCN-32s VOC (500px, pad 100) / upscore", "filter and stride huge"},
      {"torch-stft inverse (10 s @22.05k) / conv_transpose1d inverse basis", "1-D, filter huge"},
      {"HiFi-GAN V1 / VITS / MelGAN decoder (10 s @22.05k) / ups.0", "1-D, vocoder"},
      {"DCGAN (64px) / main.0 proj", "one input pixel"},
      {"VQ-VAE-2 (256px) / dec.up1", "overlapped, even filter, few output channels"},
      {"CycleGAN ResNet-9 (256px) / up1", "overlapped, odd filter, few output channels"},
      {"StyleGAN2-ADA (1024px) / b64.conv0 up", "overlapped, many output channels"},
      {"DCGAN-tensorflow (64px) / g_h2", "overlapped, filter 5"},
      {"Keras DCGAN tutorial (28px) / conv_t1 stride1", "stride 1"},
      {"PointPillars KITTI (496x432) / deblocks.0", "1x1, stride 1"},
      {"FSRCNN x4 (to 1080p) / last_part", "one output channel, filter 9"},
      {"pix2pix U-Net256 / outermost", "three output channels"},
      {"ENet (CamVid 360x480) / transposed_conv", "few input channels"},
      {"FastDepth DeConv5dw decoder option (224px) / convt dw C=256", "depthwise"},
      {"BigVGAN-v2 24k (10 s) / UpSample1d antialias C=768 depthwise", "1-D, depthwise"},
      {"StyleGAN2-ADA (1024px) / b64.conv0 up fused_modconv (8 images as groups; fp32 inference)",
       "groups of many channels"},
      {"SimpleBaseline ResNet-50 (256x192) / deconv_layers.0", "few pixels, long sums"},
  };
  return rows;
}

std::vector<Layer> load_layers(const std::string& match) {
  std::vector<Layer> layers;
  std::set<std::string> seen;
  for (const Setting& setting : kSettings) {
    for (Layer& layer : load(setting, match)) {
      if (seen.insert(layer.problem.key()).second) layers.push_back(std::move(layer));
    }
  }
  return layers;
}

std::vector<Unit> make_work(const std::vector<Layer>& layers) {
  std::vector<Unit> work = {{.part = Part::ceilings, .layer = nullptr, .seconds = 10}};
  for (std::size_t begin = 0; begin < layers.size();) {
    std::size_t end = begin;
    while (end < layers.size() && same_setting(layers[begin], layers[end])) ++end;
    for (std::size_t i = begin; i < end; ++i) work.push_back(make_unit(Part::first, layers[i]));
    for (std::size_t i = begin; i < end; ++i) {
      if (!layers[i].structure.empty()) work.push_back(make_unit(Part::plans, layers[i]));
    }
    begin = end;
  }
  for (const Layer& layer : layers) {
    if (layer.structure.empty()) work.push_back(make_unit(Part::rest, layer));
  }
  return work;
}

int expected_proposals(const Unit& unit) {
  // With an epilogue there are two ways to ask: fused into the graph, and a kernel of ours after
  // it.
  const int forms = unit.layer->problem.desc().has_bias ? 2 : 1;
  constexpr int kFirst = 3, kAll = 16, kOwnFirst = 1, kOwnAll = 4;
  const bool first = unit.part == Part::first;
  return forms * (first ? kFirst : kAll) + (first ? kOwnFirst : kOwnAll);
}

ExpectedTimes expected_times(const Layer& layer) {
  static const host::DeviceFacts h200 = host::device_model("h200");
  constexpr double kPlanS = 0.06;  // heuristics, building, a captured graph
  constexpr double kRounds = 11, kSlowRounds = 4, kLeastUs = 200, kSlowUs = 50e3;
  constexpr double kHostBytesPerS = 4e9;
  const host::Problem& problem = layer.problem;
  const auto sets = static_cast<double>(
      rotating_sets(static_cast<int64_t>(problem.least_bytes()), h200.l2_bytes, int64_t{1} << 12));
  const auto timed = [&](double us, bool cold) {
    return 1e-6 * (us > kSlowUs ? kSlowRounds : kRounds) *
           std::max(kLeastUs, us * (cold ? sets : 1));
  };
  const double gather_us = host::gather_kernel.consider(problem, 0, {}, h200).estimate_us;
  const double macs_per_us =
      problem.desc().dtype == host::DType::f32 ? h200.f32_macs_per_us : h200.f16_tensor_macs_per_us;
  const double roofline_us =
      std::max(problem.useful_macs() / macs_per_us, problem.least_bytes() / h200.bytes_per_us);
  ExpectedTimes times;
  times.setup_s = 0.05 + 2 * problem.least_bytes() / kHostBytesPerS + 1e-6 * gather_us;
  for (const bool cold : {true, false}) {
    times.gather_s[cold ? 0 : 1] = timed(gather_us, cold);
    times.plan_s[cold ? 0 : 1] = (cold ? kPlanS : 0) + timed(5 + 3 * roofline_us, cold);
  }
  return times;
}

}  // namespace tconv::bench
