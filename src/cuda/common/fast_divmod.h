// SPDX-License-Identifier: Apache-2.0
// fast_divmod.h: division by a number that is known before a kernel starts, as one multiplication.
#pragma once

#include <bit>
#include <cstdint>

namespace tconv::host {

/// Divides n in [0, 2^31) exactly: with s = ceil(log2 d) and m = floor(2^(31+s) / d) + 1 it is
/// n / d = n*m >> (31+s), for n*(m*d - 2^(31+s)) <= n*d < 2^(31+s) (Granlund and Montgomery).
struct Divisor {
  int32_t divisor = 1;
  uint32_t multiplier = (1u << 31) + 1;
  uint32_t shift = 31;

  constexpr Divisor() = default;
  /// `d` is at least 1.
  explicit constexpr Divisor(int32_t d) : divisor(d) {
    const auto value = static_cast<uint32_t>(d);
    shift = 31 + static_cast<uint32_t>(std::bit_width(value - 1));
    multiplier = static_cast<uint32_t>((uint64_t{1} << shift) / value + 1);
  }
  constexpr int32_t quotient(int32_t n) const {
    return static_cast<int32_t>(static_cast<uint64_t>(n) * multiplier >> shift);
  }
  constexpr int32_t remainder(int32_t n) const { return n - quotient(n) * divisor; }
};

}  // namespace tconv::host
