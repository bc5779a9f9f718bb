// SPDX-License-Identifier: Apache-2.0
// test_device_models.cpp: the table of GPUs, the rates of those that are here, and the JSON of
// `tconv devices` there and back.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "src/host/device/device_models.h"
#include "src/host/problem/errors.h"

namespace tconv::test {
namespace {

using namespace tconv::host;
using nlohmann::json;

const char* const kNames[] = {"h200",    "h100", "a100", "l4", "rtx4090",
                              "rtx5090", "b200", "a10",  "t4", "gb10"};
constexpr const char* kScaled = "scaled from clock and SMs";

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// A file that is gone at the end of the test.
class File {
 public:
  explicit File(const std::string& text) : path_(testing::TempDir() + "tconv_device_model.json") {
    std::ofstream(path_) << text;
  }
  ~File() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(DeviceModels, HaveEveryFactAndASource) {
  for (const char* name : kNames) {
    const DeviceFacts facts = device_model(name);
    EXPECT_NE(device_model_names().find(name), std::string::npos);
    EXPECT_EQ(facts.kind, DeviceKind::cuda);
    EXPECT_FALSE(facts.is_here());
    for (const double rate : {facts.f32_macs_per_us, facts.f64_macs_per_us, facts.bytes_per_us,
                              facts.f16_tensor_macs_per_us, facts.tf32_tensor_macs_per_us}) {
      EXPECT_GT(rate, 1e5) << name;
    }
    EXPECT_GT(facts.f16_tensor_macs_per_us, facts.f32_macs_per_us) << name;
    if (facts.sm < 80) {
      EXPECT_EQ(facts.tf32_tensor_macs_per_us, facts.f32_macs_per_us) << name << " has no TF32";
    } else {
      EXPECT_EQ(std::lround(facts.f16_tensor_macs_per_us / facts.tf32_tensor_macs_per_us), 2)
          << name;
    }
    EXPECT_GE(facts.l2_bytes, 4 << 20) << name;
    EXPECT_GE(facts.memory_bytes, 16'000'000'000) << name;
    EXPECT_TRUE(has(facts.rates_from, "NVIDIA")) << name;
  }
}

// CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
TEST(DeviceModels, HaveTheSharedMemoryOfTheirComputeCapability) {
  const auto expect = [](const char* name, int sm, int64_t core_kb, int64_t block_kb, int threads) {
    const DeviceFacts facts = device_model(name);
    EXPECT_EQ(facts.sm, sm) << name;
    EXPECT_EQ(facts.shared_bytes_per_core, core_kb << 10) << name;
    EXPECT_EQ(facts.shared_bytes_per_block, block_kb << 10) << name;
    EXPECT_EQ(facts.threads_per_core, threads) << name;
  };
  expect("t4", 75, 64, 64, 1024);
  expect("a100", 80, 164, 163, 2048);
  expect("a10", 86, 100, 99, 1536);
  expect("l4", 89, 100, 99, 1536);
  expect("rtx4090", 89, 100, 99, 1536);
  expect("h100", 90, 228, 227, 2048);
  expect("h200", 90, 228, 227, 2048);
  expect("b200", 100, 228, 227, 2048);
  expect("rtx5090", 120, 100, 99, 1536);
  expect("gb10", 121, 100, 99, 1536);
}

TEST(DeviceModels, AreUnusableWhereNoBuildHasCode) {
  for (const char* name : kNames) {
    const DeviceFacts facts = device_model(name);
    EXPECT_EQ(facts.unusable.empty(), facts.sm >= 80) << name << ": " << facts.unusable;
    const File file(list_devices({facts}, "", true));
    EXPECT_EQ(device_model(file.path()).unusable, facts.unusable) << name;
  }
  EXPECT_EQ(device_model("t4").unusable,
            "tconv has no code for GPUs before sm_80, and the GPU is sm_75");
}

// A data sheet's f32 rate is its SMs at the boost clock: a slip in either shows.
TEST(DeviceModels, F32RatesFollowFromSmsAndClocks) {
  for (const char* name : kNames) {
    DeviceFacts facts = device_model(name);
    const double stated = facts.f32_macs_per_us;
    facts.name = "unknown";
    set_model_rates(facts);
    EXPECT_NEAR(facts.f32_macs_per_us / stated, 1, 0.01) << name;
    EXPECT_EQ(facts.rates_from, kScaled);
  }
}

// So do the other rates, but for the lower clock of tensor cores in an H100 (1830 of 1980 MHz) and
// a B200 (1856 of 1965 MHz).
TEST(DeviceModels, OtherRatesFollowToo) {
  for (const char* name : kNames) {
    const DeviceFacts stated = device_model(name);
    DeviceFacts facts = stated;
    facts.name = std::string(name).starts_with("rtx") ? "GeForce" : "unknown";
    set_model_rates(facts);
    EXPECT_NEAR(facts.f64_macs_per_us / stated.f64_macs_per_us, 1, 0.01) << name;
    const double expected = stated.sm == 90 ? 1980.0 / 1830 : stated.sm == 100 ? 1965.0 / 1856 : 1;
    EXPECT_NEAR(facts.f16_tensor_macs_per_us / stated.f16_tensor_macs_per_us / expected, 1, 0.01)
        << name;
    EXPECT_NEAR(facts.tf32_tensor_macs_per_us / stated.tf32_tensor_macs_per_us / expected, 1, 0.02)
        << name;
  }
}

DeviceFacts as_found(const char* name, int sm, int cores, double bandwidth = 0) {
  DeviceFacts facts;
  facts.kind = DeviceKind::cuda;
  facts.name = name;
  facts.sm = sm;
  facts.cores = cores;
  facts.clock_mhz = 1000;
  facts.bytes_per_us = bandwidth;
  facts.l2_bytes = 8 << 20;
  facts.shared_bytes_per_core = 100 << 10;
  facts.shared_bytes_per_block = 99 << 10;
  facts.threads_per_core = 1536;
  set_model_rates(facts);
  return facts;
}

TEST(DeviceModels, AGpuOfTheTableGetsItsRates) {
  EXPECT_EQ(as_found("NVIDIA H100 80GB HBM3", 90, 132).f16_tensor_macs_per_us,
            device_model("h100").f16_tensor_macs_per_us);
  EXPECT_EQ(as_found("NVIDIA A100-SXM4-80GB", 80, 108).f32_macs_per_us,
            device_model("a100").f32_macs_per_us);
  EXPECT_EQ(as_found("NVIDIA GeForce RTX 4090", 89, 128).bytes_per_us,
            device_model("rtx4090").bytes_per_us);
  EXPECT_EQ(as_found("NVIDIA L4", 89, 58, 123456).bytes_per_us, 123456) << "what is known is kept";
}

TEST(DeviceModels, ARelativeDoesNot) {
  EXPECT_EQ(as_found("NVIDIA L40S", 89, 142).rates_from, kScaled);
  EXPECT_EQ(as_found("NVIDIA H100 PCIe", 90, 114).rates_from, kScaled);
  EXPECT_EQ(as_found("NVIDIA GB200", 100, 148).rates_from, kScaled);
  const DeviceFacts newer = as_found("NVIDIA B300", 103, 160);
  EXPECT_EQ(newer.rates_from, kScaled);
  EXPECT_EQ(newer.f32_macs_per_us, 160.0 * 1000 * 128);
  EXPECT_GT(newer.bytes_per_us, 0);
}

// f16 products with f32 sums, and TF32; by the white papers and data sheets.
TEST(DeviceModels, AGeForceSumsInF32AtHalfTheRate) {
  const auto teraflops = [](const char* name, int sm, int cores, double mhz) {
    DeviceFacts facts = as_found(name, sm, cores);
    facts.clock_mhz = mhz;
    set_model_rates(facts);
    EXPECT_EQ(std::lround(facts.f16_tensor_macs_per_us / facts.tf32_tensor_macs_per_us), 2) << name;
    EXPECT_EQ(facts.f32_macs_per_us, mhz * cores * 128) << name;
    return 2e-6 * facts.f16_tensor_macs_per_us;
  };
  EXPECT_NEAR(teraflops("NVIDIA GeForce RTX 3090", 86, 82, 1695), 71, 0.5);
  EXPECT_NEAR(teraflops("NVIDIA GeForce RTX 4080", 89, 76, 2505), 97.5, 0.5);
  EXPECT_NEAR(teraflops("NVIDIA GeForce RTX 5080", 120, 84, 2617), 112.6, 0.5);
  EXPECT_NEAR(teraflops("NVIDIA A10G", 86, 80, 1710), 70, 0.5);
  EXPECT_NEAR(teraflops("NVIDIA L40", 89, 142, 2490), 181, 0.5);
  // The same chips, sold for workstations and data centres.
  EXPECT_NEAR(teraflops("NVIDIA A40", 86, 84, 1740), 149.7, 0.5);
  EXPECT_NEAR(teraflops("NVIDIA RTX A6000", 86, 84, 1800), 154.8, 0.5);
  EXPECT_NEAR(teraflops("NVIDIA L40S", 89, 142, 2520), 366, 1);
  EXPECT_NEAR(teraflops("NVIDIA RTX 6000 Ada Generation", 89, 142, 2505), 364, 1);
  EXPECT_NEAR(teraflops("NVIDIA RTX PRO 6000 Blackwell", 120, 188, 2617), 503.8, 1);
  EXPECT_TRUE(has(as_found("NVIDIA GeForce RTX 3090", 86, 82).rates_from, "half rate"));
  // With other SMs than the table's, though of its name.
  const DeviceFacts laptop = as_found("NVIDIA GeForce RTX 4090 Laptop GPU", 89, 76);
  EXPECT_EQ(laptop.f16_tensor_macs_per_us, 76.0 * 1000 * 256);
}

// A virtual GPU tells neither its clock nor its memory's.
TEST(DeviceModels, WhatAGpuDoesNotTellIsAssumedAndStated) {
  DeviceFacts facts;
  facts.kind = DeviceKind::cuda;
  facts.ordinal = 0;
  facts.name = "GRID of tomorrow";
  facts.sm = 90;
  facts.memory_bytes = 1 << 30;
  facts.cores = 0, facts.bytes_per_us = 0;
  set_model_rates(facts);
  EXPECT_EQ(facts.rates_from, std::string(kScaled) +
                                  "; assumed, for the GPU does not tell: cores 1, clock_mhz 1500, "
                                  "l2_bytes 4194304, shared_bytes_per_core 233472, "
                                  "shared_bytes_per_block 232448, threads_per_core 2048");
  // The reader takes no fact that is 0.
  const File file(list_devices({facts}, "", true));
  DeviceFacts read = device_model(file.path());
  read.ordinal = 0;
  EXPECT_EQ(read, facts);

  DeviceFacts known = device_model("a10");
  known.name = "NVIDIA A10-24Q";
  known.clock_mhz = known.bytes_per_us = 0;
  known.l2_bytes = 0;
  set_model_rates(known);
  EXPECT_EQ(known.clock_mhz, 1695);
  EXPECT_EQ(known.bytes_per_us, device_model("a10").bytes_per_us);
  EXPECT_EQ(known.l2_bytes, device_model("a10").l2_bytes);
  EXPECT_TRUE(has(known.rates_from, device_model("a10").rates_from + "; assumed"))
      << known.rates_from;
  EXPECT_TRUE(has(known.rates_from, "clock_mhz 1695")) << known.rates_from;
}

TEST(DeviceModels, TheListOfDevicesCanBeFedBack) {
  DeviceFacts cpu;
  cpu.name = "a CPU";
  DeviceFacts first = device_model("h200"), second = device_model("l4");
  first.ordinal = 0, second.ordinal = 1;
  first.name = "NVIDIA \"H200\"";
  first.cudnn_properties = "{\"sm\": 90}";
  const std::string text = list_devices({first, second, cpu}, "", true);
  const File file(text);
  DeviceFacts read = device_model(file.path());
  EXPECT_FALSE(read.is_here());
  read.ordinal = 0;
  EXPECT_EQ(read, first);

  const json list = json::parse(text);
  EXPECT_EQ(list["devices"].size(), 3U);
  EXPECT_EQ(list["cuda"], "");
  for (const char* field :
       {"device", "name", "cores", "model_f32_macs_per_us", "model_bytes_per_us"}) {
    EXPECT_TRUE(list["devices"][2].contains(field)) << field;
  }
  EXPECT_FALSE(list["devices"][2].contains("sm"));
  EXPECT_TRUE(has(list_devices({cpu}, "no driver", false), "cuda  none: no driver"));
  EXPECT_FALSE(json::parse(list_devices({cpu}, "no driver", true)).contains("gpu_not_used"));
  EXPECT_EQ(json::parse(list_devices({cpu}, "old", true, true))["gpu_not_used"], "old");
}

void expect_refused(const std::string& text, const std::string& words) {
  const File file(text);
  try {
    device_model(file.path());
    ADD_FAILURE() << "took " << text;
  } catch (const InvalidProblem& e) {
    EXPECT_NE(std::string(e.what()).find(words), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find(file.path()), std::string::npos) << e.what();
  }
}

TEST(DeviceModels, ABrokenFileIsRefusedByFieldAndValue) {
  expect_refused("{\"devices\": [", "is not JSON");
  expect_refused("{\"devices\": [1e999]}", "out_of_range");
  expect_refused(std::string(1 << 20, '['), "is not JSON");
  expect_refused("[]", "no list `devices`");
  expect_refused("{\"devices\": 3}", "no list `devices`");
  expect_refused("{\"devices\": [{\"device\": \"cpu\"}, 7]}", "none of its devices is `cuda`");
  expect_refused(std::string(2 << 20, ' '), "more than");
  const json good = json::parse(list_devices({device_model("h200")}, "", true));
  const auto expect_field = [&](const char* field, const json& value, const std::string& words) {
    json bad = good;
    bad["devices"][0][field] = value;
    expect_refused(bad.dump(), words);
  };
  expect_field("sm", -3, "sm = -3, but it must be a whole number from 1");
  expect_field("sm", 9.5, "sm = 9.5");
  expect_field("cores", 1LL << 40, "cores = 1099511627776");
  expect_field("model_bytes_per_us", 0, "model_bytes_per_us = 0, but it must be a number above 0");
  expect_field("clock_mhz", "fast", "clock_mhz = fast");
  expect_field("name", 7, "name = 7, but it must be a text");
  for (const auto& [field, value] : good["devices"][0].items()) {
    if (field == "device" || field == "ordinal") continue;
    json bad = good;
    bad["devices"][0].erase(field);
    expect_refused(bad.dump(), field + " = missing");
  }
}

TEST(DeviceModels, AnUnknownNameListsTheKnownOnes) {
  for (const char* name : {"h300", "", "H200", "/no/such/file", "."}) {
    try {
      device_model(name);
      ADD_FAILURE() << "took " << name;
    } catch (const InvalidProblem& e) {
      EXPECT_NE(std::string(e.what()).find("h200, h100, a100, l4, rtx4090, rtx5090"),
                std::string::npos);
    }
  }
}

}  // namespace
}  // namespace tconv::test
