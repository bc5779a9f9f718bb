// SPDX-License-Identifier: Apache-2.0
// diagnose.h: which usual mistake explains a wrong result.
#pragma once

#include <string>
#include <vector>

#include "src/host/verify/verify.h"

namespace tconv::host {

struct Mistake {
  std::string name;      ///< stable identifier, e.g. "padding_side"
  std::string sentence;  ///< what was done, in the user's words
};

struct Diagnosis {
  bool right = false;             ///< the result is right; then there are no mistakes
  std::vector<Mistake> mistakes;  ///< every one that reproduces the result; empty: none known does
};

/// Evaluates each mistake's problem on the same data and keeps those that tensors.output equals
/// (within the bound) everywhere checked. Host memory; residual must still hold its values.
Diagnosis diagnose(const Problem& problem, const Tensors& tensors, const VerifyOptions& options);

/// The names diagnose() can give, for tests and documentation.
std::vector<std::string> known_mistakes();

std::string describe(const Diagnosis& diagnosis, bool json);

}  // namespace tconv::host
