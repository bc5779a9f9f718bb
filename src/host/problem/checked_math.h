// SPDX-License-Identifier: Apache-2.0
// checked_math.h: int64 arithmetic on sizes that says when it overflows.
#pragma once

#include <cstdint>
#include <string>

#include "src/host/problem/errors.h"

namespace tconv::host {

/// Sizes that come from users: every sum and product of them goes through here, once, in the
/// constructor of Problem or in a convention. `what` names the quantity in the message.
class Checked {
 public:
  explicit Checked(std::string what) : what_(std::move(what)) {}

  int64_t add(int64_t a, int64_t b) const {
    int64_t result = 0;
    return __builtin_add_overflow(a, b, &result) ? overflow() : result;
  }
  int64_t sub(int64_t a, int64_t b) const {
    int64_t result = 0;
    return __builtin_sub_overflow(a, b, &result) ? overflow() : result;
  }
  int64_t mul(int64_t a, int64_t b) const {
    int64_t result = 0;
    return __builtin_mul_overflow(a, b, &result) ? overflow() : result;
  }

 private:
  [[noreturn]] int64_t overflow() const {
    throw InvalidProblem(what_ + " does not fit 64 bits, but it must be at most 2^63 - 1");
  }
  std::string what_;
};

}  // namespace tconv::host
