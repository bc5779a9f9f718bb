// SPDX-License-Identifier: Apache-2.0
// struct_size.h: structs of callers that were compiled against an older or a newer header.
//
// Structs grow at their end and nowhere else, never into the padding of their last field: what an
// older header had keeps its place, and zero means default. So a shorter struct is served with
// zeros for what it lacks, and a longer one if all that is not known here is zero. A caller's
// struct is never touched beyond its own size.
#pragma once

#include <cstddef>
#include <cstring>
#include <type_traits>

namespace tconv::host {

namespace detail {
/// Refuses sizes that no header has: what is left of memory that was never set, or 0.
void receive(void* to, std::size_t known, const void* from, const char* name);
void deliver(const void* from, std::size_t known, void* to);
}  // namespace detail

/// All zero but its struct_size, the bytes between fields included: they reach the caller.
template <typename Struct>
Struct blank() {
  static_assert(std::is_trivially_copyable_v<Struct>);
  Struct result;
  std::memset(&result, 0, sizeof result);
  result.struct_size = sizeof result;
  return result;
}

/// `given` as this library knows it.
template <typename Struct>
Struct received(const Struct& given, const char* name) {
  auto result = blank<Struct>();
  detail::receive(&result, sizeof result, &given, name);
  result.struct_size = sizeof result;
  return result;
}

/// Writes what the caller's struct, which was received, has room for; what is not known here
/// becomes zero. struct_size stays the caller's.
template <typename Struct>
void deliver(const Struct& result, Struct& to) {
  static_assert(std::is_trivially_copyable_v<Struct>);
  detail::deliver(&result, sizeof result, &to);
}

}  // namespace tconv::host
