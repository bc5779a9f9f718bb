// SPDX-License-Identifier: Apache-2.0
// tile-inl.h: the two loops that everything else feeds: a tile of sums in registers.
//
// A tile is `rows` x `vectors`: each row is one broadcast number, each vector a run of neighbours.
// For the method `tiles` a row is an output pixel and the vectors are channels; for `columns` a row
// is a column of the filters and the vectors are pixels. Each sum is one chain of fused
// multiply-adds, by tap, then by k, whatever the shape of the tile: so results do not depend on how
// work is cut.

// Compiled once for each instruction set: see kernels.cpp.
HWY_BEFORE_NAMESPACE();
namespace tconv::host::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// g++ keeps an array of vectors in registers only where every loop over it is unrolled.
#define TCONV_UNROLL _Pragma("GCC unroll 8")

inline constexpr int kRegisters = HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64 ? 32 : 16;

constexpr int64_t most_rows(int64_t vectors) { return simd::most_rows(vectors, kRegisters); }

template <typename T>
using Full = hn::ScalableTag<T>;

/// What one tile multiplies. Taps are a rectangle; a step along it moves rows and vectors.
template <typename T>
struct Product {
  const T* rows[kMostRows];
  const T* vectors;
  int64_t row_step = 1;  ///< from k to k + 1
  int64_t k = 0;
  int64_t taps_h = 1, taps_w = 1;
  int64_t row_h = 0, row_w = 0, vector_h = 0, vector_w = 0;
  const T* start;  ///< the sums begin with these, alike in all rows; null: with what `out` holds
  T* out[kMostRows];
  bool streams = false;  ///< past the caches; out is aligned to vectors, and all of them are whole
};

/// Whether loads and stores of a part of a vector touch nothing beyond it.
template <typename T>
inline constexpr bool kMasks = HWY_TARGET <= HWY_AVX3 || (HWY_TARGET <= HWY_AVX2 && sizeof(T) >= 4);

/// Writes the first `count` elements of a vector, all if there are fewer.
template <class D, class V, typename T>
HWY_INLINE void store_some(D d, V v, T* to, int64_t count) {
  if (count >= static_cast<int64_t>(hn::Lanes(d))) {
    hn::StoreU(v, d, to);
  } else if (count > 0) {
    if constexpr (kMasks<T>) {
      hn::BlendedStore(v, hn::FirstN(d, static_cast<std::size_t>(count)), d, to);
    } else {
      HWY_ALIGN T all[hn::MaxLanes(d)];
      hn::Store(v, d, all);
      for (int64_t i = 0; i < count; ++i) to[i] = all[i];
    }
  }
}

/// Reads the first `count` elements of a vector; the rest is zero.
template <class D, typename T>
HWY_INLINE hn::Vec<D> load_some(D d, const T* from, int64_t count) {
  if (count >= static_cast<int64_t>(hn::Lanes(d))) return hn::LoadU(d, from);
  if constexpr (kMasks<T>) {
    return hn::MaskedLoad(hn::FirstN(d, static_cast<std::size_t>(std::max<int64_t>(0, count))), d,
                          from);
  } else {
    HWY_ALIGN T all[hn::MaxLanes(d)] = {};
    for (int64_t i = 0; i < count; ++i) all[i] = from[i];
    return hn::Load(d, all);
  }
}

template <int rows, int vectors, typename T>
HWY_INLINE void store_tile(const hn::Vec<Full<T>> (&sums)[rows][vectors], const Product<T>& p,
                           int64_t count) {
  const Full<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  if (p.streams) {
    TCONV_UNROLL for (int m = 0; m < rows; ++m) {
      TCONV_UNROLL for (int v = 0; v < vectors; ++v)
          hn::Stream(sums[m][v], d, p.out[m] + v * lanes);
    }
    return;
  }
  if (count == vectors * lanes) {
    TCONV_UNROLL for (int m = 0; m < rows; ++m) {
      TCONV_UNROLL for (int v = 0; v < vectors; ++v) {
        hn::StoreU(sums[m][v], d, p.out[m] + v * lanes);
      }
    }
    return;
  }
  TCONV_UNROLL for (int m = 0; m < rows; ++m) {
    TCONV_UNROLL for (int v = 0; v < vectors; ++v) {
      store_some(d, sums[m][v], p.out[m] + v * lanes, count - v * lanes);
    }
  }
}

