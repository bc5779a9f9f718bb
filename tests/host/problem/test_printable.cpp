// SPDX-License-Identifier: Apache-2.0
// test_printable.cpp: what reaches a terminal of text that came from outside.
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "tconv/printable.h"

namespace tconv {
namespace {

TEST(Printable, KeepsWhatCanBeRead) {
  for (const char* text : {"", "plain 'text'\nin lines \\x1b ~",
                           "Stra\xc3\x9f"
                           "e \xe2\x82\xac "
                           "\xf0\x9f\x99\x82 \xe6\x97\xa5\xe6\x9c\xac"}) {
    EXPECT_EQ(printable(text), text);
    EXPECT_EQ(printable(printable(text)), text);
  }
}

TEST(Printable, WritesEverythingElseInDigits) {
  EXPECT_EQ(printable("\x1b[2J\a\t\r\x7f"), "\\x1b[2J\\x07\\x09\\x0d\\x7f");
  EXPECT_EQ(printable(std::string("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(printable("\xc2\x9b"
                      "2J"),
            "\\xc2\\x9b2J");              // CSI in one character
  EXPECT_EQ(printable("\x9b"), "\\x9b");  // and in one byte
  EXPECT_EQ(printable(std::string("\xe2\x80") + "\xae"), "\\xe2\\x80\\xae");  // right to left
  EXPECT_EQ(printable("\xe2\x80\xa8"), "\\xe2\\x80\\xa8");                    // a line of its own
  EXPECT_EQ(printable("\xc0\x9b"), "\\xc0\\x9b");                    // too long a form of ESC
  EXPECT_EQ(printable("\xe0\x80\x9b"), "\\xe0\\x80\\x9b");           // likewise
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // half of a pair
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // beyond the last
  EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82");                    // cut off
  EXPECT_EQ(printable("\xe2\x82(\xff"), "\\xe2\\x82(\\xff");
}

TEST(Printable, NoByteIsLostAndNoneIsControl) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string text = {static_cast<char>(first), static_cast<char>(second), 'x'};
      const std::string shown = printable(text);
      EXPECT_EQ(shown.back(), 'x');
      for (const char c : shown) {
        const auto byte = static_cast<unsigned char>(c);
        EXPECT_TRUE(byte >= 0x20 || byte == '\n') << first << " " << second;
        EXPECT_NE(byte, 0x7f);
      }
    }
  }
}

TEST(NumberText, NamesWhatIsNoNumber) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(number_text(kInfinity, 9), "inf");
  EXPECT_EQ(number_text(-kInfinity, 9), "-inf");
  EXPECT_EQ(number_text(kNaN, 9), "nan");
  EXPECT_EQ(number_text(-kNaN, 9), "nan");
  EXPECT_EQ(number_text(0.1, 17), "0.10000000000000001");
  EXPECT_EQ(number_text(-1.7976931348623157e308, 17), "-1.7976931348623157e+308");
}

}  // namespace
}  // namespace tconv
