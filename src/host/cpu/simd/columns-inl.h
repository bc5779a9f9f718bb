// SPDX-License-Identifier: Apache-2.0
// columns-inl.h: the method `columns`: one task.
//
// Pixels lie side by side: few output channels cost nothing, and rows of NCHW are written as they
// lie. A matrix product of the window's pixels with all taps of a few channels (k = input channels)
// fills columns that stay in the second-level cache; then each output adds its entries, one per tap
// that reaches it, in a fixed order. With one input channel there is nothing to sum before: the
// entries are the pixels themselves, multiplied as they are added.

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

/// One row of outputs of one phase: position i adds tap t along W where  0 <= i + shift - step*t <
/// in.
template <typename T>
struct Row {
  Entries<T> entries;  ///< of position 0
  Entries<T> filters;  ///< where there is something to multiply with
  int64_t taps_h, taps_w, shift, step, in;
  T start;

  Range positions_of(int64_t t) const { return {step * t - shift, in + step * t - shift}; }
};

/// `vectors` vectors of positions from i on, all taps of all of them inside.
template <int vectors, bool multiplies, typename T>
HWY_INLINE void add_inside(const Row<T>& row, int64_t i, T* to) {
  const Full<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<decltype(d)> sums[vectors];
  TCONV_UNROLL for (auto& sum : sums) sum = hn::Set(d, row.start);
  for (int64_t th = 0; th < row.taps_h; ++th) {
    const T *from = row.entries.at(th, 0) + i, *filter = row.filters.at(th, 0);
    for (int64_t tw = 0; tw < row.taps_w; ++tw) {
      TCONV_UNROLL for (int v = 0; v < vectors; ++v) {
        const auto entry = hn::LoadU(d, from + v * lanes);
        sums[v] =
            multiplies ? hn::MulAdd(entry, hn::Set(d, *filter), sums[v]) : hn::Add(sums[v], entry);
      }
      from += row.entries.step_w, filter += row.filters.step_w;
    }
  }
  TCONV_UNROLL for (int v = 0; v < vectors; ++v) hn::StoreU(sums[v], d, to + i + v * lanes);
}

/// One vector of positions from i on, some taps of which miss the input: those are not even
/// multiplied.
template <bool multiplies, typename T>
HWY_INLINE void add_at_border(const Row<T>& row, int64_t i, int64_t count, T* to) {
  const Full<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum = hn::Set(d, row.start);
  for (int64_t tw = 0; tw < row.taps_w; ++tw) {
    const Range inside = row.positions_of(tw);
    const int64_t begin = std::clamp<int64_t>(inside.begin - i, 0, lanes);
    const int64_t end = std::clamp<int64_t>(std::min(inside.end, count) - i, begin, lanes);
    if (begin == end) continue;
    if constexpr (kMasks<T>) {
      const auto lower = hn::FirstN(d, static_cast<std::size_t>(begin));
      const auto mask = hn::AndNot(lower, hn::FirstN(d, static_cast<std::size_t>(end)));
      for (int64_t th = 0; th < row.taps_h; ++th) {
        const auto entry = hn::MaskedLoad(mask, d, row.entries.at(th, tw) + i);
        const auto next = multiplies ? hn::MulAdd(entry, hn::Set(d, *row.filters.at(th, tw)), sum)
                                     : hn::Add(sum, entry);
        sum = hn::IfThenElse(mask, next, sum);
      }
    } else {
      HWY_ALIGN T sums[hn::MaxLanes(d)];
      hn::Store(sum, d, sums);
      for (int64_t th = 0; th < row.taps_h; ++th) {
        const T *entry = row.entries.at(th, tw) + i, *filter = row.filters.at(th, tw);
        for (int64_t j = begin; j < end; ++j) {
          sums[j] = multiplies ? std::fma(entry[j], *filter, sums[j]) : sums[j] + entry[j];
        }
      }
      sum = hn::Load(d, sums);
    }
  }
  store_some(d, sum, to + i, count - i);
}

