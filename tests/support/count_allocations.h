// SPDX-License-Identifier: Apache-2.0
// count_allocations.h: linking count_allocations.cpp replaces operator new of the whole program.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tconv::test {

/// Allocations since the program started, by every thread.
int64_t allocation_count();
/// The largest one since the last call, in bytes.
std::size_t take_largest_allocation();

}  // namespace tconv::test
