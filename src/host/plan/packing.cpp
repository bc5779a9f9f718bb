// SPDX-License-Identifier: Apache-2.0
// packing.cpp: see packing.h. To undo a packing whose strides a family does not state, the
// elements' numbers are packed: they tell where each goes.
//
// A 16-bit type has too few values for all numbers: they are packed digit by digit. Digits are
// positive normal values, which every wider type holds exactly; 0 is what fills up.
#include "src/host/plan/packing.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <type_traits>

#include "src/host/problem/errors.h"
#include "tconv/printable.h"

namespace tconv::host {
namespace {

constexpr char kMagic[16] = "tconv filters 1";

struct FilterExtents {
  int64_t r, s, k, c;
  int64_t count() const { return r * s * k * c; }
};

FilterExtents extents_of(const Problem& problem) {
  const ProblemDesc& d = problem.desc();
  return {d.h.kernel, d.w.kernel, problem.out_c_per_group(), d.in_c};
}

/// Calls body(number, r, s, k, c) for each element: they are numbered in this order, whatever their
/// order in memory.
template <typename Body>
void for_each_filter(const FilterExtents& e, Body&& body) {
  int64_t number = 0;
  for (int64_t r = 0; r < e.r; ++r) {
    for (int64_t s = 0; s < e.s; ++s) {
      for (int64_t k = 0; k < e.k; ++k) {
        for (int64_t c = 0; c < e.c; ++c) body(number++, r, s, k, c);
      }
    }
  }
}

// ---- Digits. ------------------------------------------------------------------------------------

template <typename T>
using Bits = std::conditional_t<sizeof(T) == 2, uint16_t,
                                std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>;

/// The bits of the smallest normal number and of infinity: positive numbers between them count up.
template <typename T>
constexpr Bits<T> kFirst = std::is_same_v<T, Half>       ? 0x0400
                           : std::is_same_v<T, BFloat16> ? 0x0080
                           : sizeof(T) == 4              ? 0x00800000
                                                         : Bits<T>(uint64_t{1} << 52);
template <typename T>
constexpr Bits<T> kEnd = std::is_same_v<T, Half>       ? 0x7c00
                         : std::is_same_v<T, BFloat16> ? 0x7f80
                         : sizeof(T) == 4              ? 0x7f800000
                                                       : Bits<T>(uint64_t{0x7ff} << 52);
template <typename T>
constexpr int64_t kBase = static_cast<int64_t>(kEnd<T> - kFirst<T>);

template <typename T>
T of_digit(int64_t digit) {
  return std::bit_cast<T>(static_cast<Bits<T>>(kFirst<T> + static_cast<Bits<T>>(digit)));
}

constexpr int64_t kFill = -1, kNoDigit = -2;

/// The digit that `value`, of type T or wider, was made of; kFill for 0.
template <typename T, typename Packed>
int64_t digit_of(Packed value) {
  if constexpr (std::is_same_v<T, Packed>) {
    const auto bits = std::bit_cast<Bits<T>>(value);
    if (bits == 0) return kFill;
    return bits >= kFirst<T> && bits < kEnd<T> ? static_cast<int64_t>(bits - kFirst<T>) : kNoDigit;
  } else {
    // A 16-bit digit widened to f32: what rounding would find, without its costs.
    const auto bits = std::bit_cast<uint32_t>(value);
    if (bits == 0) return kFill;
    const T narrow{static_cast<uint16_t>(
        std::is_same_v<T, BFloat16> ? bits >> 16 : (bits >> 13) - (112u << 10))};
    const bool is_one = narrow.bits >= kFirst<T> && narrow.bits < kEnd<T>;
    return is_one && widen(narrow) == value ? digit_of<T, T>(narrow) : kNoDigit;
  }
}

// ---- Where a packing puts each element. ---------------------------------------------------------

/// Memory as aligned as families may expect it of a caller's.
struct alignas(256) Line {
  std::byte bytes[256];
};
using Lines = std::vector<Line>;
Lines lines_for(std::size_t bytes) { return Lines((bytes + sizeof(Line) - 1) / sizeof(Line)); }

/// Packs the elements' numbers. What it packed is read as `Packed`, until that makes no sense.
template <typename T>
class Probe {
 public:
  Probe(const Problem& problem, const Kernel& kernel, const KernelState& state)
      : problem_(problem), kernel_(kernel), state_(state), extents_(extents_of(problem)) {
    for (int64_t weight = 1; weight < extents_.count(); weight *= kBase<T>) pack(weight);
    if (packed_.empty()) pack(1);
  }

