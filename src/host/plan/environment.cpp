// SPDX-License-Identifier: Apache-2.0
#include "src/host/plan/environment.h"

#include <cstdlib>
#include <string_view>

namespace tconv::host {
namespace {

[[maybe_unused]] bool is_on(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0' && std::string_view(value) != "0";
}

Environment read_environment() {
#ifdef TCONV_READ_ENVIRONMENT
  return {.verify = is_on("TCONV_VERIFY"), .log = is_on("TCONV_LOG")};
#else
  return {};
#endif
}

}  // namespace

const Environment& environment() {
  static const Environment once = read_environment();
  return once;
}

}  // namespace tconv::host
