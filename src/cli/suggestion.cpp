// SPDX-License-Identifier: Apache-2.0
// suggestion.cpp: see suggestion.h. The legal words are taken from the message that lists them, so
// that they are written down once.
#include "src/cli/suggestion.h"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <utility>

namespace tconv::cli {
namespace {

/// Names that frameworks and papers have for our words. The left one is in lower case.
constexpr std::pair<const char*, const char*> kOtherNames[] = {{"half", "f16"},
                                                               {"float16", "f16"},
                                                               {"fp16", "f16"},
                                                               {"bfloat16", "bf16"},
                                                               {"float", "f32"},
                                                               {"float32", "f32"},
                                                               {"fp32", "f32"},
                                                               {"single", "f32"},
                                                               {"double", "f64"},
                                                               {"float64", "f64"},
                                                               {"fp64", "f64"},
                                                               {"relu6", "clamp:0,6"},
                                                               {"hardtanh", "clamp:-1,1"},
                                                               {"lrelu", "leaky_relu:0.01"},
                                                               {"leakyrelu", "leaky_relu:0.01"},
                                                               {"swish", "silu"},
                                                               {"logistic", "sigmoid"},
                                                               {"none", "identity"},
                                                               {"linear", "identity"},
                                                               {"channels_last", "NHWC"},
                                                               {"channels_first", "NCHW"},
                                                               {"tf", "tensorflow"},
                                                               {"keras", "tensorflow"},
                                                               {"torch", "pytorch"},
                                                               {"gpu", "cuda"},
                                                               {"nvidia", "cuda"},
                                                               {"full", "whole"},
                                                               {"bicubic", "cubic"},
                                                               {"tf32x3", "3xtf32"}};

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

/// Letters inserted, left out, changed, or exchanged with the next.
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({changed, last[j] + 1, row[j - 1] + 1});
      const bool exchanged = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (exchanged) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

/// The part of a word that is a name: "clamp" of "clamp:0,6".
std::string name_in(const std::string& word) { return word.substr(0, word.find(':')); }

std::string other_name(const std::string& word, const std::vector<std::string>& candidates) {
  for (const auto& [theirs, ours] : kOtherNames) {
    if (lower(word) != theirs) continue;
    const std::string name = name_in(ours);
    if (std::ranges::find(candidates, name, name_in) != candidates.end()) return ours;
  }
  return "";
}

/// The words of "SAME, VALID or top,bottom,left,right"; what is described in a phrase is none.
std::vector<std::string> words_of(std::string list) {
  for (const char* opening : {"one of ", "among "}) {
    if (list.starts_with(opening)) list.erase(0, std::string(opening).size());
  }
  std::vector<std::string> words;
  while (!list.empty()) {
    const std::size_t end = std::min({list.find(", "), list.find(" or "), list.find(" (")});
    std::string word = list.substr(0, end);
    std::erase(word, '\'');
    if (!word.empty() && word.find(' ') == std::string::npos) words.push_back(word);
    if (end == std::string::npos) break;
    if (list.compare(end, 2, " (") == 0) break;
    list.erase(0, end + (list[end] == ',' ? 2 : 4));
  }
  return words;
}

}  // namespace

std::string nearest(const std::string& word, const std::vector<std::string>& candidates) {
  const std::string typed = lower(word);
  std::string best = other_name(word, candidates);
  if (!best.empty()) return best;
  // A third of the letters may be wrong, of short words one.
  std::size_t least = std::max<std::size_t>(1, typed.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t away = distance(lower(name_in(typed)), lower(name_in(candidate)));
    if (away < least) least = away, best = candidate;
  }
  if (!best.empty() || typed.size() < 2) return best;
  // The beginning of exactly one word, or one that goes on.
  for (const std::string& candidate : candidates) {
    const std::string legal = lower(candidate);
    const bool goes_on = legal.size() > 3 && typed.starts_with(legal);
    if (!goes_on && !legal.starts_with(typed)) continue;
    if (!best.empty()) return "";
    best = candidate;
  }
  return best;
}

std::string with_suggestion(const std::string& message) {
  constexpr const char *kBegin = " = '", *kMiddle = "', but it must be ";
  const std::size_t begin = message.find(kBegin);
  const std::size_t middle = message.find(kMiddle);
  if (begin == std::string::npos || middle == std::string::npos || middle < begin) return message;
  const std::size_t from = begin + std::string(kBegin).size();
  const std::string typed = message.substr(from, middle - from);
  const std::vector<std::string> words =
      words_of(message.substr(middle + std::string(kMiddle).size()));
  const std::string meant = nearest(typed, words);
  if (meant.empty() || meant == typed) return message;
  return message + "; did you mean " + meant + "?";
}

}  // namespace tconv::cli
