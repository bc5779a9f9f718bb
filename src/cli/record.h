// SPDX-License-Identifier: Apache-2.0
// record.h: one JSON object, fields in the order in which they were set. The only file that
// compiles the JSON library.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tconv::cli {

class Record {
 public:
  Record();
  ~Record();
  Record(Record&&) noexcept;
  Record& operator=(Record&&) noexcept;

  Record& set(const char* name, const std::string& value);
  Record& set(const char* name, const char* value) { return set(name, std::string(value)); }
  Record& set(const char* name, double value);  ///< null if not finite
  Record& set(const char* name, const std::vector<double>& values);
  Record& set(const char* name, const std::vector<int64_t>& values);
  Record& set(const char* name, const std::vector<Record>& values);
  template <std::integral Value>
  Record& set(const char* name, Value value) {
    return std::same_as<Value, bool> ? set_bool(name, value)
                                     : set_integer(name, static_cast<int64_t>(value));
  }
  /// A value that is JSON already.
  Record& set_json(const char* name, const std::string& json);

  /// The last fields of every object that stands for a failure: error, exit_code.
  Record& set_failure(const std::string& message, int exit_code) {
    return set("error", message).set("exit_code", exit_code);
  }

  std::string line() const;

  /// The object that `line` holds; nothing if it holds none.
  static std::optional<Record> parse(std::string_view line);
  /// The objects of an array.
  static std::vector<Record> parse_array(std::string_view json);
  /// "" and 0 where there is no such field of that kind.
  std::string text(const char* name) const;
  double number(const char* name) const;

 private:
  Record& set_bool(const char* name, bool value);
  Record& set_integer(const char* name, int64_t value);
  struct Fields;
  std::unique_ptr<Fields> fields_;
};

}  // namespace tconv::cli
