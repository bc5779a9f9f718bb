// SPDX-License-Identifier: Apache-2.0
// text.cpp: see text.h.
#include "src/cli/text.h"

#include <charconv>
#include <cmath>
#include <cstdarg>
#include <cstdio>

#include "src/cli/failure.h"

namespace tconv::cli {
namespace {

enum class Parsed { yes, malformed, too_large };

template <typename Number>
Parsed parse(std::string_view text, Number& number) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc::result_out_of_range) return Parsed::too_large;
  return error == std::errc() && stop == end ? Parsed::yes : Parsed::malformed;
}

std::string quoted(const std::string& value) { return "'" + value + "'"; }

}  // namespace

std::string format(const char* pattern, ...) {
  std::va_list args;
  va_start(args, pattern);
  const int length = std::vsnprintf(nullptr, 0, pattern, args);
  va_end(args);
  std::string result(static_cast<std::size_t>(length), '\0');
  va_start(args, pattern);
  std::vsnprintf(result.data(), result.size() + 1, pattern, args);
  va_end(args);
  return result;
}

std::string join(const std::vector<int64_t>& numbers) {
  if (numbers.empty()) return "()";
  std::string result;
  for (const int64_t number : numbers) {
    result += (result.empty() ? "" : ",") + std::to_string(number);
  }
  return result;
}

std::string one_line(const std::string& text) {
  std::string result;
  for (const std::string& line : split(text, '\n')) {
    const std::size_t first = line.find_first_not_of(' ');
    if (first != std::string::npos) result += (result.empty() ? "" : "; ") + line.substr(first);
  }
  return result;
}

std::string bytes_text(double bytes) {
  constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  for (; bytes >= 1024 && unit < 4; ++unit) bytes /= 1024;
  return format(unit == 0 ? "%.0f %s" : "%.1f %s", bytes, kUnits[unit]);
}

std::string time_text(double us) {
  constexpr double kAlmost = 0.9995;  // what rounds to 1000 is one of the next unit
  if (us < 1e3 * kAlmost) return format("%.3g us", us);
  if (us < 1e6 * kAlmost) return format("%.3g ms", us / 1e3);
  const double seconds = us / 1e6;
  if (seconds < 600) return format(seconds < 99.95 ? "%.3g s" : "%.0f s", seconds);
  if (seconds < 6000) return format("%.0f min", seconds / 60);
  return format("%.3g h", seconds / 3600);
}

std::string named_line(const std::string& name, const std::string& rest) {
  const auto width = static_cast<int>(kNameWidth);
  const bool fits = name.size() <= kNameWidth;
  std::string line = format("%-*s ", width, fits ? name.c_str() : "") + rest;
  while (line.ends_with(' ')) line.pop_back();
  return (fits ? "" : name + "\n") + line + "\n";
}

std::string paragraph(const std::string& text) {
  constexpr std::size_t kIndent = 4;
  std::string result, line;
  for (const std::string& word : split(text, ' ')) {
    if (!line.empty() && kIndent + line.size() + 1 + word.size() > kLineWidth) {
      result += std::string(kIndent, ' ') + line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return result + std::string(kIndent, ' ') + line + "\n";
}

std::string row_cell(const std::string& kernel, const std::string& tile) {
  return format("%-23s", (kernel + (tile.empty() ? "" : "/") + tile).c_str());
}

std::vector<std::string> split(std::string_view value, char separator) {
  std::vector<std::string> pieces(1);
  for (const char c : value) {
    if (c == separator) {
      pieces.emplace_back();
    } else {
      pieces.back() += c;
    }
  }
  return pieces;
}

std::vector<int64_t> parse_integers(const std::string& option, const std::string& value) {
  std::vector<int64_t> numbers;
  for (const std::string& piece : split(value, ',')) {
    int64_t number = 0;
    switch (parse(piece, number)) {
      case Parsed::yes: numbers.push_back(number); break;
      case Parsed::too_large: refuse(option, quoted(value), "numbers that fit 64 bits");
      case Parsed::malformed:
        refuse(option, quoted(value), "whole numbers separated by commas, such as 2 or 2,2");
    }
  }
  return numbers;
}

int64_t parse_integer(const std::string& option, const std::string& value, int64_t low,
                      int64_t high) {
  int64_t number = 0;
  const Parsed parsed = parse(value, number);
  if (parsed == Parsed::malformed) refuse(option, quoted(value), "a whole number");
  if (parsed == Parsed::too_large || number < low || number > high) {
    refuse(option, value,
           high == INT64_MAX ? "at least " + std::to_string(low)
                             : "in [" + std::to_string(low) + ", " + std::to_string(high) + "]");
  }
  return number;
}

double parse_real(const std::string& option, const std::string& value) {
  double number = 0;
  if (parse(value, number) != Parsed::yes || !std::isfinite(number)) {
    refuse(option, quoted(value), "a finite number");
  }
  return number;
}

int parse_choice(const std::string& option, const std::string& value,
                 std::initializer_list<const char*> names) {
  int index = 0;
  std::string legal;
  for (const char* name : names) {
    if (value == name) return index;
    legal += (legal.empty() ? "" : index + 1 == static_cast<int>(names.size()) ? " or " : ", ");
    legal += name;
    ++index;
  }
  refuse(option, quoted(value), legal);
}

}  // namespace tconv::cli
