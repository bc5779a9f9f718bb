// SPDX-License-Identifier: Apache-2.0
// shared_options.h: the options that several commands have. With program.cpp all that compiles
// CLI11.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <string>

#include "src/cli/arguments.h"

namespace tconv::cli {

// The groups of options in the help.
inline constexpr const char* kProblem = "Problem";
inline constexpr const char* kTensorFlow = "Problem, --convention tensorflow (the default)";
inline constexpr const char* kPyTorch = "Problem, --convention pytorch";
inline constexpr const char* kOnnx = "Problem, --convention onnx";
inline constexpr const char* kChoice = "Choice of the row";
inline constexpr const char* kSuite = "Whole suite instead of one problem";
inline constexpr const char* kData = "Generated data";
inline constexpr const char* kOwn = "Options";
inline constexpr std::size_t kColumn = 36;  // where descriptions begin

/// Broken at spaces, besides where it is, so that it fits the line behind kColumn.
std::string wrapped(const std::string& description);

/// Options of one command, added with fewer words.
class Options {
 public:
  explicit Options(CLI::App& app) : app_(app) {}

  Options& group(const char* name) {
    group_ = name;
    return *this;
  }
  /// An option with a value that is kept as text.
  CLI::Option* text(const char* name, Typed& target, const char* value, const char* description) {
    const auto keep = [&target](const CLI::results_t& values) {
      target = values.empty() ? "" : values.back();
      return true;
    };
    return app_.add_option(name, keep, wrapped(description))->type_name(value)->group(group_);
  }
  /// The same, and the value may be left out.
  void optional_text(const char* name, Typed& target, const char* value, const char* description) {
    text(name, target, value, description)->expected(0, 1);
  }
  CLI::Option* flag(const char* name, bool& target, const char* description) {
    return app_.add_flag(name, target, wrapped(description))->group(group_);
  }

 private:
  CLI::App& app_;
  const char* group_ = kOwn;
};

/// <problem>; `generated`: bias and residual need no file.
void add_problem(CLI::App& app, ProblemArgs& args, bool generated);
void add_choice(CLI::App& app, ChoiceArgs& args);
void add_data(CLI::App& app, DataArgs& args);
void add_suite(CLI::App& app, SuiteArgs& args);

}  // namespace tconv::cli
