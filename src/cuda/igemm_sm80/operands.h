// SPDX-License-Identifier: Apache-2.0
// operands.h: how the kernel reads the input and the filters of a problem: their order, and how
// many bytes at once.
#pragma once

#include <cstdint>

#include "src/host/problem/problem.h"

namespace tconv::host::igemm {

/// Of the input and the filters.
inline int64_t element_bytes(const Problem& problem) {
  return static_cast<int64_t>(size_of(problem.desc().dtype));
}

/// Of a number that the planner has checked.
inline int32_t to_int32(int64_t x) { return static_cast<int32_t>(x); }

/// Whether the channels of an input pixel are neighbours, whatever the layout is called.
inline bool input_channels_last(const Problem& problem) {
  return problem.desc().input_strides.c == 1;
}
/// Whether planes can be read in pairs of pixels: of 16 bits, and every row begins and ends with a
/// whole, aligned pair. Windows then do, too: their boxes have at least two columns.
bool has_pixel_pairs(const Problem& problem);

/// Bytes to which every row of channels is aligned, and every stride that leads to one: at most 16.
/// Where the input has planes, only filters have rows of channels.
int vector_bytes(const Problem& problem);
/// Likewise of the filters alone; in the order IHWO they have rows of columns.
int filter_vector_bytes(const Problem& problem);
/// True if all is copied 16 bytes at a time.
inline bool is_vec16(const Problem& problem) {
  return input_channels_last(problem) && vector_bytes(problem) == 16 &&
         filter_vector_bytes(problem) == 16;
}

/// The order of the filters that the kernel reads: IHWO where the problem's 16-bit filters have it,
/// else HWOI, whatever the problem's is.
FilterOrder filter_order(const Problem& problem);
FilterStrides filter_strides(const Problem& problem);

}  // namespace tconv::host::igemm
