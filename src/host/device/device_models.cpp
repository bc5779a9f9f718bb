// SPDX-License-Identifier: Apache-2.0
// device_models.cpp: see device_models.h.
#include "src/host/device/device_models.h"

#include <cctype>
#include <concepts>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "src/host/problem/errors.h"

namespace tconv::host {
namespace {

using Json = nlohmann::ordered_json;

/// Teraflops are of dense matrices (data sheets of NVIDIA print twice that, "with sparsity"), f16
/// with f32 sums, at the boost clock. A multiply-add counts as two.
struct Model {
  const char* name;     ///< what people type
  const char* product;  ///< what the CUDA runtime calls it, or the part of that which matters
  int sm, cores;
  double clock_mhz, f32_tflops, f64_tflops, f16_tensor_tflops, tf32_tensor_tflops;
  double bytes_per_ns;  ///< GB/s
  int64_t memory_gb, l2_mb;
  const char* source;
};

// Compared with public transcriptions of the sheets named (glennklockwood.com on A100 and H100,
// fpsbench.com on L4, itkb.uw.cz and io-tech.fi on H200, thefpsreview.com on RTX 4090), not with
// the sheets themselves. 60 MB of L2 is also what CUDA says of an H200. Checked by arithmetic where
// the sheet gives no clock: cores * 128 (A100: 64) * 2 * clock = f32. The H100's tensor rates are
// at a lower boost clock than its f32 rate: 1830 MHz (132 SMs * 4096 * 1.83 GHz = 989.4).
constexpr Model kModels[] = {
    {"h200", "H200", 90, 132, 1980, 66.9, 33.5, 989.4, 494.7, 4800, 141, 60,
     "NVIDIA H200 Tensor Core GPU, data sheet (memory); NVIDIA H100 Tensor Core GPU Architecture, "
     "white paper: H100 SXM5 (the same chip: SMs, rates), full GH100 (L2: with all six memory "
     "stacks none of it is switched off)"},
    {"h100", "H100", 90, 132, 1980, 66.9, 33.5, 989.4, 494.7, 3350, 80, 50,
     "NVIDIA H100 Tensor Core GPU, data sheet, H100 SXM (memory); NVIDIA H100 Tensor Core GPU "
     "Architecture, white paper, H100 SXM5 (SMs, L2, rates)"},
    {"a100", "A100", 80, 108, 1410, 19.5, 9.7, 312, 156, 2039, 80, 40,
     "NVIDIA A100 Tensor Core GPU, data sheet, A100 80GB SXM (rates, memory); NVIDIA A100 Tensor "
     "Core GPU Architecture, white paper (SMs, clock, L2)"},
    {"l4", "L4", 89, 58, 2040, 30.3, 0.473, 121, 60, 300, 24, 48,
     "NVIDIA L4 Tensor Core GPU, data sheet (rates, halved: it states them with sparsity; memory); "
     "SMs from f32 rate and boost clock; f64 is 1/64 of f32 and L2 that of a full AD104 in NVIDIA "
     "Ada GPU Architecture, white paper"},
    {"rtx4090", "RTX 4090", 89, 128, 2520, 82.6, 1.29, 165.2, 82.6, 1008, 24, 72,
     "NVIDIA Ada GPU Architecture, white paper, GeForce RTX 4090 (all)"},
};

/// What a compute capability decides: CUDA C++ Programming Guide, "Technical Specifications per
/// Compute Capability", and "Arithmetic Instructions" for results per clock and SM. Threads and
/// shared memory of 80, 86 and 90 are those of NVIDIA's CCCL too (arch_traits.cuh); lanes and
/// tensor rates give those of kModels at their clocks (test_device_models.cpp).
struct Generation {
  int sm;
  int f32_lanes, f64_lanes;     ///< multiply-adds per clock and SM
  int f16_tensor, tf32_tensor;  ///< likewise, dense, of the data centre parts
  int threads;
  int64_t shared_kb, shared_block_kb;
};
constexpr Generation kGenerations[] = {
    {80, 64, 32, 1024, 512, 2048, 164, 163},    {86, 128, 2, 512, 256, 1536, 100, 99},
    {89, 128, 2, 512, 256, 1536, 100, 99},      {90, 128, 64, 2048, 1024, 2048, 228, 227},
    {100, 128, 64, 4096, 2048, 2048, 228, 227}, {120, 128, 2, 512, 256, 1536, 100, 99},
};

/// The newest generation that is not newer than `sm`.
const Generation& generation_of(int sm) {
  const Generation* best = &kGenerations[0];
  for (const Generation& generation : kGenerations) {
    if (generation.sm <= sm) best = &generation;
  }
  return *best;
}

double macs_per_us(double tflops) { return tflops / 2 * 1e6; }

void set_rates(DeviceFacts& facts, const Model& model) {
  facts.f32_macs_per_us = macs_per_us(model.f32_tflops);
  facts.f64_macs_per_us = macs_per_us(model.f64_tflops);
  facts.f16_tensor_macs_per_us = macs_per_us(model.f16_tensor_tflops);
  facts.tf32_tensor_macs_per_us = macs_per_us(model.tf32_tensor_tflops);
  facts.rates_from = model.source;
}

DeviceFacts facts_of(const Model& model) {
  const Generation& generation = generation_of(model.sm);
  DeviceFacts facts;
  facts.kind = DeviceKind::cuda;
  facts.name = std::string(model.name) + " (model)";
  facts.cores = model.cores;
  facts.sm = model.sm;
  facts.clock_mhz = model.clock_mhz;
  facts.bytes_per_us = model.bytes_per_ns * 1e3;
  facts.memory_bytes = model.memory_gb * 1000 * 1000 * 1000;
  facts.l2_bytes = model.l2_mb << 20;
  facts.shared_bytes_per_core = generation.shared_kb << 10;
  facts.shared_bytes_per_block = generation.shared_block_kb << 10;
  facts.threads_per_core = generation.threads;
  set_rates(facts, model);
  return facts;
}

// ---- JSON --------------------------------------------------------------------------------------

/// The fields of every device, then those of a GPU: one list, for writing and reading.
template <typename Facts, typename Visit>
void each_common_field(Facts& facts, Visit&& visit) {
  visit("name", facts.name);
  visit("cores", facts.cores);
  visit("model_f32_macs_per_us", facts.f32_macs_per_us);
  visit("model_bytes_per_us", facts.bytes_per_us);
}
template <typename Facts, typename Visit>
void each_gpu_field(Facts& facts, Visit&& visit) {
  visit("sm", facts.sm);
  visit("clock_mhz", facts.clock_mhz);
  visit("model_f64_macs_per_us", facts.f64_macs_per_us);
  visit("model_f16_tensor_macs_per_us", facts.f16_tensor_macs_per_us);
  visit("model_tf32_tensor_macs_per_us", facts.tf32_tensor_macs_per_us);
  visit("memory_bytes", facts.memory_bytes);
  visit("l2_bytes", facts.l2_bytes);
  visit("shared_bytes_per_core", facts.shared_bytes_per_core);
  visit("shared_bytes_per_block", facts.shared_bytes_per_block);
  visit("threads_per_core", facts.threads_per_core);
  visit("rates_from", facts.rates_from);
}

Json to_json(const DeviceFacts& facts) {
  Json json = {{"device", name_of(facts.kind)}};
  const auto write = [&](const char* name, const auto& value) { json[name] = value; };
  each_common_field(facts, write);
  if (facts.kind != DeviceKind::cuda) return json;
  json["ordinal"] = facts.ordinal;
  each_gpu_field(facts, write);
  if (!facts.unusable.empty()) json["unusable"] = facts.unusable;
  if (!facts.cudnn_properties.empty()) json["cudnn_properties"] = facts.cudnn_properties;
  return json;
}

/// Reads one device of a file; every refusal names file, field and value.
class Reader {
 public:
  Reader(std::string file, const Json& device) : file_(std::move(file)), device_(device) {}

