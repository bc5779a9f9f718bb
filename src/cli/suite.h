// SPDX-License-Identifier: Apache-2.0
// suite.h: many problems at once, from a table of real networks' layers.
#pragma once

#include <string>
#include <vector>

#include "src/cli/arguments.h"
#include "src/cli/problem_options.h"

namespace tconv::cli {

/// A layer: its name ("network / layer") and what it computes.
struct SuiteRow {
  std::string name;
  tconv_problem_desc desc{};

  Request request() const;
};

/// The rows of --suite (`core`, which is built in, or a CSV file with its columns) that --match
/// selects, with the types, bias, residual and activation of `problem` on top.
std::vector<SuiteRow> load_suite(const SuiteArgs& suite, const ProblemArgs& problem);

/// The suite, or the one problem of the options.
std::vector<Request> make_requests(const SuiteArgs& suite, const ProblemArgs& problem);

}  // namespace tconv::cli