  /// Element number or kFill, by position in the packing; empty unless each number is there once.
  template <typename Packed>
  std::vector<int64_t> numbers() const {
    std::vector<int64_t> result(state_.packed_filter_bytes / sizeof(Packed), 0);
    if (result.size() * sizeof(Packed) != state_.packed_filter_bytes) return {};
    int64_t weight = 1;
    for (const Lines& packed : packed_) {
      const auto* values = reinterpret_cast<const Packed*>(packed.data());
      for (std::size_t i = 0; i < result.size(); ++i) {
        const int64_t digit = digit_of<T, Packed>(values[i]);
        if (digit == kNoDigit || (weight > 1 && (digit == kFill) != (result[i] == kFill))) {
          return {};
        }
        if (digit == kFill) {
          result[i] = kFill;
        } else {
          result[i] += digit * weight;
        }
      }
      weight *= kBase<T>;
    }
    return is_each_once(result) ? result : std::vector<int64_t>{};
  }

 private:
  void pack(int64_t weight) {
    Lines filters = lines_for(static_cast<std::size_t>(extents_.count()) * sizeof(T));
    auto* digits = reinterpret_cast<T*>(filters.data());
    const FilterStrides to = problem_.filter_strides();
    for_each_filter(extents_, [&](int64_t number, int64_t r, int64_t s, int64_t k, int64_t c) {
      digits[to.offset(r, s, k, c)] = of_digit<T>(number / weight % kBase<T>);
    });
    packed_.push_back(lines_for(state_.packed_filter_bytes));
    kernel_.prepack(problem_, state_, digits, packed_.back().data(), nullptr);
  }

  bool is_each_once(const std::vector<int64_t>& numbers) const {
    std::vector<bool> seen(static_cast<std::size_t>(extents_.count()), false);
    int64_t found = 0;
    for (const int64_t number : numbers) {
      if (number == kFill) continue;
      if (number >= extents_.count() || seen[static_cast<std::size_t>(number)]) return false;
      seen[static_cast<std::size_t>(number)] = true;
      ++found;
    }
    return found == extents_.count();
  }