  void operator()(const char* name, std::string& to) const {
    const Json& value = need(name, "a text");
    if (!value.is_string()) refuse_value(name, value, "a text");
    to = value.get<std::string>();
  }
  void operator()(const char* name, double& to) const {
    constexpr const char* kLegal = "a number above 0";
    const Json& value = need(name, kLegal);
    if (!value.is_number() || !(value.get<double>() > 0)) refuse_value(name, value, kLegal);
    to = value.get<double>();
  }
  template <std::integral Integer>
  void operator()(const char* name, Integer& to) const {
    constexpr auto kMost = std::numeric_limits<Integer>::max();
    const std::string legal = "a whole number from 1 to " + std::to_string(kMost);
    const Json& value = need(name, legal);
    const bool fits = value.is_number_unsigned() && value.get<uint64_t>() >= 1 &&
                      value.get<uint64_t>() <= static_cast<uint64_t>(kMost);
    if (!fits) refuse_value(name, value, legal);
    to = value.get<Integer>();
  }
  void optional(const char* name, std::string& to) const {
    if (device_.contains(name)) (*this)(name, to);
  }

 private:
  const Json& need(const char* name, const std::string& legal) const {
    if (!device_.contains(name)) refuse_value(name, "missing", legal);
    return device_[name];
  }
  [[noreturn]] void refuse_value(const char* name, const Json& value,
                                 const std::string& legal) const {
    refuse("device_model " + file_ + ": " + name,
           value.is_string() ? value.get<std::string>() : value.dump(), legal);
  }

