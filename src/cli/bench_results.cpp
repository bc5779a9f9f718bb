// SPDX-License-Identifier: Apache-2.0
// bench_results.cpp: see bench_results.h.
#include "src/cli/bench_results.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "src/cli/failure.h"
#include "src/cli/text.h"

namespace tconv::cli {

std::string result_identity(const Record& record) {
  return record.text("key") + " " + record.text("kernel") + " " + record.text("tile") + " " +
         format("%.0f %s", record.number("threads"), record.text("filters").c_str());
}

Results::Results(const std::string& option, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) refuse(option, path, "a file that can be read");
  const std::vector<std::string> lines = split(text, '\n');
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].empty()) continue;
    std::optional<Record> record = Record::parse(lines[i]);
    // What bench/rivals/run writes beside results: the machine, its ceilings.
    const std::string kind = record ? record->text("kind") : "";
    if (!kind.empty() && kind != "timing") continue;
    const bool complete = record && !record->text("key").empty();
    if (!complete && i + 1 == lines.size()) break;  // the bench was cut off while it wrote
    if (!complete) {
      refuse(option, path, format("results of tconv bench: line %zu is none", i + 1));
    }
    const std::string identity = result_identity(*record);
    records_.insert_or_assign(identity, std::move(*record));
  }
}

const Record* Results::find(const std::string& identity) const {
  const auto found = records_.find(identity);
  return found == records_.end() ? nullptr : &found->second;
}

double Results::ratio(const Record& now) const {
  const Record* then = find(result_identity(now));
  const double us = now.number("median_us");
  return then == nullptr || us <= 0 ? 0 : then->number("median_us") / us;
}

ResultFile::ResultFile(const Typed& path) : path_(path) {
  if (!path_) return;
  std::error_code error;
  const bool exists = std::filesystem::exists(*path_, error);
  if (exists) earlier_ = Results("--out", *path_);
  std::ofstream file(*path_, std::ios::app | std::ios::binary);
  if (!file) {
    throw Failure(TCONV_DEVICE_ERROR, "cannot write " + *path_ + ": " + std::strerror(errno));
  }
  // What a cut-off line left behind must not swallow the next result.
  std::ifstream last(*path_, std::ios::binary | std::ios::ate);
  if (last.tellg() > 0 && last.seekg(-1, std::ios::end) && last.get() != '\n') file << '\n';
}

void ResultFile::append(const Record& record) {
  if (!path_) return;
  std::ofstream file(*path_, std::ios::app | std::ios::binary);
  if (!(file << record.line() << '\n' << std::flush)) {
    throw Failure(TCONV_DEVICE_ERROR, "cannot write " + *path_ + ": " + std::strerror(errno));
  }
}

double geometric_mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += std::log(value);
  return values.empty() ? 0 : std::exp(sum / static_cast<double>(values.size()));
}

}  // namespace tconv::cli
