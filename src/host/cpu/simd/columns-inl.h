// SPDX-License-Identifier: Apache-2.0
// columns-inl.h: the method `columns`: one task.
//
// A matrix product of the window's pixels with all taps of a few channels (k = input channels) fills
// columns that stay in the second-level cache; then each output adds its entries, at most one per tap
// that reaches it, in a fixed order. What fills the vectors are pixels: few output channels cost nothing,
// and rows of NCHW are written as they lie.

// Compiled once for each instruction set: see kernels.cpp.
HWY_BEFORE_NAMESPACE();
namespace tconv::host::simd::HWY_NAMESPACE {

template <typename T>
class ColumnsTask {
 public:
  ColumnsTask(const Job& job, int64_t index, std::byte* room)
      : job_(job),
        s_(job.state),
        d_(job.problem.desc()),
        finish_(job),
        task_(s_.task(index)),
        h_(State::window_of(s_.h, task_.h)),
        w_(State::window_of(s_.w, task_.w)),
        pixels_(h_.count() * w_.count()),
        padded_(ceil_div(pixels_, strip()) * strip()) {
    const auto take = [&room](int64_t elements) {
      auto* taken = reinterpret_cast<T*>(room);
      room += ceil_div(elements * static_cast<int64_t>(sizeof(T)), 64) * 64;
      return taken;
    };
    packed_pixels_ = take(padded_ * s_.in_c);
    sums_ = take(padded_ * s_.block * taps());
    phases_ = take(s_.w.phases * row_length());
    row_ = take(s_.w.phases * row_length());
    piece_ = take(std::max(strip() * s_.in_c, padded_));
  }

  void run() {
    for (int64_t n = task_.n.begin; n < task_.n.end; ++n) {
      n_ = n;
      int64_t group_of_pixels = -1;
      for (int64_t b = task_.blocks.begin; b < task_.blocks.end; ++b) {
        const int64_t group = b / s_.blocks;
        if (group != group_of_pixels) pack_pixels(group);
        group_of_pixels = group;
        first_k_ = group * s_.out_c + b % s_.blocks * s_.block;
        channels_ = std::min(s_.block, s_.out_c - b % s_.blocks * s_.block);
        multiply_columns(first_k_ * taps() * s_.in_c);
        for (int64_t phase = 0; phase < s_.h.phases; ++phase) gather_rows(phase);
      }
    }
  }

 private:
  static constexpr int64_t kVectors = 2;
  int64_t strip() const { return kVectors * s_.lanes; }
  int64_t taps() const { return d_.h.kernel * d_.w.kernel; }
  int64_t row_length() const { return ceil_div(task_.w.count(), s_.lanes) * s_.lanes; }

  /// [strip of pixels][k][pixels of a strip], the last strip filled up with zeros.
  void pack_pixels(int64_t group) {
    const Strides& from = d_.input_strides;
    const int64_t first_c = group * s_.in_c, width = w_.count();
    if (from.c == 1) {  // rows of channels: turned, strip by strip
      for (int64_t first = 0; first < padded_; first += strip()) {
        const int64_t count = std::min(strip(), pixels_ - first);
        for (int64_t i = 0; i < strip(); ++i) {
          T* row = piece_ + i * s_.in_c;
          if (i >= count) {
            std::fill_n(row, s_.in_c, T{0});
            continue;
          }
          const int64_t y = (first + i) / width, x = (first + i) % width;
          widen_row(d_.dtype, job_.tensors.input,
                    from.offset(n_, h_.begin + y, w_.begin + x, first_c), 1, s_.in_c, row);
        }
        turn(piece_, s_.in_c, strip(), s_.in_c, packed_pixels_ + first * s_.in_c, strip());
      }
      return;
    }
    std::fill(piece_ + pixels_, piece_ + padded_, T{0});
    for (int64_t k = 0; k < s_.in_c; ++k) {
      for (int64_t y = 0; y < h_.count(); ++y) {
        widen_row(d_.dtype, job_.tensors.input,
                  from.offset(n_, h_.begin + y, w_.begin, first_c + k), from.w, width,
                  piece_ + y * width);
      }
      for (int64_t first = 0; first < padded_; first += strip()) {
        T* to = packed_pixels_ + first * s_.in_c + k * strip();
        const Full<T> d;
        for (int64_t i = 0; i < strip(); i += s_.lanes) {
          hn::StoreU(hn::LoadU(d, piece_ + first + i), d, to + i);
        }
      }
    }
  }

