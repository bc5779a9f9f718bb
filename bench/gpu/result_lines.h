// SPDX-License-Identifier: Apache-2.0
// result_lines.h: results as JSON lines: appended one by one, so that a run that is cut off loses
// nothing, and read again, so that the next run goes on from there.
#pragma once

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace tconv::bench {

using Json = nlohmann::ordered_json;

/// Lines have a field `kind`. Of the kinds, `begin` and `end` mark a unit of work (field `unit`);
/// every other line with a field `id` is a result, and stands for itself.
class ResultLines {
 public:
  /// Reads `path`, if it exists. A last line that is cut off is dropped; any other line that is no
  /// JSON object throws std::runtime_error with its number.
  explicit ResultLines(std::string path);

  /// Writes and flushes. Throws std::runtime_error where it cannot.
  void append(const Json& line);
  const std::vector<Json>& lines() const { return lines_; }
  bool has(const std::string& id) const { return ids_.contains(id); }
  bool ended(const std::string& unit) const { return ended_.contains(unit); }
  /// How often the unit was begun and nothing came of it: not an end, not a single result.
  int vain_begins(const std::string& unit) const;

 private:
  void note(const Json& line);

  std::string path_;
  std::ofstream file_;
  std::vector<Json> lines_;
  std::set<std::string> ids_, ended_;
  std::map<std::string, int> vain_begins_;
};

}  // namespace tconv::bench