/// to[i] = start + the entries of position i (times the filters), i < count.
template <bool multiplies, typename T>
void add_row(const Row<T>& row, int64_t count, T* to) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(Full<T>()));
  constexpr int kAtOnce = 4;
  const Range all = {row.positions_of(row.taps_w - 1).begin,
                     std::min(count, row.positions_of(0).end)};
  for (int64_t i = 0; i < count;) {
    if (i >= all.begin && i + kAtOnce * lanes <= all.end) {
      add_inside<kAtOnce, multiplies>(row, i, to);
      i += kAtOnce * lanes;
    } else if (i >= all.begin && i + lanes <= all.end) {
      add_inside<1, multiplies>(row, i, to);
      i += lanes;
    } else {
      add_at_border<multiplies>(row, i, count, to);
      i += lanes;
    }
  }
}

template <typename T>
class ColumnsTask {
 public:
  ColumnsTask(const Job& job, int64_t index, std::byte* room)
      : job_(job),
        s_(job.state),
        d_(job.state.desc),
        finish_(job),
        task_(s_.task(index)),
        h_(State::window_of(s_.h, task_.h)),
        w_(State::window_of(s_.w, task_.w)),
        pixels_(h_.count() * w_.count()),
        padded_(s_.padded_pixels(pixels_)) {
    const auto take = [&room](int64_t elements) {
      auto* taken = reinterpret_cast<T*>(room);
      room += ceil_div(elements * static_cast<int64_t>(sizeof(T)), 64) * 64;
      return taken;
    };
    pixels_room_ = take(s_.adds_pixels()   ? pixels_
                        : s_.turns_columns ? s_.strip * s_.in_c
                                           : padded_ * s_.k_block());
    streams_ = s_.streams_output &&
               reinterpret_cast<std::uintptr_t>(job.tensors.output) %
                       (static_cast<std::size_t>(s_.lanes) * sizeof(T)) ==
                   0 &&
               task_.w.begin * s_.w.phases % s_.lanes == 0;
    sums_ = take(s_.adds_pixels() ? 0 : padded_ * s_.block * s_.taps);
    phases_ = take(s_.w.phases * row_length());
    row_ = take(s_.w.phases * row_length());
    piece_ = take(s_.adds_pixels()   ? 0
                  : s_.turns_columns ? s_.strip * s_.padded_columns()
                                     : padded_);
  }

  void run() {
    for (n_ = task_.n.begin; n_ < task_.n.end; ++n_) {
      int64_t group = -1;
      for (int64_t b = task_.blocks.begin; b < task_.blocks.end; ++b) {
        const bool is_new = group != b / s_.blocks;
        group = b / s_.blocks, first_c_ = group * s_.in_c;
        first_k_ = group * s_.out_c + b % s_.blocks * s_.block;
        channels_ = std::min(s_.block, s_.out_c - b % s_.blocks * s_.block);
        filters_ = static_cast<const T*>(job_.packed) + s_.chunk_offset(b);
        if (s_.adds_pixels()) {
          if (is_new) read_window();
        } else if (s_.turns_columns) {
          multiply_channels();
        } else {
          for (int64_t k = 0; k == 0 || k < s_.in_c;
               k += s_.k_block()) {  // no channels: sums of zero
            const Range channels = {k, std::min(s_.in_c, k + s_.k_block())};
            if (is_new || s_.in_c > s_.k_block()) pack_pixels(channels);
            multiply_pixels(channels);
          }
          entry_ = sums_, entry_row_ = w_.count();
        }
        // A channel's rows one after the other: they are neighbours in the output.
        for (int64_t k = 0; k < channels_; ++k) gather(k);
      }
    }
    if (streams_) hwy::FlushStream();
  }

 private:
  int64_t row_length() const { return ceil_div(task_.w.count(), s_.lanes) * s_.lanes; }
  /// The offset of pixel i of the window.
  int64_t pixel(int64_t i) const {
    const int64_t width = w_.count();
    return d_.input_strides.offset(n_, h_.begin + i / width, w_.begin + i % width, first_c_);
  }
  void read_row(int64_t y, int64_t k, T* to) const {
    const Strides& from = d_.input_strides;
    widen_row(d_.dtype, job_.tensors.input, from.offset(n_, h_.begin + y, w_.begin, first_c_ + k),
              from.w, w_.count(), to);
  }

  /// entry_ = the window of one channel, where it lies if that is possible.
  void read_window() {
    entry_row_ = d_.input_strides.h;
    entry_ = static_cast<const T*>(job_.tensors.input) + (pixels_ == 0 ? 0 : pixel(0));
    if (d_.input_strides.w == 1 && s_.reads_in_place) return;
    for (int64_t y = 0; y < h_.count(); ++y) read_row(y, 0, pixels_room_ + y * w_.count());
    entry_ = pixels_room_, entry_row_ = w_.count();
  }

