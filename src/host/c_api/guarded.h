// SPDX-License-Identifier: Apache-2.0
// guarded.h: exceptions -> status codes, and the message of the last failure.
#pragma once

#include <exception>
#include <new>
#include <string>

#include "src/host/problem/errors.h"
#include "tconv/printable.h"
#include "tconv/tconv_c.h"

namespace tconv::host {

/// The message of the last failed call on this thread.
inline std::string& last_error() {
  thread_local std::string message;
  return message;
}

inline tconv_status fail(tconv_status status, const char* message) noexcept {
  try {
    last_error() = printable(message);  // it may quote what came from a file
  } catch (...) {
    last_error().clear();
  }
  return status;
}

/// Runs `body`, which throws or succeeds; nothing leaves as an exception.
template <typename Body>
tconv_status guarded(Body&& body) noexcept {
  try {
    body();
    return TCONV_OK;
  } catch (const InvalidProblem& e) {
    return fail(TCONV_INVALID, e.what());
  } catch (const Unsupported& e) {
    return fail(TCONV_UNSUPPORTED, e.what());
  } catch (const Mismatch& e) {
    return fail(TCONV_MISMATCH, e.what());
  } catch (const std::bad_alloc&) {
    return fail(TCONV_DEVICE_ERROR, "out of host memory");
  } catch (const std::exception& e) {
    return fail(TCONV_DEVICE_ERROR, e.what());
  } catch (...) {
    return fail(TCONV_DEVICE_ERROR, "unknown error");
  }
}

template <typename T>
T& need(T* pointer, const char* name) {
  if (pointer == nullptr) refuse(name, "null", "a valid pointer");
  return *pointer;
}

}  // namespace tconv::host
