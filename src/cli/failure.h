// SPDX-License-Identifier: Apache-2.0
// failure.h: what ends a command early.
#pragma once

#include <tconv/printable.h>
#include <tconv/tconv_c.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace tconv::cli {

/// The exit code (one of tconv_status), the one message for stderr, fit for a terminal whatever it
/// quotes, and what --json prints.
class Failure : public std::runtime_error {
 public:
  Failure(tconv_status exit_code, const std::string& message, std::string json = "")
      : std::runtime_error(printable(message)), exit_code_(exit_code), json_(std::move(json)) {}
  tconv_status exit_code() const { return exit_code_; }
  /// The object for stdout where it says more than message and exit code; "" where it does not.
  const std::string& json() const { return json_; }

 private:
  tconv_status exit_code_;
  std::string json_;
};

/// A wrong option, problem or file: "option = value, but it must be legal".
[[noreturn]] inline void refuse(const std::string& option, const std::string& value,
                                const std::string& legal) {
  throw Failure(TCONV_INVALID, option + " = " + value + ", but it must be " + legal);
}

/// Two options that exclude each other, a missing option: any other sentence about the usage.
[[noreturn]] inline void refuse(const std::string& sentence) {
  throw Failure(TCONV_INVALID, sentence);
}

/// A failed library call keeps its code and its words.
inline void check(tconv_status status) {
  if (status != TCONV_OK) throw Failure(status, tconv_last_error());
}

}  // namespace tconv::cli
