// SPDX-License-Identifier: Apache-2.0
// gather-inl.h: the second half of the method `columns`: rows of outputs from entries.
//
// The phases of W of one row are summed side by side in registers and interleaved as they are
// stored. Sums go by tap along W, then by tap along H, wherever a position lies.

// Compiled once for each instruction set: see kernels.cpp.
HWY_BEFORE_NAMESPACE();
namespace tconv::host::simd::HWY_NAMESPACE {

/// Numbers at regular distances, one for each tap of a rectangle.
template <typename T>
struct Entries {
  const T* first;
  int64_t step_h, step_w;

  const T* at(int64_t th, int64_t tw) const { return first + th * step_h + tw * step_w; }
};

/// One row of outputs of one phase: position i adds tap t along W where
/// 0 <= i + shift - step*t < in.
template <typename T>
struct Row {
  Entries<T> entries;  ///< of position 0
  Entries<T> filters;  ///< where there is something to multiply with
  int64_t taps_h, taps_w, shift, step, in;
  T start;
  const uint16_t* masks;  ///< see Masks; null: none were made
  int64_t masks_step;     ///< from tap to tap

  /// The positions that tap t reaches.
  Range positions_of(int64_t t) const { return {step * t - shift, in + step * t - shift}; }
  /// Those of `range` that all taps reach.
  Range inside(Range range) const {
    if (taps_w == 0) return range;
    return {std::max(range.begin, positions_of(taps_w - 1).begin),
            std::min(range.end, positions_of(0).end)};
  }
};

template <bool multiplies, class D, class V, typename T>
HWY_INLINE V add_entry(D d, V entry, const T* filter, V sum) {
  return multiplies ? hn::MulAdd(entry, hn::Set(d, *filter), sum) : hn::Add(sum, entry);
}

/// Calls body(th) for each tap of H; `taps` > 0: that many, which are unrolled.
template <int taps, class Body>
HWY_INLINE void for_taps(int64_t count, Body&& body) {
  if constexpr (taps > 0) {
    TCONV_UNROLL for (int th = 0; th < taps; ++th) body(th);
  } else {
    for (int64_t th = 0; th < count; ++th) body(th);
  }
}

/// sums[v] of `vectors` vectors of positions from i on, all taps of all of them inside.
template <int vectors, int taps_h, bool multiplies, typename T>
HWY_INLINE void add_inside(const Row<T>& row, int64_t i, hn::Vec<Full<T>>* sums) {
  const Full<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<decltype(d)> s[vectors];
  TCONV_UNROLL for (auto& sum : s) sum = hn::Set(d, row.start);
  const int64_t entry_h = row.entries.step_h, filter_h = row.filters.step_h;
  const T *from = row.entries.first + i, *filter = row.filters.first;
  for (int64_t tw = 0; tw < row.taps_w; ++tw) {
    for_taps<taps_h>(row.taps_h, [&](int64_t th) {
      TCONV_UNROLL for (int v = 0; v < vectors; ++v) {
        s[v] = add_entry<multiplies>(d, hn::LoadU(d, from + th * entry_h + v * lanes),
                                     filter + th * filter_h, s[v]);
      }
    });
    from += row.entries.step_w, filter += row.filters.step_w;
  }
  TCONV_UNROLL for (int v = 0; v < vectors; ++v) sums[v] = s[v];
}

/// The lanes of the vector of positions from i on that tap t reaches, up to position `count`.
template <typename T>
HWY_INLINE Range lanes_of(const Row<T>& row, int64_t t, int64_t i, int64_t count) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(Full<T>()));
  const Range inside = row.positions_of(t);
  const int64_t begin = std::clamp<int64_t>(inside.begin - i, 0, lanes);
  return {begin, std::clamp<int64_t>(std::min(inside.end, count) - i, begin, lanes)};
}

constexpr uint16_t bits_of(Range lanes) {
  return static_cast<uint16_t>((1u << lanes.end) - (1u << lanes.begin));
}

/// All lanes_of() of a task as bits, by phase, tap and vector, if there are not too many: alike for
/// all its rows, and their counting takes longer than the sums.
struct Masks {
  static constexpr int64_t kMost = 4096;
  uint16_t bits[kMost + 4];  // some more are read, and not used
};

/// Fills in the masks of a row of `count` positions from `next` on. Returns what follows them.
template <typename T>
uint16_t* make_masks(Row<T>& row, int64_t count, uint16_t* next) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(Full<T>()));
  row.masks = next, row.masks_step = ceil_div(count, lanes);
  for (int64_t t = 0; t < row.taps_w; ++t) {
    for (int64_t i = 0; i < count; i += lanes) {
      *next++ = bits_of(lanes_of(row, t, i, count));
    }
  }
  return next;
}

