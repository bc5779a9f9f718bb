// SPDX-License-Identifier: Apache-2.0
// refusals.h: bad arguments of a convention are refused in its own words, with what would be legal,
// and leave the description as it was.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "src/host/conventions/conventions.h"
#include "src/host/problem/errors.h"

namespace tconv::host {

inline constexpr int64_t k61 = int64_t{1} << 61, k62 = int64_t{1} << 62, kMost = INT64_MAX;

/// A description that no translation would make.
inline ProblemDesc untouched() {
  ProblemDesc desc;
  desc.name = "layer";
  desc.batch = 77;
  desc.in_c = 79;
  desc.out_c = 83;
  desc.groups = 89;
  desc.h = desc.w = {11, 13, 17, 19, 23, 29};
  desc.filter_order = FilterOrder::ihwo;
  return desc;
}

template <typename Args>
std::string refusal(const Args& args) {
  const ProblemDesc before = untouched();
  ProblemDesc after = before;
  try {
    translate(args, after);
  } catch (const InvalidProblem& error) {
    EXPECT_EQ(make_key(after), make_key(before)) << "written before the refusal";
    return error.what();
  }
  return "accepted";
}

/// One wrong thing in an otherwise right call.
template <typename Args>
struct Bad {
  void (*spoil)(Args& args);
  const char* message;
};

template <typename Args>
void expect_refused(const Args& right, const std::vector<Bad<Args>>& cases) {
  ASSERT_EQ(refusal(right), "accepted");
  for (const auto& [spoil, message] : cases) {
    Args args = right;
    spoil(args);
    EXPECT_EQ(refusal(args), message);
  }
}

}  // namespace tconv::host
