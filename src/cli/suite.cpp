// SPDX-License-Identifier: Apache-2.0
// suite.cpp: see suite.h.
#include "src/cli/suite.h"

#include <regex.h>
#include <tconv/printable.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <memory>

#include "src/cli/text.h"

namespace tconv::cli {

extern const char* const kCoreSuite;  // bench/suites/core.csv, embedded by the build

namespace {

/// One line of CSV; a field may be in double quotes, and then a double quote in it is doubled.
std::vector<std::string> split_csv(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') {
      if (quoted && i + 1 < line.size() && line[i + 1] == '"') {
        fields.back() += line[++i];
      } else {
        quoted = !quoted;
      }
    } else if (line[i] == ',' && !quoted) {
      fields.emplace_back();
    } else if (line[i] != '\r') {
      fields.back() += line[i];
    }
  }
  return fields;
}

class Table {
 public:
  Table(std::string name, const std::string& text) : name_(std::move(name)) {
    for (const std::string& line : split(text, '\n')) {
      ++line_number_;
      if (line.empty() || line == "\r") continue;
      fields_ = split_csv(line);
      if (columns_.empty()) {
        columns_ = fields_;
      } else {
        lines_.emplace_back(line_number_, fields_);
      }
    }
  }

  std::size_t size() const { return lines_.size(); }
  void select(std::size_t row) { line_number_ = lines_[row].first, fields_ = lines_[row].second; }

  const std::string& text(const std::string& column) const {
    const auto found = std::find(columns_.begin(), columns_.end(), column);
    const auto index = static_cast<std::size_t>(found - columns_.begin());
    if (index >= columns_.size()) refuse(where() + " has no column " + column);
    if (index >= fields_.size()) refuse(where() + " ends before the column " + column);
    return fields_[index];
  }
  int64_t number(const std::string& column) const {
    return parse_integer(where() + ", " + column, text(column), INT64_MIN, INT64_MAX);
  }

 private:
  std::string where() const { return name_ + ", line " + std::to_string(line_number_); }
  std::string name_;
  std::size_t line_number_ = 0;
  std::vector<std::string> columns_, fields_;
  std::vector<std::pair<std::size_t, std::vector<std::string>>> lines_;
};

/// The columns of one axis; sizes that do not fit are left to the Problem to refuse.
tconv_axis read_axis(const Table& table, const char* axis, const char* begin, const char* end) {
  const auto number = [&](const char* column) { return table.number(column + std::string(axis)); };
  tconv_axis result{};
  result.in = number("in_");
  result.kernel = number("kernel_");
  result.stride = number("stride_");
  result.dilation = number("dilation_");
  result.pad_begin = table.number(begin);
  const auto wide = [](int64_t x) { return static_cast<__int128>(x); };
  const __int128 out = (wide(result.in) - 1) * result.stride +
                       (wide(result.kernel) - 1) * result.dilation + 1 - result.pad_begin -
                       table.number(end) + number("out_pad_");
  result.out = static_cast<int64_t>(std::clamp<__int128>(out, INT64_MIN, INT64_MAX));
  return result;
}

SuiteRow read_row(const Table& table, const char* batch_column) {
  SuiteRow row;
  row.name = printable(table.text("network") + " / " + table.text("layer"));
  row.desc = sized<tconv_problem_desc>();
  row.desc.batch = table.number(batch_column);
  row.desc.in_c = table.number("in_c");
  row.desc.out_c = table.number("out_c");
  row.desc.groups = table.number("groups");
  row.desc.h = read_axis(table, "h", "pad_top", "pad_bottom");
  row.desc.w = read_axis(table, "w", "pad_left", "pad_right");
  row.desc.has_bias = table.number("bias") != 0 ? 1 : 0;
  return row;
}

/// POSIX extended, found anywhere in the name, case ignored.
class Pattern {
 public:
  explicit Pattern(const std::string& text) {
    const int error = regcomp(&compiled_, text.c_str(), REG_EXTENDED | REG_ICASE | REG_NOSUB);
    if (error == 0) return;
    char why[128];
    regerror(error, &compiled_, why, sizeof why);
    refuse("--match", "'" + text + "'", std::string("an extended regular expression: ") + why);
  }
  ~Pattern() { regfree(&compiled_); }
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;
  bool found_in(const std::string& name) const {
    return regexec(&compiled_, name.c_str(), 0, nullptr, 0) == 0;
  }

 private:
  regex_t compiled_{};
};

std::string suite_text(const std::string& suite) {
  if (suite == "core") return kCoreSuite;
  std::ifstream file(suite);
  if (!file) refuse("--suite", "'" + suite + "'", "core or a CSV file");
  return {std::istreambuf_iterator<char>(file), {}};
}

void refuse_single_problem(ProblemArgs problem) {
  const char* because = "--suite says the problems";
  const std::pair<const char*, const Typed&> files[] = {
      {"--problem", problem.problem}, {"--input", problem.input}, {"--filters", problem.filters}};
  for (const auto& [option, value] : files) {
    if (value) refuse(std::string(option) + " cannot be given: " + because);
  }
  const std::pair<const char*, const Typed&> flags[] = {{"--bias", problem.bias},
                                                        {"--residual", problem.residual}};
  for (const auto& [option, value] : flags) {
    if (value && !value->empty()) refuse(option, *value, "without a file, for a suite");
  }
  if (problem.activation && problem.activation->starts_with("prelu:")) {
    refuse("--activation", *problem.activation, "prelu without a file, for a suite");
  }
  problem.data_format.reset();  // the one geometric option that suits every row
  refuse_geometry(problem, because);
}

}  // namespace

Request SuiteRow::request() const {
  tconv_problem_desc named = desc;
  named.name = name.c_str();
  return make_request(named);
}

std::vector<SuiteRow> load_suite(const SuiteArgs& suite, const ProblemArgs& problem) {
  refuse_single_problem(problem);
  const char* batch = "batch_infer";
  if (suite.batch && parse_choice("--batch", *suite.batch, {"infer", "large"}) == 1) {
    batch = "batch_large";
  }
  const Pattern pattern(suite.match.value_or(""));
  tconv_layout layout = TCONV_NHWC;
  if (problem.data_format) {
    layout = 1 + parse_choice("--data-format", *problem.data_format, {"NHWC", "NCHW"});
  }
  Table table("--suite " + *suite.suite, suite_text(*suite.suite));
  std::vector<SuiteRow> rows;
  for (std::size_t i = 0; i < table.size(); ++i) {
    table.select(i);
    SuiteRow row = read_row(table, batch);
    if (!pattern.found_in(row.name)) continue;
    row.desc.layout = layout;
    apply_epilogue(problem, row.desc);
    rows.push_back(std::move(row));
  }
  if (rows.empty()) {
    refuse("--match", "'" + suite.match.value_or("") + "'", "found in the name of some row");
  }
  return rows;
}

std::vector<Request> make_requests(const SuiteArgs& suite, const ProblemArgs& problem) {
  std::vector<Request> requests;
  if (suite.suite) {
    for (const SuiteRow& row : load_suite(suite, problem)) requests.push_back(row.request());
    return requests;
  }
  for (const auto& [option, value] :
       {std::pair<const char*, const Typed&>{"--batch", suite.batch}, {"--match", suite.match}}) {
    if (value) refuse(std::string(option) + " cannot be given without --suite");
  }
  requests.push_back(make_request(problem));
  return requests;
}

}  // namespace tconv::cli
