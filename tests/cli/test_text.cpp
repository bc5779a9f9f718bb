// SPDX-License-Identifier: Apache-2.0
// test_text.cpp: how the program writes numbers and tables, and what it takes a mistyped word for.
#include <gtest/gtest.h>

#include "src/cli/suggestion.h"
#include "src/cli/text.h"

namespace tconv::cli {
namespace {

TEST(Text, TimesHaveThreeDigitsAndTheUnitThatFits) {
  EXPECT_EQ(time_text(0.0178), "0.0178 us");
  EXPECT_EQ(time_text(19.7), "19.7 us");
  EXPECT_EQ(time_text(999.7), "1 ms");
  EXPECT_EQ(time_text(24000), "24 ms");
  EXPECT_EQ(time_text(2.5e6), "2.5 s");
  EXPECT_EQ(time_text(138.8e6), "139 s");
  EXPECT_EQ(time_text(2460e6), "41 min");
  EXPECT_EQ(time_text(7.2 * 3600e6), "7.2 h");
}

TEST(Text, ANameThatIsTooLongHasALineOfItsOwn) {
  const std::string exactly(kNameWidth, 'a'), longer(kNameWidth + 1, 'a');
  EXPECT_EQ(named_line("short", "cells"), "short" + std::string(kNameWidth - 4, ' ') + "cells\n");
  EXPECT_EQ(named_line(exactly, "cells"), exactly + " cells\n");
  EXPECT_EQ(named_line(longer, "cells "),
            longer + "\n" + std::string(kNameWidth + 1, ' ') + "cells\n");
}

TEST(Text, ParagraphsFitTheLine) {
  std::string words;
  for (int i = 0; i < 60; ++i) words += "word" + std::to_string(i) + " ";
  const std::string text = paragraph(words + std::string(150, 'x'));
  const std::vector<std::string> lines = split(text, '\n');
  for (std::size_t i = 0; i + 2 < lines.size(); ++i) {
    EXPECT_LE(lines[i].size(), kLineWidth);
    if (i + 3 < lines.size()) {  // the last words, before the long one, fill no line
      EXPECT_GT(lines[i].size(), kLineWidth - 12);
    }
    EXPECT_EQ(lines[i].substr(0, 4), "    ");
  }
  EXPECT_NE(text.find("\n    " + std::string(150, 'x') + "\n"), std::string::npos);
}

TEST(Suggestion, TakesOtherSpellingsOtherNamesAndAFewWrongLetters) {
  const std::vector<std::string> types = {"f16", "bf16", "f32", "f64"};
  EXPECT_EQ(nearest("BF16", types), "bf16");
  EXPECT_EQ(nearest("Float16", types), "f16");
  EXPECT_EQ(nearest("f33", types), "f32");
  EXPECT_EQ(nearest("int8", types), "");
  EXPECT_EQ(nearest("", types), "");
  const std::vector<std::string> words = {"--input", "--input-shape", "--filters", "--strides"};
  EXPECT_EQ(nearest("--inptu", words), "--input");
  EXPECT_EQ(nearest("--stride", words), "--strides");
  EXPECT_EQ(nearest("--filter", words), "--filters");
  EXPECT_EQ(nearest("--colour", words), "");
}

TEST(Suggestion, FindsTheLegalWordsInTheMessage) {
  EXPECT_EQ(with_suggestion("--padding = 'same', but it must be SAME, VALID or a,b,c,d"),
            "--padding = 'same', but it must be SAME, VALID or a,b,c,d; did you mean SAME?");
  EXPECT_EQ(with_suggestion("tile = 'x65', but it must be among x64, y (see help)"),
            "tile = 'x65', but it must be among x64, y (see help); did you mean x64?");
  for (const char* message :
       {"anything else", "a = 'b', but it must be a number", "a = 'b', but it must be ",
        "a = 3, but it must be 4", "a = ''', but it must be ''', ', but it must be "}) {
    EXPECT_EQ(with_suggestion(message), message);
  }
}

}  // namespace
}  // namespace tconv::cli
