// SPDX-License-Identifier: Apache-2.0
// bench_results.h: the results of `tconv bench` as JSON lines: read, compared, appended to.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "src/cli/arguments.h"
#include "src/cli/record.h"

namespace tconv::cli {

/// Which results may stand for each other: the same problem, row, tile, threads and packing.
std::string result_identity(const Record& record);

/// A file of earlier results.
class Results {
 public:
  Results() = default;
  /// Reads `path`. A last line that is cut off is left out; any other line that is no JSON object
  /// refuses the file, in the name of `option`.
  Results(const std::string& option, const std::string& path);

  /// nullptr if there is none.
  const Record* find(const std::string& identity) const;
  /// earlier / now of the medians; 0 if either was not timed.
  double ratio(const Record& now) const;

 private:
  std::map<std::string, Record> records_;
};

/// Where new results go, one line each, so that a bench that is cut off loses nothing.
class ResultFile {
 public:
  /// Without a path nothing is kept.
  explicit ResultFile(const Typed& path);
  const Results& earlier() const { return earlier_; }
  void append(const Record& record);

 private:
  Typed path_;
  Results earlier_;
};

/// exp of the mean of the logarithms; 0 of nothing.
double geometric_mean(const std::vector<double>& values);

}  // namespace tconv::cli