  const Problem& problem_;
  const Kernel& kernel_;
  const KernelState& state_;
  const FilterExtents extents_;
  std::vector<Lines> packed_;
};

struct Order {
  DType type = DType::f32;       ///< of the packing
  std::vector<int64_t> numbers;  ///< by position
};

/// Nothing where the packing is none of what Kernel::packed_strides allows.
std::optional<Order> find_order(const Problem& problem, const Kernel& kernel,
                                const KernelState& state) {
  if (kernel.device != DeviceKind::cpu || kernel.prepack == nullptr) return std::nullopt;
  const DType type = problem.desc().dtype, sums = problem.slopes_dtype();
  return with_type(type, [&]<typename T>() -> std::optional<Order> {
    using Sum = std::conditional_t<std::is_same_v<T, double>, double, float>;
    const Probe<T> probe(problem, kernel, state);
    // The wider type first: with half as many elements it cannot be taken for the narrower one.
    Order order{sums, probe.template numbers<Sum>()};
    if (order.numbers.empty()) order = {type, probe.template numbers<T>()};
    if (order.numbers.empty()) return std::nullopt;
    return order;
  });
}

// ---- Names. -------------------------------------------------------------------------------------

/// A stride that no element uses does not count.
FilterStrides used(const FilterExtents& e, const FilterStrides& s) {
  return {e.r > 1 ? s.r : 0, e.s > 1 ? s.s : 0, e.k > 1 ? s.k : 0, e.c > 1 ? s.c : 0};
}

/// SplitMix64's output function: every bit of the result depends on every bit of `x`.
uint64_t mixed(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

/// 128 bits in hexadecimal digits.
template <typename Numbers>
std::string hash_of(const Numbers& numbers) {
  uint64_t halves[] = {0x9e3779b97f4a7c15u, 0xd1b54a32d192ed03u};
  for (const auto number : numbers) {
    for (uint64_t& half : halves) half = mixed(half * 31 + static_cast<uint64_t>(number));
  }
  std::string text;
  for (const uint64_t half : halves) {
    for (int shift = 60; shift >= 0; shift -= 4) text += "0123456789abcdef"[half >> shift & 15];
  }
  return text;
}

std::string joined(std::initializer_list<int64_t> numbers, char separator) {
  std::string text;
  for (const int64_t number : numbers) {
    if (!text.empty()) text += separator;
    text += std::to_string(number);
  }
  return text;
}

}  // namespace

PackedHeader make_packed_header(const std::string& key) {
  PackedHeader header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  std::memcpy(header.key, key.data(), std::min(key.size(), sizeof header.key - 1));
  return header;
}

std::string packed_key_at(const void* data, std::size_t bytes) {
  PackedHeader header{};
  if (bytes < sizeof header || std::memcmp(data, kMagic, sizeof kMagic) != 0) return "";
  std::memcpy(&header, data, sizeof header);
  return printable({header.key, strnlen(header.key, sizeof header.key)});
}

std::string packed_key(const Problem& problem, const Kernel& kernel, int tile,
                       const KernelState& state) {
  if (state.packed_filter_bytes == 0) return "";
  const FilterExtents e = extents_of(problem);
  const std::string filters =
      std::string(name_of(problem.desc().dtype)) + ":" + joined({e.r, e.s, e.k, e.c}, 'x') + ":";
  const auto of_strides = [&](DType type, const FilterStrides& given) {
    const FilterStrides s = used(e, given);
    return filters + name_of(type) + ":" + joined({s.r, s.s, s.k, s.c}, ',');
  };
  if (kernel.packed_strides != nullptr) {
    return of_strides(problem.desc().dtype, kernel.packed_strides(problem));
  }
  if (kernel.packed_order != nullptr) {
    return filters + kernel.name + ":" + kernel.packed_order(problem, state);
  }
  return std::string(kernel.name) + "/" + std::to_string(tile) + ":" + hash_of(problem.key());
}

std::vector<std::byte> unpack(const Problem& problem, const Kernel& kernel,
                              const KernelState& state, const void* packed) {
  const DType type = problem.desc().dtype;
  std::vector<std::byte> filters(static_cast<std::size_t>(problem.filter_bytes()));
  if (filters.empty()) return filters;
  const FilterExtents e = extents_of(problem);
  const FilterStrides to = problem.filter_strides();
  if (kernel.packed_strides != nullptr) {
    const FilterStrides from = kernel.packed_strides(problem);
    const std::size_t size = size_of(type);
    for_each_filter(e, [&](int64_t, int64_t r, int64_t s, int64_t k, int64_t c) {
      std::memcpy(filters.data() + static_cast<std::size_t>(to.offset(r, s, k, c)) * size,
                  static_cast<const std::byte*>(packed) +
                      static_cast<std::size_t>(from.offset(r, s, k, c)) * size,
                  size);
    });
    return filters;
  }
  const std::optional<Order> order = find_order(problem, kernel, state);
  if (!order) {
    throw Unsupported("a plan of the row " + std::string(kernel.name) +
                      " with prepacked filters cannot be verified: its packing cannot be undone");
  }
  std::vector<int64_t> positions(static_cast<std::size_t>(e.count()));
  for (std::size_t i = 0; i < order->numbers.size(); ++i) {
    const int64_t number = order->numbers[i];
    if (number != kFill) positions[static_cast<std::size_t>(number)] = static_cast<int64_t>(i);
  }
  for_each_filter(e, [&](int64_t number, int64_t r, int64_t s, int64_t k, int64_t c) {
    store(type, filters.data(), to.offset(r, s, k, c),
          load(order->type, packed, positions[static_cast<std::size_t>(number)]));
  });
  return filters;
}

}  // namespace tconv::host