  std::string file_;
  const Json& device_;
};

[[noreturn]] void refuse_file(const std::string& file, const std::string& why) {
  throw InvalidProblem("device_model " + file + ": " + why +
                       ", but it must be the JSON that `tconv devices --json` prints");
}

/// Empty if there is no such file. A device list has some kilobytes: more is another file.
std::string contents(const std::string& file) {
  constexpr std::size_t kMost = 1 << 20;
  std::ifstream stream(file, std::ios::binary);
  std::string text(kMost + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > kMost)
    refuse_file(file, "it has more than " + std::to_string(kMost) + " bytes");
  return text;
}

Json parse(const std::string& file, const std::string& text) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    refuse_file(file, "byte " + std::to_string(error.byte) + " is not JSON");
  } catch (const Json::exception& error) {  // a number that no double holds
    refuse_file(file, error.what());
  }
}

DeviceFacts read_model(const std::string& file, const std::string& text) {
  const Json json = parse(file, text);
  if (!json.is_object() || !json.contains("devices") || !json["devices"].is_array()) {
    refuse_file(file, "it has no list `devices`");
  }
  for (const Json& device : json["devices"]) {
    if (!device.is_object() || device.value("device", Json()) != "cuda") continue;
    DeviceFacts facts;
    facts.kind = DeviceKind::cuda;
    const Reader reader(file, device);
    each_common_field(facts, reader);
    each_gpu_field(facts, reader);
    reader.optional("cudnn_properties", facts.cudnn_properties);
    return facts;
  }
  refuse_file(file, "none of its devices is `cuda`");
}

}  // namespace

std::string device_model_names() {
  std::string names;
  for (const Model& model : kModels) names += (names.empty() ? "" : ", ") + std::string(model.name);
  return names;
}

DeviceFacts device_model(const std::string& name_or_file) {
  for (const Model& model : kModels) {
    if (name_or_file == model.name) return facts_of(model);
  }
  const std::string text = contents(name_or_file);
  if (text.empty()) {
    refuse("device_model", "'" + name_or_file + "'",
           "among " + device_model_names() + ", or a file that `tconv devices --json` wrote");
  }
  return read_model(name_or_file, text);
}

void set_model_rates(DeviceFacts& facts) {
  const double bandwidth = facts.bytes_per_us;
  const Generation& generation = generation_of(facts.sm);
  const double clocks_per_us = facts.cores * facts.clock_mhz;
  facts.f32_macs_per_us = clocks_per_us * generation.f32_lanes;
  facts.f64_macs_per_us = clocks_per_us * generation.f64_lanes;
  facts.f16_tensor_macs_per_us = clocks_per_us * generation.f16_tensor;
  facts.tf32_tensor_macs_per_us = clocks_per_us * generation.tf32_tensor;
  // An SM of any generation reads about this much: for GPUs that do not tell their memory's clock.
  constexpr double kBytesPerClock = 16;
  if (bandwidth <= 0) facts.bytes_per_us = clocks_per_us * kBytesPerClock;
  facts.rates_from = "scaled from clock and SMs";
  for (const Model& model : kModels) {
    const std::string padded = facts.name + " ", product = " " + std::string(model.product);
    const std::size_t at = padded.find(product);
    // "L4" is not "L40"; "H100 PCIe" has fewer SMs than "H100".
    const bool whole = at != std::string::npos &&
                       !std::isalnum(static_cast<unsigned char>(padded[at + product.size()]));
    if (!whole || model.sm != facts.sm || model.cores != facts.cores) continue;
    set_rates(facts, model);
    if (bandwidth <= 0) facts.bytes_per_us = model.bytes_per_ns * 1e3;
  }
}

std::string list_devices(const std::vector<DeviceFacts>& devices, const std::string& absence,
                         bool json) {
  Json list = Json::array();
  std::string text;
  for (const DeviceFacts& device : devices) {
    list.push_back(to_json(device));
    const std::string kind = name_of(device.kind);
    text += kind + std::string(6 - kind.size(), ' ') + device.name;
    if (device.kind == DeviceKind::cuda) text += ", sm_" + std::to_string(device.sm);
    text += (device.unusable.empty() ? "" : ": not used: " + device.unusable) + "\n";
  }
  if (json) return Json{{"devices", list}, {"cuda", absence}}.dump();
  return absence.empty() ? text : text + "cuda  none: " + absence + "\n";
}

}  // namespace tconv::host
