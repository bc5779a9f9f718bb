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
        padded_(s_.padded_pixels(pixels_)),
        reads_in_place_(s_.adds_pixels() && s_.reads_in_place && d_.input_strides.w == 1),
        entry_row_(reads_in_place_ ? d_.input_strides.h : w_.count()) {
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
               task_.w.begin * s_.w.phases % s_.lanes == 0 &&
               (!s_.straight || w_.count() % s_.lanes == 0);
    sums_ = take(s_.adds_pixels() || s_.straight ? 0 : padded_ * s_.block * s_.taps);
    row_ = take(s_.straight ? kMostRows * s_.strip : s_.w.phases * row_length());
    phases_ = take(s_.w.phases * row_length());
    piece_ =
        take(s_.adds_pixels()   ? 0
             : s_.turns_columns ? s_.strip * s_.padded_columns()
                                : std::max(padded_, s_.strip * std::max(kMostRows, s_.k_block())));
  }

  void run() {
    describe_rows();
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
          // No channels: sums of zero.
          for (int64_t k = 0; k == 0 || k < s_.in_c; k += s_.k_block()) {
            const Range channels = {k, std::min(s_.in_c, k + s_.k_block())};
            if (is_new || s_.in_c > s_.k_block()) pack_pixels(channels);
            s_.straight ? multiply_straight() : multiply_pixels(channels);
          }
          if (s_.straight) continue;
          entry_ = sums_;
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
    entry_ = static_cast<const T*>(job_.tensors.input) + (pixels_ == 0 ? 0 : pixel(0));
    if (reads_in_place_) return;
    for (int64_t y = 0; y < h_.count(); ++y) read_row(y, 0, pixels_room_ + y * w_.count());
    entry_ = pixels_room_;
  }

  // ---- Where input channels lie side by side: columns are made so, and turned. ------------------

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
    entry_ = sums_;
  }

  // ---- Where pixels lie side by side: they are packed so. ---------------------------------------

  /// [strip of pixels][k][pixels of a strip], the last strip filled up with zeros.
  void pack_pixels(Range channels) {
    const Strides& from = d_.input_strides;
    if (from.c == 1) return turn_pixels(channels);
    const bool in_place = s_.reads_in_place && from.w == 1 && pixels_ > 0 &&
                          (h_.count() == 1 || from.h == w_.count());
    if (!in_place) std::fill(piece_ + pixels_, piece_ + padded_, T{0});
    for (int64_t k = channels.begin; k < channels.end; ++k) {
      const T* pixels = piece_;
      if (in_place) {
        pixels = static_cast<const T*>(job_.tensors.input) + pixel(0) + k * from.c;
      } else {
        for (int64_t y = 0; y < h_.count(); ++y) read_row(y, k, piece_ + y * w_.count());
      }
      pack_channel(pixels, in_place ? from.c : 0, channels.count(),
                   pixels_room_ + (k - channels.begin) * s_.strip);
    }
  }

  /// The pixels of one channel; `step` to the next one, or 0.
  void pack_channel(const T* pixels, int64_t step, int64_t channels, T* to) const {
    // Each channel is in another page, where the processor would begin to guess anew: 1.08 to 1.19
    // times as fast where the input comes from memory.
    constexpr int64_t kAhead = 4;
    const Full<T> d;
    for (int64_t first = 0; first < pixels_; first += s_.strip) {
      for (int64_t i = 0; i < s_.strip; i += s_.lanes) {
        hwy::Prefetch(pixels + first + i + kAhead * step);
        hn::StoreU(load_some(d, pixels + first + i, pixels_ - first - i), d,
                   to + first * channels + i);
      }
    }
  }

  /// The same from channels side by side, by the pieces of rows that make a strip.
  void turn_pixels(Range channels) {
    const int64_t count = channels.count();
    for (int64_t first = 0; first < pixels_; first += s_.strip) {
      const int64_t end = std::min(pixels_, first + s_.strip);
      T* to = pixels_room_ + first * count;
      for (int64_t i = first; i < end;) {
        const int64_t piece = std::min(end - i, w_.count() - i % w_.count());
        turn_piece(pixel(i) + channels.begin, piece, count, to + i - first);
        i += piece;
      }
      for (int64_t k = 0; k < count; ++k) {
        std::fill(to + k * s_.strip + end - first, to + (k + 1) * s_.strip, T{0});
      }
    }
  }
  void turn_piece(int64_t at, int64_t pixels, int64_t channels, T* to) {
    const T* from = static_cast<const T*>(job_.tensors.input) + at;
    int64_t step = d_.input_strides.w;
    if (!s_.reads_in_place) {
      for (int64_t i = 0; i < pixels; ++i) {
        widen_row(d_.dtype, job_.tensors.input, at + i * step, 1, channels, piece_ + i * channels);
      }
      from = piece_, step = channels;
    }
    turn(from, step, pixels, channels, to, s_.strip);
  }

  /// sums[channel][tap][pixel] += the products of these input channels. The filters of a chunk:
  /// groups of columns [k][columns of a group].
  void multiply_pixels(Range channels) {
    HWY_ALIGN static constexpr T kZeros[kMostVectors * hn::MaxLanes(Full<T>())] = {};
    Product<T> p;
    p.k = channels.count(), p.start = channels.begin == 0 ? kZeros : nullptr;
    for (int64_t first = 0; first < pixels_; first += s_.strip) {
      p.vectors = pixels_room_ + first * channels.count();
      s_.for_column_groups(channels_ * s_.taps, [&](int64_t begin, int64_t end) {
        set_columns(p, begin, end, channels.begin);
        for (int64_t m = 0; m < end - begin; ++m) {
          p.out[m] = sums_ + (begin + m) * padded_ + first;
        }
        multiply_for<T>(end - begin, s_.vectors)(p, s_.strip);
      });
    }
  }

  /// Rows of a tile: filters of these columns, from input channel k on.
  void set_columns(Product<T>& p, int64_t begin, int64_t end, int64_t k) const {
    p.row_step = end - begin;
    for (int64_t m = 0; m < end - begin; ++m) {
      p.rows[m] = filters_ + begin * s_.in_c + k * p.row_step + m;
    }
  }

  // ---- Where windows do not overlap: outputs without columns in memory. -------------------------

  void multiply_straight() {
    HWY_ALIGN static constexpr T kZeros[kMostVectors * hn::MaxLanes(Full<T>())] = {};
    const bool in_place = s_.writes_in_place;
    const int64_t phases = s_.phases_together;
    Straight<T> tile{.sums = piece_, .strip = s_.strip, .streams = streams_};
    tile.width = in_place ? w_.count() : s_.strip;
    tile.out_row = in_place ? d_.output_strides.h * d_.h.kernel : 0;
    Product<T> p;
    p.k = s_.in_c, p.start = kZeros;
    s_.for_column_groups(channels_ * s_.taps, [&](int64_t begin, int64_t end) {
      set_columns(p, begin, end, 0);
      for (int64_t m = 0; m < end - begin; ++m) p.out[m] = piece_ + m * s_.strip;
      const Range rows = {begin / phases, end / phases};
      tile.rows = rows.count(), tile.y = tile.x = 0;
      for (int64_t i = 0; i < tile.rows; ++i) {
        const int64_t k = first_k_ + (rows.begin + i) / d_.h.kernel;
        tile.start[i] = static_cast<const T*>(job_.bias)[k];
        tile.out[i] = in_place ? out_of_pixel(rows.begin + i, 0, 0) : row_ + i * s_.strip * phases;
      }
      for (int64_t first = 0; first < pixels_; first += s_.strip) {
        p.vectors = pixels_room_ + first * s_.in_c;
        multiply_for<T>(end - begin, s_.vectors)(p, s_.strip);
        tile.pixels = std::min(s_.strip, pixels_ - first);
        write_straight(phases, tile);
        if (!in_place || d_.activation != Activation::identity) {
          finish_strip(tile.out, rows, first, in_place);
        }
        if (!in_place) continue;
        for (tile.x += s_.strip; tile.x >= tile.width; tile.x -= tile.width) ++tile.y;
      }
    });
  }

  /// The output of pixel (y, x) of the window in row `row` of a chunk's [channel][row of the
  /// filter].
  T* out_of_pixel(int64_t row, int64_t y, int64_t x) const {
    return static_cast<T*>(job_.tensors.output) +
           d_.output_strides.offset(n_, (task_.h.begin + y) * d_.h.kernel + row % d_.h.kernel,
                                    (task_.w.begin + x) * d_.w.kernel,
                                    first_k_ + row / d_.h.kernel);
  }

  /// What is left to do for the outputs of a strip, which are in the output or in `row_`.
  void finish_strip(T* const* made, Range rows, int64_t first, bool in_place) {
    const int64_t phases = s_.phases_together, end = std::min(pixels_, first + s_.strip);
    for (int64_t i = 0; i < rows.count(); ++i) {
      const int64_t row = rows.begin + i;
      for (int64_t at = first; at < end;) {
        const int64_t y = at / w_.count(), x = at % w_.count();
        const int64_t piece = std::min(end - at, w_.count() - x);
        T* sums = in_place ? out_of_pixel(row, y, x) : made[i] + (at - first) * phases;
        finish_.row(sums, piece * phases, false, n_,
                    (task_.h.begin + y) * d_.h.kernel + row % d_.h.kernel,
                    (task_.w.begin + x) * d_.w.kernel, first_k_ + row / d_.h.kernel);
        at += piece;
      }
    }
  }

  // ---- Outputs from entries. --------------------------------------------------------------------

  /// All outputs of a channel.
  void gather(int64_t k) {
    for (int64_t f = 0; f < s_.w.phases; ++f) {
      rows_[f].start = static_cast<const T*>(job_.bias)[first_k_ + k];
    }
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
    const int64_t tap = k * s_.taps + r * d_.w.kernel;
    const T* entries = entry_ + y * entry_row_ + (s_.adds_pixels() ? 0 : tap * padded_);
    for (int64_t f = 0; f < s_.w.phases; ++f) {
      rows_[f].entries.first = entries + first_entry_[f];
      rows_[f].filters.first = filters_ + tap + s_.w.kept[static_cast<std::size_t>(f)].first_tap;
      rows_[f].taps_h = taps.count;
    }
    const auto make = s_.adds_pixels() ? simd::HWY_NAMESPACE::gather_row<true, T>
                                       : simd::HWY_NAMESPACE::gather_row<false, T>;
    make(rows_, s_.w.phases, count, phases_, row_length(), out, streams_);
    if (!s_.writes_in_place || d_.activation != Activation::identity) {
      finish_.row(out, count, false, n_, p, q, first_k_ + k);
    }
  }

  /// What the rows of all channels have in common, for each phase.
  void describe_rows() {
    const int64_t vectors = ceil_div(task_.w.count(), s_.lanes);
    const bool few = d_.w.kernel * vectors <= Masks::kMost;
    // From one tap to the next: in the columns, which are one behind the other, and in the window.
    const int64_t column = s_.adds_pixels() ? 0 : padded_;
    const int64_t tap_h = s_.h.kept[0].tap_step * d_.w.kernel;
    uint16_t* next = masks_.bits;
    for (int64_t f = 0; f < s_.w.phases; ++f) {
      const PhaseWindow& w = s_.w.kept[static_cast<std::size_t>(f)];
      first_entry_[f] = w.first_tap * column + task_.w.begin + w.shift - w_.begin;
      rows_[f] = {.entries = {nullptr, tap_h * column - s_.h.kept[0].input_step * entry_row_,
                              w.tap_step * column - w.input_step},
                  .filters = {nullptr, tap_h, w.tap_step},
                  .taps_w = w.tap_count,
                  .shift = task_.w.begin + w.shift,
                  .step = w.input_step,
                  .in = s_.w.axis.in};
      if (few) next = make_masks(rows_[f], task_.w.count(), next);
    }
  }

  const Job& job_;
  const State& s_;
  const ProblemDesc& d_;
  const Finish<T> finish_;
  const Task task_;
  const Range h_, w_;  ///< of the input
  const int64_t pixels_, padded_;
  const bool reads_in_place_;  ///< entries are the caller's pixels
  const int64_t entry_row_;    ///< from row to row of the window of entries
  T *pixels_room_, *sums_, *phases_, *row_, *piece_;
  // The image, group and chunk at work.
  int64_t n_ = 0, first_c_ = 0, first_k_ = 0, channels_ = 1;
  const T* filters_ = nullptr;
  const T* entry_ = nullptr;  ///< of the first column
  bool streams_ = false;
  // The row of outputs at work.
  Row<T> rows_[kMostPhases];
  int64_t first_entry_[kMostPhases];
  Masks masks_;
};

}  // namespace tconv::host::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
