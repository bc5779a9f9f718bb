// SPDX-License-Identifier: Apache-2.0
// errors.h: the three ways in which a call can fail. The C boundary turns each into a status code.
#pragma once

#include <stdexcept>
#include <string>

namespace tconv::host {

/// An argument is wrong. The message names field, value and what would be legal.
class InvalidProblem : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// The problem is valid, but no allowed row takes it. The message has every row's reason.
class Unsupported : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Device, memory or vendor library failed.
class DeviceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The same, and the message names row and problem.
class RunError : public DeviceError {
 public:
  using DeviceError::DeviceError;
};

/// A verified run produced a wrong element.
class Mismatch : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws InvalidProblem("field = value, but it must be legal").
[[noreturn]] inline void refuse(const std::string& field, const std::string& value,
                                const std::string& legal) {
  throw InvalidProblem(field + " = " + value + ", but it must be " + legal);
}
[[noreturn]] inline void refuse(const std::string& field, long long value,
                                const std::string& legal) {
  refuse(field, std::to_string(value), legal);
}

}  // namespace tconv::host
