// SPDX-License-Identifier: Apache-2.0
// result_lines.cpp: see result_lines.h.
#include "bench/gpu/result_lines.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <stdexcept>

namespace tconv::bench {
namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

ResultLines::ResultLines(std::string path) : path_(std::move(path)) {
  const std::string text = contents(path_);
  std::size_t begin = 0;
  for (int number = 1; begin < text.size(); ++number) {
    const std::size_t end = text.find('\n', begin);
    const std::string line = text.substr(begin, end - begin);
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object()) {
      if (end == std::string::npos) break;  // cut off while it was written
      throw std::runtime_error(path_ + ": line " + std::to_string(number) +
                               " is no JSON object: not a file of results");
    }
    note(json);
    begin = end == std::string::npos ? text.size() : end + 1;
  }
  if (begin < text.size()) std::filesystem::resize_file(path_, begin);
  file_.open(path_, std::ios::app | std::ios::binary);
  if (begin > 0 && text[begin - 1] != '\n') file_ << '\n';
  if (!file_.flush()) {
    throw std::runtime_error("cannot write " + path_ + ": " + std::strerror(errno));
  }
}

void ResultLines::append(const Json& line) {
  if (!(file_ << line.dump() << '\n' << std::flush)) {
    throw std::runtime_error("cannot write " + path_ + ": " + std::strerror(errno));
  }
  note(line);
}

void ResultLines::note(const Json& line) {
  lines_.push_back(line);
  const std::string kind = line.value("kind", ""), unit = line.value("unit", "");
  if (line.contains("id")) ids_.insert(line.value("id", ""));
  if (unit.empty()) return;
  if (kind == "begin") {
    ++vain_begins_[unit];
  } else {
    vain_begins_[unit] = 0;
  }
  if (kind == "end") ended_.insert(unit);
}

int ResultLines::vain_begins(const std::string& unit) const {
  const auto found = vain_begins_.find(unit);
  return found == vain_begins_.end() ? 0 : found->second;
}

}  // namespace tconv::bench
