// SPDX-License-Identifier: Apache-2.0
// status.h: what a call of tconv.h comes to: an exception or a Status. Part of tconv.h.
#ifndef TCONV_STATUS_H_
#define TCONV_STATUS_H_

#include <cstdint>
#include <string>

#include "tconv_c_status.h"

#if !defined(TCONV_NO_EXCEPTIONS) && !defined(__cpp_exceptions)
#define TCONV_NO_EXCEPTIONS
#endif
#ifndef TCONV_NO_EXCEPTIONS
#include <stdexcept>
#endif

namespace tconv {

enum class Code : int32_t {
  ok = TCONV_OK,
  mismatch = TCONV_MISMATCH,
  invalid = TCONV_INVALID,
  unsupported = TCONV_UNSUPPORTED,
  device_error = TCONV_DEVICE_ERROR,
};

/// What a call came to, with its message.
class [[nodiscard]] Status {
 public:
  Status() = default;
  explicit Status(tconv_status code) : code_(static_cast<Code>(code)) {
    if (code != TCONV_OK) message_ = tconv_last_error();
  }
  bool ok() const { return code_ == Code::ok; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  Code code_ = Code::ok;
  std::string message_;
};

#ifdef TCONV_NO_EXCEPTIONS
using Result = Status;
namespace detail {
inline Status finish(tconv_status code) { return Status(code); }
}  // namespace detail
#else
/// Thrown by every failing call; code() says which kind.
class Error : public std::runtime_error {
 public:
  explicit Error(const Status& status)
      : std::runtime_error(status.message()), code_(status.code()) {}
  Code code() const { return code_; }

 private:
  Code code_;
};
/// What calls return: nothing with exceptions, a Status without.
using Result = void;
namespace detail {
inline void check(const Status& status) {
  if (!status.ok()) throw Error(status);
}
inline void finish(tconv_status code) { check(Status(code)); }
}  // namespace detail
#endif

}  // namespace tconv

#endif  // TCONV_STATUS_H_