/// Of one vector of positions from i on, some taps of which miss the input, or which lie at `count`
/// and beyond: those are not even multiplied.
template <int taps_h, bool multiplies, typename T>
HWY_INLINE hn::Vec<Full<T>> add_at_border(const Row<T>& row, int64_t i, int64_t count) {
  const Full<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum = hn::Set(d, row.start);
  const int64_t entry_h = row.entries.step_h, filter_h = row.filters.step_h;
  const T *from = row.entries.first + i, *filter = row.filters.first;
  const uint16_t* bits = row.masks != nullptr ? row.masks + i / lanes : nullptr;
  for (int64_t tw = 0; tw < row.taps_w; ++tw) {
    if constexpr (kMasks<T>) {
      uint16_t counted[4];  // as many bytes as may be read
      if (row.masks == nullptr) counted[0] = bits_of(lanes_of(row, tw, i, count)), bits = counted;
      const auto mask = hn::LoadMaskBits(d, reinterpret_cast<const uint8_t*>(bits));
      for_taps<taps_h>(row.taps_h, [&](int64_t th) {
        const auto entry = hn::MaskedLoad(mask, d, from + th * entry_h);
        sum =
            hn::IfThenElse(mask, add_entry<multiplies>(d, entry, filter + th * filter_h, sum), sum);
      });
      bits += row.masks_step;
    } else {
      const Range reached = lanes_of(row, tw, i, count);
      HWY_ALIGN T sums[hn::MaxLanes(d)];
      hn::Store(sum, d, sums);
      for_taps<0>(row.taps_h, [&](int64_t th) {
        const T *entry = from + th * entry_h, factor = multiplies ? filter[th * filter_h] : T{0};
        for (int64_t j = reached.begin; j < reached.end; ++j) {
          sums[j] = multiplies ? std::fma(entry[j], factor, sums[j]) : sums[j] + entry[j];
        }
      });
      sum = hn::Load(d, sums);
    }
    from += row.entries.step_w, filter += row.filters.step_w;
  }
  return sum;
}

/// Phases side by side -> outputs in order. `streams`: past the caches; `to` is aligned to vectors.
template <int phases, class V, typename T>
HWY_INLINE void store_interleaved(const V (&sums)[phases], T* to, bool streams) {
  const Full<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  HWY_ALIGN T all[phases * hn::MaxLanes(d)];
  T* const made = streams ? all : to;
  if constexpr (phases == 1) hn::StoreU(sums[0], d, made);
  if constexpr (phases == 2) hn::StoreInterleaved2(sums[0], sums[1], d, made);
  if constexpr (phases == 3) hn::StoreInterleaved3(sums[0], sums[1], sums[2], d, made);
  if constexpr (phases == 4) hn::StoreInterleaved4(sums[0], sums[1], sums[2], sums[3], d, made);
  if (!streams) return;
  for (int j = 0; j < phases; ++j) hn::Stream(hn::Load(d, all + j * lanes), d, to + j * lanes);
}

/// to[i*phases + f] = the sum of position i of rows[f], `count` numbers in all.
template <int phases, int taps_h, bool multiplies, typename T>
void gather_phases(const Row<T>* rows, int64_t count, T* to, bool streams) {
  const Full<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  constexpr int kVectors = 4 / phases > 0 ? 4 / phases : 1;  // for each phase, at once
  const int64_t positions = ceil_div(count, phases);
  Range inside = {0, positions};
  for (int f = 0; f < phases; ++f) inside = rows[f].inside(inside);
  for (int64_t i = 0; i < positions;) {
    const bool all_in = i >= inside.begin;
    if (all_in && i + kVectors * lanes <= inside.end && (i + kVectors * lanes) * phases <= count) {
      V sums[phases][kVectors];
      TCONV_UNROLL for (int f = 0; f < phases; ++f) {
        add_inside<kVectors, taps_h, multiplies>(rows[f], i, sums[f]);
      }
      TCONV_UNROLL for (int v = 0; v < kVectors; ++v) {
        V of_phase[phases];
        TCONV_UNROLL for (int f = 0; f < phases; ++f) of_phase[f] = sums[f][v];
        store_interleaved<phases>(of_phase, to + (i + v * lanes) * phases, streams);
      }
      i += kVectors * lanes;
      continue;
    }
    V sums[phases];
    if (all_in && i + lanes <= inside.end) {
      TCONV_UNROLL for (int f = 0; f < phases; ++f) {
        add_inside<1, taps_h, multiplies>(rows[f], i, &sums[f]);
      }
    } else {
      TCONV_UNROLL for (int f = 0; f < phases; ++f) {
        sums[f] = add_at_border<taps_h, multiplies>(rows[f], i, positions);
      }
    }
    if ((i + lanes) * phases <= count) {
      store_interleaved<phases>(sums, to + i * phases, streams);
    } else {
      HWY_ALIGN T last[phases * hn::MaxLanes(d)];
      store_interleaved<phases>(sums, last, false);
      std::copy_n(last, count - i * phases, to + i * phases);
    }
    i += lanes;
  }
}

