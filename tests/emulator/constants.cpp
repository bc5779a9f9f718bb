// SPDX-License-Identifier: Apache-2.0
#include "tests/emulator/constants.h"

#include <algorithm>
#include <cstring>

#include "tests/emulator/emulator.h"

namespace tconv::emulator {
namespace {

/// The allocations that anything of pointer size in `bytes` at `data` leads to.
std::vector<Range> allocations_in(const void* data, std::size_t bytes) {
  std::vector<Range> found;
  for (std::size_t at = 0; at + sizeof(uintptr_t) <= bytes; at += sizeof(uintptr_t)) {
    uintptr_t address = 0;
    std::memcpy(&address, static_cast<const unsigned char*>(data) + at, sizeof address);
    if (const Range range = allocation_at(address); range.bytes > 0) found.push_back(range);
  }
  return found;
}

}  // namespace

Constants::Constants(const KernelType& type, void* const* arguments) {
  std::vector<Range> writable;
  for (std::size_t i = 0; i < type.count; ++i) {
    const Parameter& parameter = type.parameters[i];
    for (const Range& range : allocations_in(arguments[i], parameter.bytes)) {
      (parameter.is_pointer_to_const ? made_constant_ : writable).push_back(range);
    }
  }
  std::erase_if(made_constant_, [&](const Range& range) {
    return is_constant(range) || std::ranges::find(writable, range) != writable.end();
  });
  for (const Range& range : made_constant_) set_constant(range.begin, range.bytes, true);
}

Constants::~Constants() {
  for (const Range& range : made_constant_) set_constant(range.begin, range.bytes, false);
}

}  // namespace tconv::emulator
