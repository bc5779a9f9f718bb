// SPDX-License-Identifier: Apache-2.0
// tiles-inl.h: the methods `tiles` and `depthwise`: one task.
//
// A phase's outputs fall into rectangles whose taps all land inside of the input: the interior, and
// thin ones along the borders. Within one, every output reads the same taps at the same distances;
// so a tile is any few of its outputs, whatever row or image they are in, and a tap that misses the
// input is never multiplied.
//
//   for each block of channels, phase of H, rectangle, phase of W, rectangle: tiles of outputs

// Compiled once for each instruction set: see kernels.cpp.
HWY_BEFORE_NAMESPACE();
namespace tconv::host::simd::HWY_NAMESPACE {

/// Channels side by side, in the type of the sums: the caller's input, or a copy of a task's
/// window.
template <typename T>
struct Source {
  const T* data;
  Strides strides;
  int64_t first_n = 0, first_h = 0, first_w = 0, first_c = 0;

  const T* at(int64_t n, int64_t h, int64_t w, int64_t c) const {
    return data + strides.offset(n - first_n, h - first_h, w - first_w, c - first_c);
  }
};

/// Copies the window that a task reads into `room`.
template <typename T>
Source<T> stage(const Job& job, const Task& task, Range h, Range w, Range c, T* room) {
  const ProblemDesc& d = job.state.desc;
  const Strides& from = d.input_strides;
  Source<T> source{room, {}, task.n.begin, h.begin, w.begin, c.begin};
  source.strides = dense_strides(Layout::nhwc, {task.n.count(), h.count(), w.count(), c.count()});
  constexpr int64_t kChannels = 16, kPixels = 64;
  HWY_ALIGN T piece[kChannels * kPixels];
  for (int64_t n = task.n.begin; n < task.n.end; ++n) {
    for (int64_t y = h.begin; y < h.end; ++y) {
      T* row = room + source.strides.offset(n - task.n.begin, y - h.begin, 0, 0);
      if (from.c == 1) {
        for (int64_t x = w.begin; x < w.end; ++x) {
          widen_row(d.dtype, job.tensors.input, from.offset(n, y, x, c.begin), 1, c.count(),
                    row + (x - w.begin) * c.count());
        }
        continue;
      }
      if (std::is_same_v<T, float> && d.dtype == DType::f32 && from.w == 1) {
        turn(static_cast<const T*>(job.tensors.input) + from.offset(n, y, w.begin, c.begin), from.c,
             c.count(), w.count(), row, c.count());
        continue;
      }
      for (int64_t x = w.begin; x < w.end; x += kPixels) {
        const int64_t pixels = std::min(kPixels, w.end - x);
        for (int64_t k = c.begin; k < c.end; k += kChannels) {
          const int64_t channels = std::min(kChannels, c.end - k);
          for (int64_t i = 0; i < channels; ++i) {
            widen_row(d.dtype, job.tensors.input, from.offset(n, y, x, k + i), from.w, pixels,
                      piece + i * kPixels);
          }
          turn(piece, kPixels, channels, pixels, row + (x - w.begin) * c.count() + k - c.begin,
               c.count());
        }
      }
    }
  }
  return source;
}

/// One task, as its loops narrow it down.
template <typename T>
class TilesTask {
 public:
  TilesTask(const Job& job, int64_t index, std::byte* room)
      : job_(job), s_(job.state), d_(job.state.desc), finish_(job), task_(s_.task(index)) {
    const std::size_t vector = static_cast<std::size_t>(s_.lanes) * sizeof(T);
    streams_ =
        s_.streams_output && reinterpret_cast<std::uintptr_t>(job.tensors.output) % vector == 0;
    auto* next = reinterpret_cast<T*>(room);
    const auto take = [&next](int64_t elements) { return std::exchange(next, next + elements); };
    tile_ = take(kMostRows * s_.vectors * s_.lanes);
    turned_ = take(s_.turns_output ? task_.n.count() * task_.h.count() * task_.w.count() *
                                         s_.w.phases * s_.vectors * s_.lanes
                                   : 0);
    if (!s_.stages_input) {
      source_ = {static_cast<const T*>(job.tensors.input), d_.input_strides};
      return;
    }
    const Range c = {task_.blocks.begin / s_.blocks * channels_of_group(),
                     ((task_.blocks.end - 1) / s_.blocks + 1) * channels_of_group()};
    source_ = stage(job, task_, State::window_of(s_.h, task_.h), State::window_of(s_.w, task_.w), c,
                    next);
  }