  /// sums[channel][tap][pixel]. The filters of a chunk: groups of columns [k][columns of a group].
  void multiply_columns(int64_t first_filter) {
    const auto* filters = static_cast<const T*>(job_.packed) + first_filter;
    const int64_t columns = channels_ * taps();
    const int64_t most = most_rows(kVectors), groups = ceil_div(columns, most);
    HWY_ALIGN static constexpr T kZeros[kVectors * hn::MaxLanes(Full<T>())] = {};
    Product<T> p;
    p.k = s_.in_c, p.start = kZeros;
    for (int64_t first = 0; first < padded_; first += strip()) {
      p.vectors = packed_pixels_ + first * s_.in_c;
      for (int64_t g = 0, begin = 0; g < groups; ++g) {
        const int64_t end = columns * (g + 1) / groups;
        p.row_step = end - begin;
        for (int64_t m = 0; m < end - begin; ++m) {
          p.rows[m] = filters + begin * s_.in_c + m;
          p.out[m] = sums_ + (begin + m) * padded_ + first;
        }
        multiply_for<T, false>(end - begin, kVectors)(p, strip());
        begin = end;
      }
    }
  }

  /// Outputs in rows  q*stride + phase  of all channels at work.
  void gather_rows(int64_t phase) {
    const Range rows = {task_.h.begin, std::min(task_.h.end, phase_extent(s_.h.axis, phase))};
    const PhaseWindow window = s_.h.window(phase);
    for (int64_t qy = rows.begin; qy < rows.end; ++qy) {
      const Taps taps_h = taps_at(window, s_.h.axis.in, qy);
      for (int64_t k = 0; k < channels_; ++k) {
        T* row = s_.w.phases == 1 ? phases_ : row_;
        for (int64_t f = 0; f < s_.w.phases; ++f) gather_phase(window, qy, taps_h, k, f);
        if (s_.w.phases > 1) {
          interleave(phases_, row_length(), s_.w.phases, task_.w.count(), row);
        }
        const int64_t q = task_.w.begin * s_.w.axis.stride;
        const int64_t count = std::min(d_.w.out - q, task_.w.count() * s_.w.phases);
        finish_.row(row, count, false, n_, qy * s_.h.axis.stride + phase, q, first_k_ + k);
      }
    }
  }

  /// phases[f][q] = bias + the entries of one channel in one row of outputs.
  void gather_phase(const PhaseWindow& window_h, int64_t qy, Taps taps_h, int64_t k, int64_t f) {
    const PhaseWindow window = s_.w.window(f);
    const T bias = static_cast<const T*>(job_.bias)[first_k_ + k];
    T* to = phases_ + f * row_length();
    for_each_run(window, s_.w.axis.in, task_.w, [&](Range x, Taps taps_w) {
      const int64_t r = window_h.first_tap + taps_h.first * window_h.tap_step;
      const int64_t s = window.first_tap + taps_w.first * window.tap_step;
      const int64_t y = qy + window_h.shift - taps_h.first * window_h.input_step - h_.begin;
      const int64_t first = x.begin + window.shift - taps_w.first * window.input_step - w_.begin;
      Entries entries{
          .first = sums_ + ((k * d_.h.kernel + r) * d_.w.kernel + s) * padded_ + y * w_.count() + first,
          .step_h = window_h.tap_step * d_.w.kernel * padded_ - window_h.input_step * w_.count(),
          .step_w = window.tap_step * padded_ - window.input_step,
          .taps_h = taps_w.count == 0 ? 0 : taps_h.count,
          .taps_w = taps_w.count};
      add_entries(entries, bias, x.count(), to + x.begin - task_.w.begin);
    });
  }

  struct Entries {
    const T* first;
    int64_t step_h, step_w, taps_h, taps_w;
  };

  static void add_entries(const Entries& e, T bias, int64_t count, T* to) {
    const Full<T> d;
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    for (int64_t i = 0; i < count; i += lanes) {
      auto sum = hn::Set(d, bias);
      for (int64_t th = 0; th < e.taps_h; ++th) {
        const T* from = e.first + th * e.step_h + i;
        for (int64_t tw = 0; tw < e.taps_w; ++tw, from += e.step_w) {
          sum = hn::Add(sum, load_some(d, from, count - i));
        }
      }
      store_some(d, sum, to + i, count - i);
    }
  }

  const Job& job_;
  const State& s_;
  const ProblemDesc& d_;
  const Finish<T> finish_;
  const Task task_;
  const Range h_, w_;  ///< of the input
  const int64_t pixels_, padded_;
  T *packed_pixels_, *sums_, *phases_, *row_, *piece_;
  int64_t n_ = 0, first_k_ = 0, channels_ = 1;
};

}  // namespace tconv::host::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
