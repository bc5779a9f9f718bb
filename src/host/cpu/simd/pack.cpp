// SPDX-License-Identifier: Apache-2.0
// pack.cpp: the orders of the filters that tile-inl.h reads from end to end.
//
//   tiles, depthwise   [group][block of channels][r][s][k][channel of the block]
//   columns            [group][chunk of channels][group of columns][k][column], a column one tap of
//                      one channel
// Nothing here depends on N, H or W.
#include <algorithm>

#include "src/host/cpu/simd/kernels.h"
#include "src/host/cpu/simd/plan.h"

namespace tconv::host::simd {
namespace {

template <typename From, typename T>
class Packer {
 public:
  Packer(const Problem& problem, const State& state, const void* filters, void* packed)
      : d_(state.desc),
        s_(state),
        strides_(problem.filter_strides()),
        filters_(static_cast<const From*>(filters)),
        to_(static_cast<T*>(packed)) {}

  void pack() {
    for (int64_t group = 0; group < s_.groups; ++group) {
      for (int64_t b = 0; b < s_.blocks; ++b) {
        if (s_.method == Method::columns) {
          pack_chunk(group, b * s_.block, std::min(s_.out_c, (b + 1) * s_.block));
        } else {
          pack_block(group, b);
        }
      }
    }
  }

 private:
  const From* at(int64_t r, int64_t s, int64_t k, int64_t c) const {
    return filters_ + strides_.offset(r, s, k, c);
  }

  void pack_block(int64_t group, int64_t b) {
    const int64_t width = s_.vectors_of(b) * s_.lanes;
    const int64_t channels = std::min(width, s_.out_c - b * s_.block), first = b * s_.block;
    for (int64_t r = 0; r < d_.h.kernel; ++r) {
      for (int64_t s = 0; s < d_.w.kernel; ++s) {
        constexpr int64_t kAtOnce = 16;  // so that lines of the filters are read whole
        for (int64_t k0 = 0; k0 < s_.in_c; k0 += kAtOnce) {
          const int64_t k1 = std::min(s_.in_c, k0 + kAtOnce);
          for (int64_t j = 0; j < width; ++j) {
            const From* from = j < channels ? filter(r, s, group, first + j) : nullptr;
            for (int64_t k = k0; k < k1; ++k) {
              to_[k * width + j] =
                  from == nullptr ? T{0} : static_cast<T>(widen(from[k * strides_.c]));
            }
          }
        }
        to_ += s_.in_c * width;
      }
    }
  }

  /// Input channel 0 of an output channel's tap.
  const From* filter(int64_t r, int64_t s, int64_t group, int64_t k) const {
    if (s_.method == Method::depthwise) return at(r, s, 0, k);  // every channel is a group of one
    const int64_t unfolded = s_.out_c / s_.folded;
    return at(r, s + k / unfolded, k % unfolded, group * s_.in_c);
  }

  void pack_chunk(int64_t group, int64_t k_begin, int64_t k_end) {
    const int64_t columns = (k_end - k_begin) * s_.taps, width = s_.padded_columns(k_end - k_begin);
    if (s_.turns_columns) {
      for (int64_t begin = 0; begin < width; begin += s_.vectors * s_.lanes) {
        pack_columns(group, k_begin, begin, std::min(width, begin + s_.vectors * s_.lanes),
                     columns);
      }
      return;
    }
    s_.for_column_groups(columns, [&](int64_t begin, int64_t end) {
      pack_columns(group, k_begin, begin, end, columns);
    });
  }

  /// [k][end - begin], zeros past the columns.
  void pack_columns(int64_t group, int64_t first_k, int64_t begin, int64_t end, int64_t columns) {
    const int64_t width = end - begin;
    for (int64_t column = begin; column < end; ++column) {
      const int64_t k = first_k + column / s_.taps, tap = column % s_.taps;
      const From* from = at(tap / d_.w.kernel, tap % d_.w.kernel, k, group * s_.in_c);
      for (int64_t c = 0; c < s_.in_c; ++c) {
        to_[c * width + column - begin] =
            column < columns ? static_cast<T>(widen(from[c * strides_.c])) : T{0};
      }
    }
    to_ += width * s_.in_c;
  }

  const ProblemDesc& d_;
  const State& s_;
  const FilterStrides strides_;
  const From* filters_;
  T* to_;
};

}  // namespace

int64_t packed_elements(const State& s) {
  const ProblemDesc& d = s.desc;
  if (s.method == Method::columns) return s.chunk_offset(s.groups * s.blocks);
  return s.groups * s.padded_channels() * s.in_c * d.h.kernel * d.w.kernel;
}

void pack(const Problem& problem, const State& state, const void* filters, void* packed) {
  with_type(problem.desc().dtype, [&]<typename From>() {
    if constexpr (std::is_same_v<From, double>) {
      Packer<From, double>(problem, state, filters, packed).pack();
    } else {
      Packer<From, float>(problem, state, filters, packed).pack();
    }
  });
}

}  // namespace tconv::host::simd