  void run() {
    for (int64_t b = task_.blocks.begin; b < task_.blocks.end; ++b) {
      set_block(b);
      for (int64_t phase = 0; phase < s_.h.phases; ++phase) run_rows(phase);
    }
    if (streams_) hwy::FlushStream();
  }

 private:
  using Place = typename Finish<T>::Place;

  bool depthwise() const { return s_.method == Method::depthwise; }
  int64_t channels_of_group() const { return depthwise() ? d_.in_c : s_.in_c; }

  void set_block(int64_t b) {
    const int64_t group = b / s_.blocks, in_group = b % s_.blocks;
    vectors_ = s_.vectors_of(in_group);
    channels_ = std::min(s_.block, s_.out_c - in_group * s_.block);
    first_k_ = group * s_.out_c + in_group * s_.block;
    first_c_ = group * s_.in_c;  // depthwise: 0, there is one group
    // Blocks before this one are whole, but for the last of each group.
    tap_elements_ = s_.in_c * vectors_ * s_.lanes;
    const int64_t columns = group * s_.padded_channels() + in_group * s_.block;
    filters_ = static_cast<const T*>(job_.packed) + columns * s_.in_c * d_.h.kernel * d_.w.kernel;
    start_ = static_cast<const T*>(job_.bias) + columns;
  }

  /// All outputs of the task in rows  q*stride + phase.
  void run_rows(int64_t phase) {
    const Range rows = {task_.h.begin, std::min(task_.h.end, phase_extent(s_.h.axis, phase))};
    if (rows.count() <= 0) return;
    phase_h_ = phase, window_h_ = s_.h.window(phase);
    for_each_run(window_h_, s_.h.axis.in, rows, [&](Range y, Taps taps_h) {
      for (phase_w_ = 0; phase_w_ < s_.w.phases; ++phase_w_) {
        const Range columns = {task_.w.begin,
                               std::min(task_.w.end, phase_extent(s_.w.axis, phase_w_))};
        if (columns.count() <= 0) continue;
        window_w_ = s_.w.window(phase_w_);
        for_each_run(window_w_, s_.w.axis.in, columns,
                     [&](Range x, Taps taps_w) { run_rectangle(y, taps_h, x, taps_w); });
      }
    });
    if (s_.turns_output) write_turned(rows);
  }

  void run_rectangle(Range y, Taps taps_h, Range x, Taps taps_w) {
    Product<T> p;
    p.k = depthwise() ? 1 : s_.in_c;
    p.streams = streams_;
    p.taps_h = taps_w.count == 0 ? 0 : taps_h.count, p.taps_w = taps_w.count;
    p.start = start_;
    p.row_h = -window_h_.input_step * source_.strides.h;
    p.row_w = -window_w_.input_step * source_.strides.w;
    const int64_t r = window_h_.first_tap + taps_h.first * window_h_.tap_step;
    const int64_t s = window_w_.first_tap + taps_w.first * window_w_.tap_step;
    p.vectors = filters_ + (r * d_.w.kernel + s) * tap_elements_;
    p.vector_h = window_h_.tap_step * d_.w.kernel * tap_elements_;
    p.vector_w = window_w_.tap_step * tap_elements_;
    // Reads of the first tap; where there is none, no row is read.
    const int64_t to_h = window_h_.shift - window_h_.input_step * taps_h.first;
    const int64_t to_w = window_w_.shift - window_w_.input_step * taps_w.first;

    const int64_t most = depthwise() ? kDepthwiseRows : most_rows(vectors_);
    const int64_t outputs = task_.n.count() * y.count() * x.count();
    const int64_t tiles = ceil_div(outputs, most);
    const int64_t width = s_.writes_in_place ? channels_ : vectors_ * s_.lanes;
    const bool is_done = s_.writes_in_place && d_.activation == Activation::identity;
    const bool finishes = !s_.turns_output && !is_done;
    const bool reads = p.taps_h > 0;
    int64_t n = task_.n.begin, qy = y.begin, qx = x.begin;
    const T* row = nullptr;
    T* out = nullptr;
    for (int64_t tile = 0, done = 0; tile < tiles; ++tile) {
      const int64_t end = outputs * (tile + 1) / tiles,
                    rows = end - done;  // alike, give or take one
      for (int64_t m = 0; m < rows; ++m) {
        if (qx == x.begin || m + done == 0) {  // the first of a row; from there on they walk
          row = reads ? source_.at(n, qy + to_h, qx + to_w, first_c_) : nullptr;
          out = out_of(n, qy, qx);
        }
        p.rows[m] = row;
        p.out[m] = s_.writes_in_place || s_.turns_output ? out : tile_ + m * width;
        if (finishes) at_[m] = {n, qy, qx};
        row += reads ? source_.strides.w : 0, out += out_step_;
        if (++qx == x.end) {
          qx = x.begin;
          if (++qy == y.end) qy = y.begin, ++n;
        }
      }
      multiply_for_rows(rows)(
          p, depthwise() ? channels_ : width);  // rows of the input have no padding
      if (finishes) {
        finish_.rows(rows, channels_, true, [&](int64_t m) {
          return Place{p.out[m], at_[m].n, at_[m].qy * s_.h.axis.stride + phase_h_,
                       at_[m].qx * s_.w.axis.stride + phase_w_, first_k_};
        });
      }
      done = end;
    }
  }

