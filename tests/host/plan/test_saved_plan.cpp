// SPDX-License-Identifier: Apache-2.0
// test_saved_plan.cpp: plans written down and read back: the same decision, or a refusal that names
// each field that differs.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "src/host/plan/saved_plan.h"
#include "src/host/problem/errors.h"
#include "tconv/tconv_c.h"
#include "tests/support/fake_gpu.h"
#include "tests/support/fake_kernels.h"
#include "tests/support/fake_rows.h"
#include "tests/support/support.h"

namespace tconv::test {
namespace {

using Json = nlohmann::ordered_json;

Problem a_problem() {
  ProblemDesc d;
  d.name = "decoder.3";
  d.batch = 2, d.in_c = 40, d.out_c = 24;
  d.h = d.w = {.in = 5, .kernel = 4, .stride = 2, .pad_begin = 1, .out = 10};
  return Problem(d);
}

/// What loading says of `text`; "" if it gives a plan.
std::string said_of(const std::string& text,
                    std::span<const Kernel* const> table = kernel_table()) {
  try {
    (void)load_plan(text, {}, table);
    return "";
  } catch (const Unsupported& e) {
    return std::string("stale: ") + e.what();
  } catch (const InvalidProblem& e) {
    return std::string("invalid: ") + e.what();
  }
}

TEST(SavedPlan, GivesTheSameDecisionBack) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 200; ++i) {
    const Problem problem(random_desc(random));
    Options options = {.device = DeviceKind::cpu,
                       .deterministic = random() % 2 == 0,
                       .prepacked_filters = random() % 2 == 0,
                       .threads = static_cast<int>(random() % 3)};
    if (random() % 4 == 0) options.workspace_limit = int64_t{1} << 40;
    const Plan made = make_plan(problem, options);
    const Plan loaded = load_plan(save(made), {});
    EXPECT_EQ(loaded.problem().key(), problem.key());
    EXPECT_EQ(loaded.problem().name(), problem.name());
    EXPECT_EQ(&loaded.kernel(), &made.kernel());
    EXPECT_STREQ(loaded.tile(), made.tile());
    EXPECT_EQ(loaded.workspace_bytes(), made.workspace_bytes());
    EXPECT_EQ(loaded.options().workspace_limit, options.workspace_limit);
    EXPECT_EQ(loaded.options().deterministic, options.deterministic);
    EXPECT_EQ(save(loaded), save(made)) << "and can be saved again";
  }
}

TEST(SavedPlan, TakesLogAndThreadsFromTheCaller) {
  const std::string text = save(make_plan(a_problem(), {.device = DeviceKind::cpu}));
  int user = 0;
  Options callbacks;
  callbacks.callers_threads.user = &user;
  callbacks.log = [](const std::string&) {};
  const Plan plan = load_plan(text, callbacks);
  EXPECT_EQ(plan.options().callers_threads.user, &user);
  EXPECT_TRUE(static_cast<bool>(plan.options().log));
}

TEST(SavedPlan, IsStaleByField) {
  const Json saved = Json::parse(
      save(make_plan(a_problem(), {.device = DeviceKind::cpu, .kernels = {"reference"}})));
  ASSERT_EQ(said_of(saved.dump()), "");
  const auto with = [&](const char* field, const Json& value) {
    Json json = saved;
    json[field] = value;
    return said_of(json.dump());
  };
  const auto has = [](const std::string& said, const std::string& words) {
    EXPECT_EQ(said.find("stale: the saved plan for "), 0U) << said;
    EXPECT_NE(said.find("\n  " + words), std::string::npos) << said;
  };
  has(with("tconv_plan", 2), "tconv_plan: saved 2, here 1");
  has(with("version", "0.0.9"), "version: saved \"0.0.9\", here \"" + std::string(tconv_version()));
  has(with("kernel", "gone"), "kernel: saved \"gone\"");
  has(with("tile", "gone"), "tile: saved \"gone\"");
  has(with("workspace_bytes", 512), "workspace_bytes: saved 512, here 0");
  has(with("packed_filter_bytes", 512), "packed_filter_bytes: saved 512, here 0");
  has(with("vendor", "cuDNN 9.9.9"), "vendor: saved \"cuDNN 9.9.9\", here null");
  Json cores = saved;
  cores["device"]["cores"] = 4000;
  has(said_of(cores.dump()), "device.cores: saved 4000, here ");
  cores["version"] = "7";
  has(said_of(cores.dump()), "version: saved \"7\"");
  has(said_of(cores.dump()), "device.cores: ");
}

TEST(SavedPlan, BelongsToItsGpu) {
  const Kernel* table[] = {&rows::kFake};
  std::string text;
  {
    FakeGpu a100("a100", 2);
    a100.current = 1;
    const Plan made = make_plan(a_problem(), {}, table);
    text = save(made);
    const Plan loaded = load_plan(text, {}, table);
    EXPECT_EQ(loaded.device().ordinal, 1);
    EXPECT_EQ(loaded.device(), made.device());
    a100.current = 0;  // another of the same kind will do
    EXPECT_EQ(load_plan(text, {}, table).device().ordinal, 0);
  }
  {
    const FakeGpu h100("h100", 1);
    const std::string said = said_of(text, table);
    for (const char* field :
         {"device.name: saved \"fake a100\", here \"fake h100\"", "device.sm: saved 80, here 90",
          "device.cores: saved 108, here 132"}) {
      EXPECT_NE(said.find(field), std::string::npos) << said;
    }
    EXPECT_EQ(said.find("ordinal"), std::string::npos) << said;
  }
  FakeGpu none("a100", 1);
  none.absent = "no driver";
  EXPECT_NE(said_of(text, table).find("device: no device cuda: no driver"), std::string::npos)
      << said_of(text, table);
}

