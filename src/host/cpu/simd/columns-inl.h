// SPDX-License-Identifier: Apache-2.0
// columns-inl.h: the method `columns`: one task.
//
// Pixels lie side by side: few output channels cost nothing, and rows of NCHW are written as they lie.
// A matrix product of the window's pixels with all taps of a few channels (k = input channels) fills
// columns that stay in the second-level cache; then each output adds its entries, one per tap that
// reaches it, in a fixed order. With one input channel there is nothing to sum before: the entries are
// the pixels themselves, multiplied as they are added.

// Compiled once for each instruction set: see kernels.cpp.
HWY_BEFORE_NAMESPACE();
namespace tconv::host::simd::HWY_NAMESPACE {

/// Numbers at regular distances, one for each tap of a rectangle.
template <typename T>
struct Entries {
  const T* first;
  int64_t step_h, step_w;
};

/// to[i] = start + sum over taps of entries[i] (times a filter, if there are filters).
template <bool multiplies, typename T>
HWY_INLINE void add_entries(const Entries<T>& entries, const Entries<T>& filters, Taps h, Taps w, T start,
                            int64_t count, T* to) {
  const Full<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  constexpr int kAtOnce = 4;
  int64_t i = 0;
  for (; i + kAtOnce * lanes <= count; i += kAtOnce * lanes) {
    hn::Vec<decltype(d)> sums[kAtOnce];
    TCONV_UNROLL for (auto& sum : sums) sum = hn::Set(d, start);
    for (int64_t th = 0; th < h.count; ++th) {
      const T* from = entries.first + th * entries.step_h + i;
      const T* filter = filters.first + th * filters.step_h;
      for (int64_t tw = 0; tw < w.count; ++tw, from += entries.step_w, filter += filters.step_w) {
        TCONV_UNROLL for (int v = 0; v < kAtOnce; ++v) {
          const auto entry = hn::LoadU(d, from + v * lanes);
          sums[v] = multiplies ? hn::MulAdd(entry, hn::Set(d, *filter), sums[v])
                               : hn::Add(sums[v], entry);
        }
      }
    }
    TCONV_UNROLL for (int v = 0; v < kAtOnce; ++v) hn::StoreU(sums[v], d, to + i + v * lanes);
  }
  for (; i < count; i += lanes) {
    auto sum = hn::Set(d, start);
    for (int64_t th = 0; th < h.count; ++th) {
      for (int64_t tw = 0; tw < w.count; ++tw) {
        const auto entry =
            load_some(d, entries.first + th * entries.step_h + tw * entries.step_w + i, count - i);
        const T* filter = filters.first + th * filters.step_h + tw * filters.step_w;
        sum = multiplies ? hn::MulAdd(entry, hn::Set(d, *filter), sum) : hn::Add(sum, entry);
      }
    }
    store_some(d, sum, to + i, count - i);
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
    pixels_room_ = take(s_.adds_pixels() ? pixels_ : s_.turns_columns ? s_.strip * s_.in_c : padded_ * s_.in_c);
    sums_ = take(s_.adds_pixels() ? 0 : padded_ * s_.block * s_.taps);
    phases_ = take(s_.w.phases * row_length());
    row_ = take(s_.w.phases * row_length());
    piece_ = take(s_.adds_pixels() ? 0 : s_.turns_columns ? s_.strip * s_.padded_columns() : padded_);
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
          if (is_new) pack_pixels();
          multiply_pixels();
        }
        for (int64_t phase = 0; phase < s_.h.phases; ++phase) gather_rows(phase);
      }
    }
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
    widen_row(d_.dtype, job_.tensors.input, from.offset(n_, h_.begin + y, w_.begin, first_c_ + k), from.w,
              w_.count(), to);
  }

  /// entry_ = the window of one channel, where it lies if that is possible.
  void read_window() {
    entry_row_ = d_.input_strides.h;
    entry_ = static_cast<const T*>(job_.tensors.input) + (pixels_ == 0 ? 0 : pixel(0));
    if (d_.input_strides.w == 1 && s_.reads_in_place) return;
    for (int64_t y = 0; y < h_.count(); ++y) read_row(y, 0, pixels_room_ + y * w_.count());
    entry_ = pixels_room_, entry_row_ = w_.count();
  }

  // ---- Where input channels lie side by side: columns are made so, and turned. --------------------

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
        const int64_t most = most_rows(static_cast<int>(vectors)), tiles = ceil_div(strip, most);
        p.vectors = filters_ + column * s_.in_c;
        for (int64_t tile = 0, done = 0; tile < tiles; ++tile) {
          const int64_t end = strip * (tile + 1) / tiles;
          for (int64_t m = 0; m < end - done; ++m) {
            p.rows[m] = in_place ? static_cast<const T*>(job_.tensors.input) + pixel(first + done + m)
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

  // ---- Where pixels lie side by side: they are packed so. -----------------------------------------

  /// [strip of pixels][k][pixels of a strip], the last strip filled up with zeros.
  void pack_pixels() {
    const Full<T> d;
    std::fill(piece_ + pixels_, piece_ + padded_, T{0});
    for (int64_t k = 0; k < s_.in_c; ++k) {
      for (int64_t y = 0; y < h_.count(); ++y) read_row(y, k, piece_ + y * w_.count());
      for (int64_t first = 0; first < pixels_; first += s_.strip) {
        T* to = pixels_room_ + first * s_.in_c + k * s_.strip;
        for (int64_t i = 0; i < s_.strip; i += s_.lanes) {
          hn::StoreU(hn::LoadU(d, piece_ + first + i), d, to + i);
        }
      }
    }
  }

  /// sums[channel][tap][pixel]. The filters of a chunk: groups of columns [k][columns of a group].
  void multiply_pixels() {
    const int64_t columns = channels_ * s_.taps, groups = ceil_div(columns, s_.target->column_rows);
    HWY_ALIGN static constexpr T kZeros[kMostVectors * hn::MaxLanes(Full<T>())] = {};
    Product<T> p;
    p.k = s_.in_c, p.start = kZeros;
    for (int64_t first = 0; first < pixels_; first += s_.strip) {
      p.vectors = pixels_room_ + first * s_.in_c;
      for (int64_t g = 0, begin = 0; g < groups; ++g) {
        const int64_t end = columns * (g + 1) / groups;
        p.row_step = end - begin;
        for (int64_t m = 0; m < end - begin; ++m) {
          p.rows[m] = filters_ + begin * s_.in_c + m;
          p.out[m] = sums_ + (begin + m) * padded_ + first;
        }
        multiply_for<T>(end - begin, s_.vectors)(p, s_.strip);
        begin = end;
      }
    }
    entry_ = sums_, entry_row_ = w_.count();
  }

  // ---- Outputs from entries. ----------------------------------------------------------------------

  /// Outputs in rows  q*stride + phase  of all channels at work.
  void gather_rows(int64_t phase) {
    const Range rows = {task_.h.begin, std::min(task_.h.end, phase_extent(s_.h.axis, phase))};
    const PhaseWindow window = s_.h.window(phase);
    for (int64_t qy = rows.begin; qy < rows.end; ++qy) {
      const Taps taps_h = taps_at(window, s_.h.axis.in, qy);
      const int64_t p = qy * s_.h.axis.stride + phase, q = task_.w.begin * s_.w.axis.stride;
      const int64_t count = std::min(d_.w.out - q, task_.w.count() * s_.w.phases);
      for (int64_t k = 0; k < channels_; ++k) {
        T* row = row_;
        if (s_.writes_in_place) {
          row = static_cast<T*>(job_.tensors.output) + d_.output_strides.offset(n_, p, q, first_k_ + k);
        }
        for (int64_t f = 0; f < s_.w.phases; ++f) {
          gather_phase(window, qy, taps_h, k, f, s_.w.phases == 1 ? row : phases_ + f * row_length());
        }
        if (s_.w.phases > 1) interleave(phases_, row_length(), s_.w.phases, count, row);
        finish_.row(row, count, false, n_, p, q, first_k_ + k);
      }
    }
  }

  /// to[q] = bias + the entries of one channel and phase in one row of outputs.
  void gather_phase(const PhaseWindow& window_h, int64_t qy, Taps taps_h, int64_t k, int64_t f, T* to) {
    const PhaseWindow window = s_.w.window(f);
    const T bias = static_cast<const T*>(job_.bias)[first_k_ + k];
    const int64_t r = window_h.first_tap + taps_h.first * window_h.tap_step;
    const int64_t y = qy + window_h.shift - taps_h.first * window_h.input_step - h_.begin;
    const Range positions = {task_.w.begin, std::min(task_.w.end, phase_extent(s_.w.axis, f))};
    for_each_run(window, s_.w.axis.in, positions, [&](Range range, Taps taps_w) {
      const int64_t s = window.first_tap + taps_w.first * window.tap_step;
      const int64_t x = range.begin + window.shift - taps_w.first * window.input_step - w_.begin;
      const Taps taps_of_h = taps_w.count == 0 ? Taps{} : taps_h;
      // Steps from one tap to the next, in filters and in the window.
      const Entries<T> filters = {filters_ + k * s_.taps + r * d_.w.kernel + s,
                                  window_h.tap_step * d_.w.kernel, window.tap_step};
      const int64_t column = s_.adds_pixels() ? 0 : padded_;
      const Entries<T> entries = {
          entry_ + (k * s_.taps + r * d_.w.kernel + s) * column + y * entry_row_ + x,
          filters.step_h * column - window_h.input_step * entry_row_,
          filters.step_w * column - window.input_step};
      T* at = to + range.begin - task_.w.begin;
      if (s_.adds_pixels()) {
        add_entries<true>(entries, filters, taps_of_h, taps_w, bias, range.count(), at);
      } else {
        add_entries<false>(entries, filters, taps_of_h, taps_w, bias, range.count(), at);
      }
    });
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
};

}  // namespace tconv::host::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