  // ---- Where input channels lie side by side: columns are made so, and turned.
  // --------------------

  /// sums[channel][tap][pixel]. The filters of a chunk: blocks [k][vectors of columns].
  void multiply_channels() {
    const int64_t width = s_.padded_columns(channels_), columns = channels_ * s_.taps;
    HWY_ALIGN static constexpr T kZeros[kMostVectors * hn::MaxLanes(Full<T>())] = {};
    Product<T> p;
    p.k = s_.in_c, p.start = kZeros;
    const bool in_place = s_.reads_in_place && d_.input_strides.c == 1;
    for (int64_t first = 0; first < pixels_; first += s_.strip) {
      const int64_t strip = std::min(s_.strip, pixels_ - first);
      if (!in_place) {
        for (int64_t i = 0; i < strip; ++i) {
          widen_row(d_.dtype, job_.tensors.input, pixel(first + i), d_.input_strides.c, s_.in_c,
                    pixels_room_ + i * s_.in_c);
        }
      }
      for (int64_t column = 0; column < width;) {
        const int64_t vectors = std::min(s_.vectors, (width - column) / s_.lanes);
        const int64_t most = most_rows(vectors), tiles = ceil_div(strip, most);
        p.vectors = filters_ + column * s_.in_c;
        for (int64_t tile = 0, done = 0; tile < tiles; ++tile) {
          const int64_t end = strip * (tile + 1) / tiles;
          for (int64_t m = 0; m < end - done; ++m) {
            p.rows[m] = in_place
                            ? static_cast<const T*>(job_.tensors.input) + pixel(first + done + m)
                            : pixels_room_ + (done + m) * s_.in_c;
            p.out[m] = piece_ + (done + m) * width + column;
          }
          multiply_for<T>(end - done, vectors)(p, vectors * s_.lanes);
          done = end;
        }
        column += vectors * s_.lanes;
      }
      turn(piece_, width, strip, columns, sums_ + first, padded_);
    }
    entry_ = sums_, entry_row_ = w_.count();
  }

  // ---- Where pixels lie side by side: they are packed so.
  // -----------------------------------------

  /// [strip of pixels][k][pixels of a strip], the last strip filled up with zeros.
  void pack_pixels(Range channels) {
    const Full<T> d;
    const Strides& from = d_.input_strides;
    const bool in_place = s_.reads_in_place && from.w == 1 &&
                          (h_.count() == 1 || from.h == w_.count()) && pixels_ > 0;
    if (!in_place) std::fill(piece_ + pixels_, piece_ + padded_, T{0});
    for (int64_t k = channels.begin; k < channels.end; ++k) {
      const T* pixels = piece_;
      if (in_place) {
        pixels = static_cast<const T*>(job_.tensors.input) + pixel(0) + k * from.c;
      } else {
        for (int64_t y = 0; y < h_.count(); ++y) read_row(y, k, piece_ + y * w_.count());
      }
      for (int64_t first = 0; first < pixels_; first += s_.strip) {
        T* to = pixels_room_ + first * channels.count() + (k - channels.begin) * s_.strip;
        for (int64_t i = 0; i < s_.strip; i += s_.lanes) {
          hn::StoreU(load_some(d, pixels + first + i, pixels_ - first - i), d, to + i);
        }
      }
    }
  }

  /// sums[channel][tap][pixel] += the products of these input channels. The filters of a chunk:
  /// groups of columns [k][columns of a group].
  void multiply_pixels(Range channels) {
    const int64_t columns = channels_ * s_.taps, groups = ceil_div(columns, s_.target->column_rows);
    HWY_ALIGN static constexpr T kZeros[kMostVectors * hn::MaxLanes(Full<T>())] = {};
    Product<T> p;
    p.k = channels.count(), p.start = channels.begin == 0 ? kZeros : nullptr;
    for (int64_t first = 0; first < pixels_; first += s_.strip) {
      p.vectors = pixels_room_ + first * channels.count();
      for (int64_t g = 0, begin = 0; g < groups; ++g) {
        const int64_t end = columns * (g + 1) / groups;
        p.row_step = end - begin;
        for (int64_t m = 0; m < end - begin; ++m) {
          p.rows[m] = filters_ + begin * s_.in_c + channels.begin * p.row_step + m;
          p.out[m] = sums_ + (begin + m) * padded_ + first;
        }
        multiply_for<T>(end - begin, s_.vectors)(p, s_.strip);
        begin = end;
      }
    }
  }

