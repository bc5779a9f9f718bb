// SPDX-License-Identifier: Apache-2.0
// printable.h: text from outside (a file's header, an argument), made fit for a terminal or a log.
#ifndef TCONV_PRINTABLE_H_
#define TCONV_PRINTABLE_H_

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

namespace tconv {
namespace detail {

/// Bytes of the UTF-8 character that `text` begins with; 0 if they are none, or a control
/// character.
inline std::size_t printable_bytes(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  unsigned point = first & (0x7fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    point = point << 6 | (byte(i) & 0x3fu);
  }
  constexpr unsigned kLeast[] = {0, 0, 0xa0, 0x800,
                                 0x10000};  // 0x80 to 0x9f are control characters
  const bool surrogate = point >= 0xd800 && point < 0xe000;
  // What turns the direction of the text around, or has a line of its own.
  const bool turns = (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
  return point < kLeast[length] || point > 0x10ffff || surrogate || turns ? 0 : length;
}

}  // namespace detail

/// `text` with everything but printable characters and newlines written as \x1b.
inline std::string printable(std::string_view text) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string result;
  while (!text.empty()) {
    const std::size_t length = text[0] == '\n' ? 1 : detail::printable_bytes(text);
    if (length > 0) {
      result += text.substr(0, length);
    } else {
      const auto byte = static_cast<unsigned char>(text[0]);
      result += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    }
    text.remove_prefix(length > 0 ? length : 1);
  }
  return result;
}

/// A number with so many digits; what is none as inf, -inf or nan, whatever its sign.
inline std::string number_text(double number, int digits) {
  if (number != number) return "nan";
  char text[40];
  std::snprintf(text, sizeof text, "%.*g", digits, number);
  return text;
}

}  // namespace tconv

#endif  // TCONV_PRINTABLE_H_
