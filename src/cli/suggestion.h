// SPDX-License-Identifier: Apache-2.0
// suggestion.h: what a mistyped word may have been meant to be.
#pragma once

#include <string>
#include <vector>

namespace tconv::cli {

/// The candidate that `word` most likely stands for: another spelling, another framework's name for
/// it, or a few letters away. "" if none is near.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

/// "... = 'same', but it must be SAME or VALID" with "; did you mean SAME?" behind the words that
/// are legal; any other message as it is.
std::string with_suggestion(const std::string& message);

}  // namespace tconv::cli
