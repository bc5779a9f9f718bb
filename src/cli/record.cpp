// SPDX-License-Identifier: Apache-2.0
// record.cpp: see record.h.
#include "src/cli/record.h"

#include <tconv/printable.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace tconv::cli {

using Json = nlohmann::ordered_json;

struct Record::Fields {
  Json json = Json::object();
};

namespace {

/// JSON has no infinity and no NaN: they are the strings "inf", "-inf" and "nan".
Json number_json(double number) {
  return std::isfinite(number) ? Json(number) : Json(number_text(number, 0));
}

}  // namespace

Record::Record() : fields_(std::make_unique<Fields>()) {}
Record::~Record() = default;
Record::Record(Record&&) noexcept = default;
Record& Record::operator=(Record&&) noexcept = default;

Record& Record::set(const char* name, const std::string& value) {
  fields_->json[name] = value;
  return *this;
}
Record& Record::set(const char* name, double value) {
  fields_->json[name] = number_json(value);
  return *this;
}
Record& Record::set(const char* name, const std::vector<double>& values) {
  Json& array = fields_->json[name] = Json::array();
  for (const double value : values) array.push_back(number_json(value));
  return *this;
}
Record& Record::set(const char* name, const std::vector<int64_t>& values) {
  fields_->json[name] = values;
  return *this;
}
Record& Record::set(const char* name, const std::vector<Record>& values) {
  Json& array = fields_->json[name] = Json::array();
  for (const Record& value : values) array.push_back(value.fields_->json);
  return *this;
}
Record& Record::set_json(const char* name, const std::string& json) {
  fields_->json[name] = Json::parse(json);
  return *this;
}
Record& Record::set_bool(const char* name, bool value) {
  fields_->json[name] = value;
  return *this;
}
Record& Record::set_integer(const char* name, int64_t value) {
  fields_->json[name] = value;
  return *this;
}

std::string Record::line() const {
  // File names need not be UTF-8.
  return fields_->json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<Record> Record::parse(std::string_view line) {
  Record record;
  record.fields_->json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!record.fields_->json.is_object()) return std::nullopt;
  return record;
}

std::vector<Record> Record::parse_array(std::string_view json) {
  std::vector<Record> records;
  for (const Json& element : Json::parse(json)) {
    records.emplace_back();
    records.back().fields_->json = element;
  }
  return records;
}

std::string Record::text(const char* name) const {
  const auto field = fields_->json.find(name);
  return field != fields_->json.end() && field->is_string() ? field->get<std::string>() : "";
}

double Record::number(const char* name) const {
  const auto field = fields_->json.find(name);
  return field != fields_->json.end() && field->is_number() ? field->get<double>() : 0;
}

}  // namespace tconv::cli