  Multiply<T> multiply_for_rows(int64_t rows) const {
    return depthwise() ? multiply_depthwise_for<T>(rows) : multiply_for<T>(rows, vectors_);
  }
  /// Where an output goes: into the output, or into a row that is turned later.
  T* out_of(int64_t n, int64_t qy, int64_t qx) {
    const int64_t p = qy * s_.h.axis.stride + phase_h_, q = qx * s_.w.axis.stride + phase_w_;
    if (s_.writes_in_place) {
      out_step_ = d_.output_strides.w * s_.w.axis.stride;
      return static_cast<T*>(job_.tensors.output) + d_.output_strides.offset(n, p, q, first_k_);
    }
    if (!s_.turns_output) return nullptr;
    const int64_t width = vectors_ * s_.lanes;
    const int64_t row = (n - task_.n.begin) * task_.h.count() + qy - task_.h.begin;
    out_step_ = s_.w.axis.stride * width;
    return turned_ +
           (row * task_.w.count() * s_.w.phases + q - task_.w.begin * s_.w.axis.stride) * width;
  }

  /// Rows of the current phase: from channels side by side to outputs side by side.
  void write_turned(Range rows) {
    constexpr int64_t kOutputs = 64, kChannels = 64;
    HWY_ALIGN T piece[kChannels * kOutputs];
    const int64_t width = vectors_ * s_.lanes, stride = s_.w.axis.stride;
    const Range q = {task_.w.begin * stride, std::min(d_.w.out, task_.w.end * stride)};
    for (int64_t n = task_.n.begin; n < task_.n.end; ++n) {
      for (int64_t qy = rows.begin; qy < rows.end; ++qy) {
        const int64_t row = (n - task_.n.begin) * task_.h.count() + qy - task_.h.begin;
        const T* from = turned_ + row * task_.w.count() * s_.w.phases * width;
        if (s_.turns_in_place) {
          turn(from, width, q.count(), channels_,
               static_cast<T*>(job_.tensors.output) +
                   d_.output_strides.offset(n, qy * s_.h.axis.stride + phase_h_, q.begin, first_k_),
               d_.output_strides.c, false);
          continue;
        }
        for (int64_t k = 0; k < channels_; k += kChannels) {
          const int64_t channels = std::min(kChannels, channels_ - k);
          for (int64_t first = q.begin; first < q.end; first += kOutputs) {
            const int64_t count = std::min(kOutputs, q.end - first);
            turn(from + (first - q.begin) * width + k, width, count, channels, piece, kOutputs);
            finish_.rows(channels, count, false, [&](int64_t i) {
              return Place{piece + i * kOutputs, n, qy * s_.h.axis.stride + phase_h_, first,
                           first_k_ + k + i};
            });
          }
        }
      }
    }
  }

  struct At {
    int64_t n, qy, qx;
  };

  const Job& job_;
  const State& s_;
  const ProblemDesc& d_;
  const Finish<T> finish_;
  const Task task_;
  Source<T> source_;
  T *tile_, *turned_;
  bool streams_ = false;
  // The block, phases and tile at work.
  int64_t vectors_ = 1, channels_ = 1, first_k_ = 0, first_c_ = 0, tap_elements_ = 0;
  const T *filters_ = nullptr, *start_ = nullptr;
  int64_t phase_h_ = 0, phase_w_ = 0, out_step_ = 0;
  PhaseWindow window_h_, window_w_;
  At at_[kMostRows];
};

}  // namespace tconv::host::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