/// Sums of `count` columns (of the vectors' lanes) over taps and k.
template <int rows, int vectors, typename T>
HWY_NOINLINE void multiply(const Product<T>& p, int64_t count) {
  const Full<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V sums[rows][vectors];
  TCONV_UNROLL for (int v = 0; v < vectors; ++v) {
    TCONV_UNROLL for (int m = 0; m < rows; ++m) {
      sums[m][v] = hn::LoadU(d, (p.start != nullptr ? p.start : p.out[m]) + v * lanes);
    }
  }
  const int64_t k_end = p.k * p.row_step, step = p.row_step;
  for (int64_t th = 0; th < p.taps_h; ++th) {
    for (int64_t tw = 0; tw < p.taps_w; ++tw) {
      const T* HWY_RESTRICT vector = p.vectors + th * p.vector_h + tw * p.vector_w;
      const T* row[rows];
      TCONV_UNROLL for (int m = 0; m < rows; ++m) row[m] = p.rows[m] + th * p.row_h + tw * p.row_w;
      for (int64_t i = 0; i != k_end; i += step) {
        V b[vectors];
        TCONV_UNROLL for (int v = 0; v < vectors; ++v) b[v] = hn::LoadU(d, vector + v * lanes);
        vector += vectors * lanes;
        TCONV_UNROLL for (int m = 0; m < rows; ++m) {
          const V a = hn::Set(d, row[m][i]);
          TCONV_UNROLL for (int v = 0; v < vectors; ++v) {
            sums[m][v] = hn::MulAdd(a, b[v], sums[m][v]);
          }
        }
      }
    }
  }
  store_tile<rows, vectors, T>(sums, p, count);
}

/// `rows` pixels and two vectors of channels from `c` on, each with its own filter.
template <int rows, typename T>
HWY_INLINE void multiply_own(const Product<T>& p, int64_t c, int64_t count) {
  constexpr int kVectors = 2;
  const Full<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V sums[rows][kVectors];
  TCONV_UNROLL for (int v = 0; v < kVectors; ++v) {
    const V start = load_some(d, p.start + c + v * lanes, count - v * lanes);
    TCONV_UNROLL for (int m = 0; m < rows; ++m) sums[m][v] = start;
  }
  for (int64_t th = 0; th < p.taps_h; ++th) {
    for (int64_t tw = 0; tw < p.taps_w; ++tw) {
      const T* HWY_RESTRICT filter = p.vectors + th * p.vector_h + tw * p.vector_w + c;
      const int64_t shift = th * p.row_h + tw * p.row_w + c;
      if (count == kVectors * lanes) {
        TCONV_UNROLL for (int v = 0; v < kVectors; ++v) {
          const V b = hn::LoadU(d, filter + v * lanes);
          TCONV_UNROLL for (int m = 0; m < rows; ++m) {
            sums[m][v] = hn::MulAdd(hn::LoadU(d, p.rows[m] + shift + v * lanes), b, sums[m][v]);
          }
        }
        continue;
      }
      TCONV_UNROLL for (int v = 0; v < kVectors; ++v) {
        const V b = load_some(d, filter + v * lanes, count - v * lanes);
        TCONV_UNROLL for (int m = 0; m < rows; ++m) {
          const V a = load_some(d, p.rows[m] + shift + v * lanes, count - v * lanes);
          sums[m][v] = hn::MulAdd(a, b, sums[m][v]);
        }
      }
    }
  }
  TCONV_UNROLL for (int m = 0; m < rows; ++m) {
    TCONV_UNROLL for (int v = 0; v < kVectors; ++v) {
      if (p.streams && count == kVectors * lanes) {
        hn::Stream(sums[m][v], d, p.out[m] + c + v * lanes);
      } else {
        store_some(d, sums[m][v], p.out[m] + c + v * lanes, count - v * lanes);
      }
    }
  }
}

/// Where every channel has its own input channel: rows are vectors too, there is no k, and one tile
/// has all `count` channels, so that pixels are read from end to end.
template <int rows, typename T>
HWY_NOINLINE void multiply_depthwise(const Product<T>& p, int64_t count) {
  const auto both = static_cast<int64_t>(2 * hn::Lanes(Full<T>()));
  for (int64_t c = 0; c < count; c += both) multiply_own<rows>(p, c, std::min(both, count - c));
}

template <typename T>
using Multiply = void (*)(const Product<T>&, int64_t);

template <int rows, int vectors>
inline constexpr int kRows = static_cast<int>(std::min<int64_t>(rows, most_rows(vectors)));

/// The instance for so many rows (at most most_rows(vectors)) and vectors.
template <typename T>
Multiply<T> multiply_for(int64_t rows, int64_t vectors) {
  static constexpr auto kInstances = []<int... i>(std::integer_sequence<int, i...>) {
    return std::array<Multiply<T>, sizeof...(i)>{
        &multiply<kRows<i % kMostRows + 1, i / kMostRows + 1>, i / kMostRows + 1, T>...};
  }(std::make_integer_sequence<int, kMostRows * kMostVectors>());
  return kInstances[static_cast<std::size_t>((vectors - 1) * kMostRows + rows - 1)];
}

template <typename T>
Multiply<T> multiply_depthwise_for(int64_t rows) {
  static constexpr Multiply<T> kInstances[kDepthwiseRows] = {
      multiply_depthwise<1, T>, multiply_depthwise<2, T>, multiply_depthwise<3, T>,
      multiply_depthwise<4, T>};
  return kInstances[rows - 1];
}

}  // namespace tconv::host::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