/// A vendor's library: what it proposes for a problem, and its version.
std::string proposed, vendor;
std::shared_ptr<const KernelState> vendors_choice(const Problem&, int, const Options& options,
                                                  const DeviceFacts&) {
  if (!options.tile.empty() && options.tile != proposed) {
    throw Unsupported("the heuristics propose no " + options.tile);
  }
  auto state = std::make_shared<FakeState>();
  state->tile_name = proposed;
  state->vendor = vendor;
  return state;
}

TEST(SavedPlan, HoldsAVendorsEngineKnobsAndVersion) {
  Kernel row = fake("vendor", takes_all, vendors_choice);
  row.proposed_tiles = "engine";
  row.proposals = [](const Problem&, const Options&, const DeviceFacts&, bool) {
    return std::vector<Proposal>{{.tile = proposed}};
  };
  const Kernel* table[] = {&row};
  proposed = "engine4_k2=7+repack", vendor = "lib 9.1.0";
  const std::string text = save(make_plan(a_problem(), {.device = DeviceKind::cpu}, table));
  EXPECT_EQ(Json::parse(text)["tile"], proposed);
  EXPECT_STREQ(load_plan(text, {}, table).tile(), "engine4_k2=7+repack");
  vendor = "lib 9.2.0";
  EXPECT_NE(said_of(text, table).find("vendor: saved \"lib 9.1.0\", here \"lib 9.2.0\""),
            std::string::npos)
      << said_of(text, table);
  proposed = "engine5";
  EXPECT_NE(said_of(text, table).find("tile: "), std::string::npos);
  EXPECT_NE(said_of(text, table).find("propose no engine4_k2=7+repack"), std::string::npos)
      << said_of(text, table);
}

TEST(SavedPlan, OfADeviceModelIsForTheModel) {
  const Kernel* table[] = {&rows::kFake};
  const std::string text = save(make_plan(a_problem(), {.device_model = "h200"}, table));
  const Plan loaded = load_plan(text, {}, table);
  EXPECT_FALSE(loaded.device().is_here());
  EXPECT_EQ(loaded.device().name, "h200 (model)");
}

// A file that somebody edited, or a disk that lies: a plan or a refusal, never anything else.
TEST(SavedPlan, SurvivesAnyChangeOfItsText) {
  const std::string text = save(make_plan(a_problem(), {.device = DeviceKind::cpu}));
  std::mt19937_64 random(9);
  int refused = 0;
  for (int i = 0; i < enumeration(20000, 2000); ++i) {
    std::string changed = text;
    const std::size_t at = random() % changed.size();
    switch (random() % 4) {
      case 0: changed[at] = static_cast<char>(random() % 256); break;
      case 1: changed.erase(at, 1 + random() % 40); break;
      case 2: changed.insert(at, text.substr(random() % text.size(), random() % 40)); break;
      default: changed.insert(at, std::string(1 + random() % 20, "0123456789"[random() % 10]));
    }
    refused += said_of(changed).empty() ? 0 : 1;
  }
  EXPECT_GE(refused, enumeration(20000, 2000) / 2);
}

TEST(SavedPlan, RefusesWhatIsNone) {
  const Json saved = Json::parse(save(make_plan(a_problem(), {.device = DeviceKind::cpu})));
  const auto refuses = [](const std::string& text, const std::string& words) {
    const std::string said = said_of(text);
    EXPECT_EQ(said.find("invalid: "), 0U) << said;
    EXPECT_NE(said.find(words), std::string::npos) << said;
  };
  refuses("", "it is not JSON");
  refuses("{", "it is not JSON");
  refuses("[1]", "no field tconv_plan");
  for (const auto& [field, value] : saved.items()) {
    if (field == "version") continue;  // whose absence is a difference
    Json json = saved;
    json.erase(field);
    refuses(json.dump(), field == "tconv_plan" ? "no field tconv_plan" : field + " is missing");
    json = saved;
    json[field] = Json::array();
    if (field != "tconv_plan") {
      refuses(json.dump(), field == "options"  ? "workspace_limit is missing"
                           : field == "device" ? "device is missing"
                                               : field + " is []");
    }
  }
  for (const auto& [option, value] : saved["options"].items()) {
    Json json = saved;
    json["options"][option] = Json::object();
    refuses(json.dump(), option + " is {}");
  }
  Json json = saved;
  json["options"]["math"] = 7;
  refuses(json.dump(), "math is 7");
  json = saved;
  json["key"] = "f32:nhwc";
  EXPECT_EQ(said_of(json.dump()).find("invalid: "), 0U);
}

}  // namespace
}  // namespace tconv::test