  // ---- Outputs from entries.
  // ----------------------------------------------------------------------

  /// All outputs of a channel.
  void gather(int64_t k) {
    for (int64_t qy = task_.h.begin; qy < task_.h.end; ++qy) {
      for (int64_t phase = 0; phase < s_.h.phases; ++phase) {
        if (qy < phase_extent(s_.h.axis, phase)) gather_row(k, qy, phase);
      }
    }
  }

  void gather_row(int64_t k, int64_t qy, int64_t phase) {
    const PhaseWindow& window = s_.h.kept[static_cast<std::size_t>(phase)];
    const Taps taps = taps_at(window, s_.h.axis.in, qy);
    const int64_t r = window.first_tap + taps.first * window.tap_step;
    const int64_t y = qy + window.shift - taps.first * window.input_step - h_.begin;
    const int64_t p = qy * s_.h.axis.stride + phase, q = task_.w.begin * s_.w.axis.stride;
    const int64_t count = std::min(d_.w.out - q, task_.w.count() * s_.w.phases);
    T* out = row_;
    if (s_.writes_in_place) {
      out = static_cast<T*>(job_.tensors.output) + d_.output_strides.offset(n_, p, q, first_k_ + k);
    }
    T* row = streams_ ? row_ : out;
    const T* of_phase[kMostPhases];
    for (int64_t f = 0; f < s_.w.phases; ++f) {
      T* to = s_.w.phases == 1 ? row : phases_ + f * row_length();
      gather_phase(row_of(window, taps, r, y, k, f), f, to);
      of_phase[f] = to;
    }
    if (s_.w.phases > 1) interleave(of_phase, s_.w.phases, count, row);
    if (streams_) {
      stream_row(row, count, out);
    } else {
      finish_.row(row, count, false, n_, p, q, first_k_ + k);
    }
  }

  /// What adds up to outputs of channel k and phase f, if taps from row r of the filters on reach
  /// rows of the window from y on.
  Row<T> row_of(const PhaseWindow& h, Taps taps, int64_t r, int64_t y, int64_t k, int64_t f) const {
    const PhaseWindow& w = s_.w.kept[static_cast<std::size_t>(f)];
    const int64_t tap = k * s_.taps + r * d_.w.kernel + w.first_tap;
    const int64_t x = task_.w.begin + w.shift - w_.begin;
    // From one tap to the next: in the columns, which are one behind the other, and in the window.
    const int64_t column = s_.adds_pixels() ? 0 : padded_;
    const int64_t step_h = h.tap_step * d_.w.kernel, step_w = w.tap_step;
    return {
        .entries = {entry_ + tap * column + y * entry_row_ + x,
                    step_h * column - h.input_step * entry_row_, step_w * column - w.input_step},
        .filters = {filters_ + tap, step_h, step_w},
        .taps_h = taps.count,
        .taps_w = taps.count == 0 ? 0 : w.tap_count,
        .shift = task_.w.begin + w.shift,
        .step = w.input_step,
        .in = s_.w.axis.in,
        .start = static_cast<const T*>(job_.bias)[first_k_ + k]};
  }

  void gather_phase(const Row<T>& row, int64_t f, T* to) {
    const int64_t count = std::min(task_.w.end, phase_extent(s_.w.axis, f)) - task_.w.begin;
    if (s_.adds_pixels()) {
      add_row<true>(row, count, to);
    } else {
      add_row<false>(row, count, to);
    }
  }

  const Job& job_;
  const State& s_;
  const ProblemDesc& d_;
  const Finish<T> finish_;
  const Task task_;
  const Range h_, w_;  ///< of the input
  const int64_t pixels_, padded_;
  T *pixels_room_, *sums_, *phases_, *row_, *piece_;
  // The image, group and chunk at work.
  int64_t n_ = 0, first_c_ = 0, first_k_ = 0, channels_ = 1;
  const T* filters_ = nullptr;
  const T* entry_ = nullptr;  ///< of the first column
  int64_t entry_row_ = 0;     ///< from row to row of the window
  bool streams_ = false;
};

}  // namespace tconv::host::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
