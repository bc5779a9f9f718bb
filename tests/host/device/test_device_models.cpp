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

const char* const kNames[] = {"h200", "h100", "a100", "l4", "rtx4090"};

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
    EXPECT_EQ(std::lround(facts.f16_tensor_macs_per_us / facts.tf32_tensor_macs_per_us), 2) << name;
    EXPECT_GE(facts.l2_bytes, 40 << 20) << name;
    EXPECT_GE(facts.memory_bytes, 24'000'000'000) << name;
    EXPECT_GE(facts.shared_bytes_per_block, 99 << 10) << name;
    EXPECT_NE(facts.rates_from.find("NVIDIA"), std::string::npos) << name;
  }
}

// A data sheet's f32 rate is its SMs at the boost clock: a slip in either shows.
TEST(DeviceModels, F32RatesFollowFromSmsAndClocks) {
  for (const char* name : kNames) {
    DeviceFacts facts = device_model(name);
    const double stated = facts.f32_macs_per_us;
    facts.name = "unknown";
    set_model_rates(facts);
    EXPECT_NEAR(facts.f32_macs_per_us / stated, 1, 0.01) << name;
    EXPECT_EQ(facts.rates_from, "scaled from clock and SMs");
  }
}

// So do the other rates, but for the H100's lower clock of tensor cores (1830 of 1980 MHz) and the
// half rate of f32 sums in a GeForce.
TEST(DeviceModels, OtherRatesFollowToo) {
  for (const char* name : kNames) {
    const DeviceFacts stated = device_model(name);
    DeviceFacts facts = stated;
    facts.name = "unknown";
    set_model_rates(facts);
    EXPECT_NEAR(facts.f64_macs_per_us / stated.f64_macs_per_us, 1, 0.01) << name;
    const double expected = stated.sm == 90                  ? 1980.0 / 1830
                            : name == std::string("rtx4090") ? 2
                                                             : 1;
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
  const char* scaled = "scaled from clock and SMs";
  EXPECT_EQ(as_found("NVIDIA L40", 89, 142).rates_from, scaled);
  EXPECT_EQ(as_found("NVIDIA H100 PCIe", 90, 114).rates_from, scaled);
  const DeviceFacts newer = as_found("NVIDIA B200", 100, 148);
  EXPECT_EQ(newer.rates_from, scaled);
  EXPECT_EQ(newer.f32_macs_per_us, 148.0 * 1000 * 128);
  EXPECT_GT(newer.bytes_per_us, 0);
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
  EXPECT_NE(list_devices({cpu}, "no driver", false).find("cuda  none: no driver"),
            std::string::npos);
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
      EXPECT_NE(std::string(e.what()).find("h200, h100, a100, l4, rtx4090"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace tconv::test
