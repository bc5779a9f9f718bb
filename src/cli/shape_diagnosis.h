// SPDX-License-Identifier: Apache-2.0
// shape_diagnosis.h: which usual mistake gives a result of another shape.
#pragma once

#include <string>
#include <vector>

#include "src/cli/problem_options.h"

namespace tconv::cli {

struct ShapeMistake {
  std::string name;      ///< stable identifier, e.g. "output_padding"
  std::string sentence;  ///< what was done, in the words of the convention
};

/// Every mistake, or pair of mistakes, that gives `got` where the problem says another shape: the
/// fewest that do. Empty: none of the usual ones.
std::vector<ShapeMistake> shape_mistakes(const Request& request, const std::string& convention,
                                         const std::vector<int64_t>& got);

/// What verification says of a result of another shape, in text or as the JSON of a diagnosis.
std::string describe(const std::vector<ShapeMistake>& mistakes, bool json);

}  // namespace tconv::cli
