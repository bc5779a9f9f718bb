// SPDX-License-Identifier: Apache-2.0
// struct_size.cpp: see struct_size.h.
#include "src/host/c_api/struct_size.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "src/host/problem/errors.h"

namespace tconv::host::detail {
namespace {

constexpr std::size_t kHead = sizeof(std::size_t);  // struct_size itself
// No struct of ours comes near: more is memory that was never set, and is not read.
constexpr std::size_t kMost = 4096;

std::size_t size_of_callers(const void* given) {
  std::size_t size = 0;
  std::memcpy(&size, given, sizeof size);
  return size;
}

}  // namespace

void receive(void* to, std::size_t known, const void* from, const char* name) {
  const std::size_t size = size_of_callers(from);
  const std::string field = std::string(name) + ".struct_size";
  if (size <= kHead || size > kMost || size % kHead != 0) {
    refuse(field, static_cast<long long>(size),
           "the size of the struct: " + std::to_string(known) +
               " in this library's header, less in an older one's, more in a newer one's");
  }
  const auto* bytes = static_cast<const unsigned char*>(from);
  for (std::size_t i = known; i < size; ++i) {
    if (bytes[i] == 0) continue;
    refuse(field, static_cast<long long>(size),
           std::to_string(known) + ", or followed by zeros: byte " + std::to_string(i) +
               " asks for something that this library is too old for");
  }
  std::memcpy(to, from, std::min(size, known));
}

void deliver(const void* from, std::size_t known, void* to) {
  const std::size_t size = size_of_callers(to), common = std::min(size, known);
  auto* bytes = static_cast<unsigned char*>(to);
  std::memcpy(bytes + kHead, static_cast<const unsigned char*>(from) + kHead, common - kHead);
  std::memset(bytes + common, 0, size - common);
}

}  // namespace tconv::host::detail
