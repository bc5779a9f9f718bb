// SPDX-License-Identifier: Apache-2.0
// text.h: options' values in, readable numbers out.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace tconv::cli {

/// printf into a string.
[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...);

/// "1,8,8,3"; "()" for no number.
std::string join(const std::vector<int64_t>& numbers);
/// Line breaks and their indentation become "; ": a cell of a table.
std::string one_line(const std::string& text);
/// "3.2 GiB", "640 bytes".
std::string bytes_text(double bytes);
/// "19.7 us", "24 ms", "2.5 s", "41 min", "7.2 h": what people read, three digits at most.
std::string time_text(double us);

/// A line of a table whose first column is a name: one that is too long for it gets a line of its
/// own, so that no two rows read alike. Lines fit kLineWidth where `rest` has at most
/// kLineWidth - kNameWidth - 1 characters. Ends with a line break.
inline constexpr std::size_t kLineWidth = 100, kNameWidth = 34;
std::string named_line(const std::string& name, const std::string& rest);
/// A sentence on lines of their own, indented, broken at spaces so that they fit kLineWidth; a word
/// that is longer stays whole.
std::string paragraph(const std::string& text);
/// "igemm_sm80/64x64", in a column of its own.
std::string row_cell(const std::string& kernel, const std::string& tile);

/// The whole numbers of "2" or "2,2". Each of these functions refuses with the option's name.
std::vector<int64_t> parse_integers(const std::string& option, const std::string& value);
int64_t parse_integer(const std::string& option, const std::string& value, int64_t low,
                      int64_t high);
double parse_real(const std::string& option, const std::string& value);
/// The index of `value` in `names`.
int parse_choice(const std::string& option, const std::string& value,
                 std::initializer_list<const char*> names);
/// Splits at each `separator`; an empty text is one empty piece.
std::vector<std::string> split(std::string_view value, char separator);

}  // namespace tconv::cli
