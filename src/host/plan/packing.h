// SPDX-License-Identifier: Apache-2.0
// packing.h: what packed filters are: a header that says which order follows, and the filters in
// that order. And the way back, for verification.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "src/host/plan/kernel.h"

namespace tconv::host {

/// In front of every packing: kernels read what follows it, which is as aligned as the whole.
struct PackedHeader {
  char magic[16];
  char key[240];  ///< zeros after its end
};
static_assert(sizeof(PackedHeader) == 256);

PackedHeader make_packed_header(const std::string& key);
/// The key of the packing at `data` (host memory, `bytes` of it), fit to be printed; empty if none
/// begins there.
std::string packed_key_at(const void* data, std::size_t bytes);

/// Names the order of the packed filters of a prepared plan: the filters' type and extents, and
/// what the family says of where each element goes. Two plans with the same key pack the same
/// filters into the same bytes. Empty where nothing is packed. Of families that state neither
/// packed_strides nor packed_order the key names family, tile and problem.
std::string packed_key(const Problem& problem, const Kernel& kernel, int tile,
                       const KernelState& state);

/// The filters, in the problem's order, of what the family packed (host memory, without header).
/// Throws Unsupported where its packing cannot be undone.
std::vector<std::byte> unpack(const Problem& problem, const Kernel& kernel,
                              const KernelState& state, const void* packed);

}  // namespace tconv::host
