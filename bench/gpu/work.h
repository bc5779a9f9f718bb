// SPDX-License-Identifier: Apache-2.0
// work.h: what the benchmark on a GPU measures, in which order, and how long it may take. Plain
// logic: the same list with and without a GPU.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/host/problem/problem.h"

namespace tconv::bench {

enum class Part { ceilings, first, plans, rest };
inline constexpr const char* kPartNames[] = {"ceilings", "first", "plans", "rest"};

/// A layer of the suite in one type, one layout and one batch.
struct Layer {
  std::string name;       ///< the suite's row
  std::string batch;      ///< infer or large
  std::string structure;  ///< of a named row: the structural class that it stands for; else empty
  host::Problem problem;
};

/// A piece of work that is begun and ended in the results. Of `ceilings` there is one.
struct Unit {
  Part part = Part::ceilings;
  const Layer* layer = nullptr;
  double seconds = 0;  ///< estimated
  std::string id() const;
};

/// One structural class of layers and the suite's row that stands for it.
struct NamedRow {
  const char *name, *structure;
};
/// Twenty of them: every plan of cuDNN is measured on these before any other row.
const std::vector<NamedRow>& named_rows();

/// All layers: f16 before f32, NHWC before NCHW, batch infer before large, named rows first.
/// Layers with one key are one layer. `match` is an extended regular expression, found anywhere in
/// the name, case ignored.
std::vector<Layer> load_layers(const std::string& match);

/// The units of `layers`, the most valuable first: the ceilings; for each type, layout and batch
/// the first three proposals everywhere, then every proposal on the named rows; at the end every
/// proposal everywhere.
std::vector<Unit> make_work(const std::vector<Layer>& layers);

// ---- Estimates, by the model of an H200: of the order of magnitude, not for quoting. ------------

/// How many proposals of cuDNN's a unit times, by experience with its lists: not known before.
int expected_proposals(const Unit& unit);
struct ExpectedTimes {
  double setup_s = 0;  ///< of the unit: data, gather's result, the reference's sample
  double gather_s[2] = {}, plan_s[2] = {};  ///< of gather and of one proposal: cold, warm
};
ExpectedTimes expected_times(const Layer& layer);

}  // namespace tconv::bench
