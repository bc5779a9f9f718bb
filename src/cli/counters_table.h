// SPDX-License-Identifier: Apache-2.0
// counters_table.h: what plans predict, a line a plan, and the means of a suite.
#pragma once

#include <string>
#include <vector>

#include "src/cli/record.h"

namespace tconv::cli {

class CountersTable {
 public:
  static std::string heading();
  /// The line of one plan; `counters` is the JSON of tconv_plan_counters.
  std::string add(const std::string& name, const Record& counters);
  /// Geometric means: multiply-adds issued over useful where arithmetic bounds a roofline of more
  /// than 5 us; elsewhere the time of what L2 moves over the roofline.
  std::string means() const;

 private:
  std::vector<double> issued_over_useful_, l2_over_roofline_;
};

}  // namespace tconv::cli