template <int phases, bool multiplies, typename T>
void gather_phases(const Row<T>* rows, int64_t count, T* to, bool streams) {
  switch (rows->taps_h) {
    case 1: return gather_phases<phases, 1, multiplies>(rows, count, to, streams);
    case 2: return gather_phases<phases, 2, multiplies>(rows, count, to, streams);
    case 3: return gather_phases<phases, 3, multiplies>(rows, count, to, streams);
    default: return gather_phases<phases, 0, multiplies>(rows, count, to, streams);
  }
}

/// The same for any number of phases. `room`: a row of `room_step` numbers for each, if they are
/// more than can be interleaved in registers.
template <bool multiplies, typename T>
void gather_row(const Row<T>* rows, int64_t phases, int64_t count, T* room, int64_t room_step,
                T* to, bool streams) {
  switch (phases) {
    case 1: return gather_phases<1, multiplies>(rows, count, to, streams);
    case 2: return gather_phases<2, multiplies>(rows, count, to, streams);
    case 3: return gather_phases<3, multiplies>(rows, count, to, streams);
    case 4: return gather_phases<4, multiplies>(rows, count, to, streams);
    default: break;
  }
  const int64_t whole = count / phases, rest = count % phases;
  for (int64_t f = 0; f < phases; ++f) {
    gather_phases<1, multiplies>(rows + f, whole + (f < rest ? 1 : 0), room + f * room_step, false);
  }
  // More phases than registers interleave are not streamed: see streams_output.
  turn(room, room_step, phases, whole, to, phases);
  for (int64_t f = 0; f < rest; ++f) to[whole * phases + f] = room[f * room_step + whole];
}

/// A tile of the method `columns` whose columns are outputs already: `rows` rows of outputs, each
/// of `phases` columns of `strip` pixels, which lie in one row of the window or in several.
template <typename T>
struct Straight {
  const T* sums;
  int64_t strip, pixels;  ///< room, and those that there are
  int64_t y, x, width;    ///< of the first pixel, and the pixels of a row of the window
  int64_t rows;
  T start[kMostRows];  ///< added to the sums of a row
  T* out[kMostRows];   ///< of pixel (0, 0)
  int64_t out_row;     ///< from the outputs of a row of the window to those of the next
  bool streams;        ///< past the caches; `out` is aligned to vectors, rows are whole vectors
};

template <int phases, typename T>
void write_straight(const Straight<T>& s) {
  const Full<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t y = s.y, x = s.x;
  for (int64_t i = 0; i < s.pixels; i += lanes) {
    const bool whole = x + lanes <= s.width && i + lanes <= s.pixels;
    for (int64_t row = 0; row < s.rows; ++row) {
      const V start = hn::Set(d, s.start[row]);
      const T* from = s.sums + row * phases * s.strip + i;
      V sums[phases];
      TCONV_UNROLL for (int f = 0; f < phases; ++f) {
        sums[f] = hn::Add(start, hn::LoadU(d, from + f * s.strip));
      }
      T* to = s.out[row] + y * s.out_row;
      if (whole) {
        store_interleaved<phases>(sums, to + x * phases, s.streams);
        continue;
      }
      HWY_ALIGN T all[phases * hn::MaxLanes(d)];
      store_interleaved<phases>(sums, all, false);
      const int64_t count = std::min(lanes, s.pixels - i);
      for (int64_t done = 0, at = x; done < count; at = 0, to += s.out_row) {
        const int64_t piece = std::min(count - done, s.width - at);
        std::copy_n(all + done * phases, piece * phases, to + at * phases);
        done += piece;
      }
    }
    for (x += lanes; x >= s.width; x -= s.width) ++y;
  }
}

template <typename T>
void write_straight(int64_t phases, const Straight<T>& s) {
  switch (phases) {
    case 1: return write_straight<1>(s);
    case 2: return write_straight<2>(s);
    case 3: return write_straight<3>(s);
    default: return write_straight<4>(s);
  }
}

}  // namespace tconv::host::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
