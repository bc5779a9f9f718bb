// SPDX-License-Identifier: Apache-2.0
// test_bench_work.cpp: what the benchmark on a GPU measures, and in which order.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "bench/gpu/work.h"

namespace tconv::bench {
namespace {

using host::DType;
using host::Layout;
using host::name_of;

TEST(NamedRows, AreTwentyRowsOfTheSuiteAndOfAsManyStructures) {
  const std::vector<Layer> layers = load_layers("");
  std::set<std::string> names, structures;
  for (const NamedRow& row : named_rows()) {
    names.insert(row.name), structures.insert(row.structure);
    const auto has_name = [&](const Layer& layer) { return layer.name == row.name; };
    EXPECT_TRUE(std::ranges::any_of(layers, has_name)) << row.name;
  }
  EXPECT_EQ(named_rows().size(), 20u);
  EXPECT_EQ(names.size(), 20u);
  EXPECT_EQ(structures.size(), 20u);
}

TEST(Layers, AreTheWholeSuiteInEveryTypeLayoutAndBatch) {
  std::map<std::string, std::set<std::string>> names;
  std::set<std::string> keys;
  for (const Layer& layer : load_layers("")) {
    const host::ProblemDesc& d = layer.problem.desc();
    keys.insert(layer.problem.key());
    names[name_of(d.dtype) + std::string(" ") + name_of(d.layout)].insert(layer.name);
  }
  EXPECT_EQ(keys.size(), load_layers("").size()) << "a key is measured once";
  EXPECT_EQ(names.size(), 4u);
  for (const auto& [setting, rows] : names) EXPECT_EQ(rows.size(), 106u) << setting;
}

TEST(Layers, BeginWithTheMostValuable) {
  const std::vector<Layer> layers = load_layers("");
  EXPECT_EQ(layers[0].problem.desc().dtype, DType::f16);
  EXPECT_EQ(layers[0].problem.desc().layout, Layout::nhwc);
  EXPECT_EQ(layers[0].batch, "infer");
  for (std::size_t i = 0; i < 20; ++i) EXPECT_NE(layers[i].structure, "") << layers[i].name;
  EXPECT_EQ(layers[20].structure, "");
  EXPECT_EQ(layers.back().problem.desc().dtype, DType::f32);
  EXPECT_EQ(layers.back().problem.desc().layout, Layout::nchw);
  EXPECT_EQ(layers.back().batch, "large");
  for (const Layer& layer : load_layers("^DCGAN .64px. / MAIN.3$")) {
    EXPECT_EQ(layer.name, "DCGAN (64px) / main.3");
  }
}

TEST(Work, HasEveryLayerOnceInFirstAndOnceInPlansOrRest) {
  const std::vector<Layer> layers = load_layers("");
  const std::vector<Unit> work = make_work(layers);
  std::map<const Layer*, std::multiset<Part>> parts;
  std::set<std::string> ids;
  bool rest = false;
  for (const Unit& unit : work) {
    EXPECT_GT(unit.seconds, 0);
    EXPECT_TRUE(ids.insert(unit.id()).second) << unit.id();
    if (unit.layer != nullptr) parts[unit.layer].insert(unit.part);
    rest = rest || unit.part == Part::rest;
    EXPECT_EQ(rest, unit.part == Part::rest) << "rest comes last";
  }
  EXPECT_EQ(work[0].part, Part::ceilings);
  EXPECT_EQ(parts.size(), layers.size());
  for (const auto& [layer, set] : parts) {
    const Part second = layer->structure.empty() ? Part::rest : Part::plans;
    EXPECT_EQ(set, (std::multiset<Part>{Part::first, second})) << layer->name;
  }
}

TEST(Work, MeasuresEveryPlanOfTheNamedRowsBeforeTheNextSetting) {
  const std::vector<Layer> layers = load_layers("");
  const std::vector<Unit> work = make_work(layers);
  const auto plans =
      std::ranges::find_if(work, [](const Unit& u) { return u.part == Part::plans; });
  EXPECT_EQ(plans->layer, &layers[0]);
  EXPECT_EQ(plans - work.begin(), 1 + 106) << "after the first setting's 106 layers";
}

}  // namespace
}  // namespace tconv::bench
