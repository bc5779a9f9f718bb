// SPDX-License-Identifier: Apache-2.0
// finish-inl.h: what happens to rows of numbers on their way in and out: types are widened and
// rounded, rows are turned, residual and activation are applied.
//
// Errors of the activations stay within what docs/verification.md grants: 8 units of the last
// place.

// Compiled once for each instruction set: see kernels.cpp.
HWY_BEFORE_NAMESPACE();
namespace tconv::host::simd::HWY_NAMESPACE {

// ---- Types. -------------------------------------------------------------------------------------

/// Whether a processor of this target converts f16 itself; Highway's own emulation rounds
/// otherwise.
inline constexpr bool kHasF16 = HWY_TARGET <= HWY_AVX2 || HWY_ARCH_ARM_A64;

HWY_INLINE hn::Vec<Full<float>> widen_some(const BFloat16* from, int64_t count) {
  const hn::Rebind<uint16_t, Full<float>> d16;
  const hn::Rebind<uint32_t, Full<float>> d32;
  const auto bits = load_some(d16, &from->bits, count);
  return hn::BitCast(Full<float>(), hn::ShiftLeft<16>(hn::PromoteTo(d32, bits)));
}

HWY_INLINE hn::Vec<Full<float>> widen_some(const Half* from, int64_t count) {
  if constexpr (kHasF16) {
    const hn::Rebind<uint16_t, Full<float>> bits;
    const hn::Rebind<hwy::float16_t, Full<float>> halves;
    return hn::PromoteTo(Full<float>(), hn::BitCast(halves, load_some(bits, &from->bits, count)));
  } else {
    HWY_ALIGN float all[hn::MaxLanes(Full<float>())] = {};
    const auto lanes = static_cast<int64_t>(hn::Lanes(Full<float>()));
    for (int64_t i = 0; i < std::min(count, lanes); ++i) all[i] = widen(from[i]);
    return hn::Load(Full<float>(), all);
  }
}

HWY_INLINE void round_some(hn::Vec<Full<float>> v, BFloat16* to, int64_t count) {
  const hn::Rebind<uint16_t, Full<float>> d16;
  const hn::Rebind<uint32_t, Full<float>> d32;
  const auto bits = hn::BitCast(d32, v);
  // To nearest even; a carry goes into the exponent. NaN keeps its upper bits and becomes quiet.
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d32, 1));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(d32, 0x7fff))));
  const auto nan = hn::Or(hn::ShiftRight<16>(bits), hn::Set(d32, 0x40));
  const auto is_nan = hn::RebindMask(d32, hn::Ne(v, v));
  store_some(d16,
             hn::DemoteTo(d16, hn::BitCast(hn::RebindToSigned<decltype(d32)>(),
                                           hn::IfThenElse(is_nan, nan, rounded))),
             &to->bits, count);
}

HWY_INLINE void round_some(hn::Vec<Full<float>> v, Half* to, int64_t count) {
  if constexpr (kHasF16) {
    const hn::Rebind<uint16_t, Full<float>> bits;
    const hn::Rebind<hwy::float16_t, Full<float>> halves;
    store_some(bits, hn::BitCast(bits, hn::DemoteTo(halves, v)), &to->bits, count);
  } else {
    HWY_ALIGN float all[hn::MaxLanes(Full<float>())];
    hn::Store(v, Full<float>(), all);
    const auto lanes = static_cast<int64_t>(hn::Lanes(Full<float>()));
    for (int64_t i = 0; i < std::min(count, lanes); ++i) to[i] = round_to<Half>(all[i]);
  }
}

/// Numbers of 16 bits that lie apart are moved one by one, and converted side by side.
inline constexpr int64_t kApart = 64;

/// to[i] = from[i*step]
template <typename T, typename From>
void widen_row(const From* from, int64_t step, int64_t count, T* to) {
  if constexpr (sizeof(From) == 2 && std::is_same_v<T, float>) {
    const Full<T> d;
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    if (step == 1) {
      for (int64_t i = 0; i < count; i += lanes) {
        store_some(d, widen_some(from + i, count - i), to + i, count - i);
      }
      return;
    }
    From near[kApart];
    for (int64_t i = 0; i < count; i += kApart) {
      const int64_t piece = std::min(kApart, count - i);
      for (int64_t j = 0; j < piece; ++j) near[j] = from[(i + j) * step];
      widen_row(near, 1, piece, to + i);
    }
    return;
  }
  if constexpr (std::is_same_v<T, From>) {
    if (step == 1) {
      std::copy_n(from, count, to);
      return;
    }
  }
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<T>(widen(from[i * step]));
}

template <typename T>
void widen_row(DType type, const void* from, int64_t offset, int64_t step, int64_t count, T* to) {
  with_type(type, [&]<typename From>() {
    widen_row(static_cast<const From*>(from) + offset, step, count, to);
  });
}

/// to[i*step] = from[i], rounded once
template <typename T, typename To>
void round_row(const T* from, int64_t count, To* to, int64_t step) {
  if constexpr (sizeof(To) == 2 && std::is_same_v<T, float>) {
    const Full<T> d;
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    if (step == 1) {
      for (int64_t i = 0; i < count; i += lanes) {
        round_some(load_some(d, from + i, count - i), to + i, count - i);
      }
      return;
    }
    To near[kApart];
    for (int64_t i = 0; i < count; i += kApart) {
      const int64_t piece = std::min(kApart, count - i);
      round_row(from + i, piece, near, 1);
      for (int64_t j = 0; j < piece; ++j) to[(i + j) * step] = near[j];
    }
    return;
  }
  if constexpr (std::is_same_v<T, To>) {
    if (step == 1) {
      if (from != to) std::copy_n(from, count, to);
      return;
    }
  }
  for (int64_t i = 0; i < count; ++i) to[i * step] = round_to<To>(static_cast<double>(from[i]));
}

// ---- Turning. -----------------------------------------------------------------------------------

#if HWY_TARGET != HWY_SCALAR
/// A square of numbers, turned in registers: 8 x 8, or 4 x 4 where vectors have no more.
inline constexpr int64_t kSide = HWY_MAX_BYTES >= 32 ? 8 : 4;

HWY_INLINE void turn_square(const float* from, int64_t from_step, float* to, int64_t to_step) {
  const hn::FixedTag<float, kSide> d;
  const hn::RepartitionToWide<decltype(d)> pairs;
  using V = hn::Vec<decltype(d)>;
  const auto pair = [&](V v) { return hn::BitCast(pairs, v); };
  V rows[kSide], turned[kSide];
  TCONV_UNROLL for (int i = 0; i < kSide; ++i) rows[i] = hn::LoadU(d, from + i * from_step);
  // 4 x 4 within each 128 bits: of rows 4g .. 4g+3.
  TCONV_UNROLL for (int g = 0; g < kSide; g += 4) {
    const V ab0 = hn::InterleaveLower(d, rows[g], rows[g + 1]);
    const V ab1 = hn::InterleaveUpper(d, rows[g], rows[g + 1]);
    const V ce0 = hn::InterleaveLower(d, rows[g + 2], rows[g + 3]);
    const V ce1 = hn::InterleaveUpper(d, rows[g + 2], rows[g + 3]);
    turned[g] = hn::BitCast(d, hn::InterleaveLower(pairs, pair(ab0), pair(ce0)));
    turned[g + 1] = hn::BitCast(d, hn::InterleaveUpper(pairs, pair(ab0), pair(ce0)));
    turned[g + 2] = hn::BitCast(d, hn::InterleaveLower(pairs, pair(ab1), pair(ce1)));
    turned[g + 3] = hn::BitCast(d, hn::InterleaveUpper(pairs, pair(ab1), pair(ce1)));
  }
  TCONV_UNROLL for (int i = 0; i < 4; ++i) {
    if constexpr (kSide == 8) {
      hn::StoreU(hn::ConcatLowerLower(d, turned[i + 4], turned[i]), d, to + i * to_step);
      hn::StoreU(hn::ConcatUpperUpper(d, turned[i + 4], turned[i]), d, to + (i + 4) * to_step);
    } else {
      hn::StoreU(turned[i], d, to + i * to_step);
    }
  }
}
#endif

/// to[j*to_step + i] = from[i*from_step + j]. Squares row by row of `from` or, where the lines of
/// `to` are the ones that must be written whole, of `to`.
template <typename T>
void turn(const T* from, int64_t from_step, int64_t rows, int64_t columns, T* to, int64_t to_step,
          [[maybe_unused]] bool by_from = true) {
  int64_t whole_rows = 0, whole_columns = 0;
#if HWY_TARGET != HWY_SCALAR
  if constexpr (sizeof(T) == 4) {
    whole_rows = rows / kSide * kSide, whole_columns = columns / kSide * kSide;
    const int64_t outer = by_from ? whole_rows : whole_columns;
    const int64_t inner = by_from ? whole_columns : whole_rows;
    for (int64_t a = 0; a < outer; a += kSide) {
      for (int64_t b = 0; b < inner; b += kSide) {
        const int64_t i = by_from ? a : b, j = by_from ? b : a;
        turn_square(from + i * from_step + j, from_step, to + j * to_step + i, to_step);
      }
    }
  }
#endif
  for (int64_t j = 0; j < columns; ++j) {
    for (int64_t i = j < whole_columns ? whole_rows : 0; i < rows; ++i) {
      to[j * to_step + i] = from[i * from_step + j];
    }
  }
}

// ---- Activations. -------------------------------------------------------------------------------

/// 1 / (1 + e^-x), in the form that neither overflows nor cancels for negative x.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V logistic(D d, V x) {
  const V one = hn::Set(d, 1), e = hn::Exp(d, hn::Neg(hn::Abs(x)));
  return hn::Div(hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one), hn::Add(one, e));
}

/// erfc(x) for f32 within 1.5e-7 (Abramowitz and Stegun, Handbook of Mathematical
/// Functions, 7.1.26), a unit of the last place of what gelu multiplies by it.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V erfc(D d, V x) {
  const V z = hn::Abs(x), one = hn::Set(d, 1);
  const V t = hn::Div(one, hn::MulAdd(hn::Set(d, 0.3275911f), z, one));
  V p = hn::MulAdd(t, hn::Set(d, 1.061405429f), hn::Set(d, -1.453152027f));
  p = hn::MulAdd(t, p, hn::Set(d, 1.421413741f));
  p = hn::MulAdd(t, p, hn::Set(d, -0.284496736f));
  p = hn::MulAdd(t, p, hn::Set(d, 0.254829592f));
  const V tail = hn::Mul(hn::Mul(t, p), hn::Exp(d, hn::Neg(hn::Mul(z, z))));
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Sub(hn::Set(d, 2), tail), tail);
}

/// NaN stays NaN: comparisons with it are false.
template <class D, typename T, class V = hn::Vec<D>>
HWY_INLINE V activated(D d, Activation activation, T a, T b, V slope, V x) {
  const V zero = hn::Zero(d);
  switch (activation) {
    case Activation::identity: break;
    case Activation::relu: return hn::IfThenElse(hn::Lt(x, zero), zero, x);
    case Activation::leaky_relu:
      return hn::IfThenElse(hn::Lt(x, zero), hn::Mul(hn::Set(d, a), x), x);
    case Activation::prelu: return hn::IfThenElse(hn::Lt(x, zero), hn::Mul(slope, x), x);
    case Activation::clamp: {
      const V low = hn::Set(d, a), high = hn::Set(d, b);
      return hn::IfThenElse(hn::Lt(x, low), low, hn::IfThenElse(hn::Gt(x, high), high, x));
    }
    case Activation::sigmoid: return logistic(d, x);
    case Activation::tanh: return hn::Tanh(d, x);
    case Activation::silu: return hn::Mul(x, logistic(d, x));
    case Activation::gelu_tanh: {  // x/2 (1 + tanh u) = x / (1 + e^-2u)
      const V cube = hn::Mul(hn::Mul(hn::Set(d, static_cast<T>(0.044715)), x), hn::Mul(x, x));
      const V u2 = hn::Mul(hn::Set(d, static_cast<T>(1.5957691216057307118)), hn::Add(x, cube));
      return hn::Mul(x, logistic(d, u2));
    }
    case Activation::gelu:
      if constexpr (sizeof(T) == 4) {
        const V minus_sqrt_half = hn::Set(d, static_cast<T>(-0.70710678118654752440));
        return hn::Mul(hn::Mul(hn::Set(d, static_cast<T>(0.5)), x),
                       erfc(d, hn::Mul(minus_sqrt_half, x)));
      } else {
        HWY_ALIGN T all[hn::MaxLanes(d)];
        hn::Store(x, d, all);
        for (T& each : all) each = each / 2 * std::erfc(each * T{-0.70710678118654752440});
        return hn::Load(d, all);
      }
  }
  return x;
}

/// The end of an epilogue, for one run.
template <typename T>
struct Finish {
  const ProblemDesc& desc;
  const void* residual;
  void* output;
  const T* slopes;  ///< by channel
  T a = static_cast<T>(desc.activation_a), b = static_cast<T>(desc.activation_b);

  explicit Finish(const Job& job)
      : desc(job.state.desc),
        residual(job.tensors.residual),
        output(job.tensors.output),
        slopes(static_cast<const T*>(job.slopes)) {}

  /// Sums and the output of the first of them.
  struct Place {
    T* sums;
    int64_t n, p, q, k;
  };

  /// sums[i] + residual -> activation -> output, for `count` channels from k of one output, or for
  /// `count` outputs of channel k side by side; so for each of `rows` places. The sums may be the
  /// output itself.
  template <class At>
  void rows(int64_t rows, int64_t count, bool channels, At&& at) const {
    const bool applies = desc.has_residual || desc.activation != Activation::identity;
    const int64_t step = channels ? desc.output_strides.c : desc.output_strides.w;
    with_type(desc.output_dtype, [&]<typename To>() {
      for (int64_t i = 0; i < rows; ++i) {
        const Place& to = at(i);
        if (applies) apply(to, count, channels);
        round_row(to.sums, count,
                  static_cast<To*>(output) + desc.output_strides.offset(to.n, to.p, to.q, to.k),
                  step);
      }
    });
  }
  void row(T* sums, int64_t count, bool channels, int64_t n, int64_t p, int64_t q,
           int64_t k) const {
    rows(1, count, channels, [&](int64_t) { return Place{sums, n, p, q, k}; });
  }

  /// The same without the output.
  void apply(const Place& place, int64_t count, bool channels) const {
    const auto [sums, n, p, q, k] = place;
    const Full<T> d;
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    const auto step = [&](const Strides& s) { return channels ? s.c : s.w; };
    if (desc.has_residual) {
      constexpr int64_t kPiece = 256;
      HWY_ALIGN T added[kPiece];
      for (int64_t i = 0; i < count; i += kPiece) {
        const int64_t piece = std::min(kPiece, count - i), by = step(desc.residual_strides);
        widen_row(desc.output_dtype, residual, desc.residual_strides.offset(n, p, q, k) + i * by,
                  by, piece, added);
        for (int64_t j = 0; j < piece; ++j) sums[i + j] += added[j];
      }
    }
    if (desc.activation != Activation::identity) {
      const bool prelu = desc.activation == Activation::prelu;
      for (int64_t i = 0; i < count; i += lanes) {
        auto slope = hn::Zero(d);
        if (prelu) {
          slope = channels ? load_some(d, slopes + k + i, count - i) : hn::Set(d, slopes[k]);
        }
        const auto x = load_some(d, sums + i, count - i);
        store_some(d, activated(d, desc.activation, a, b, slope, x), sums + i, count - i);
      }
    }
  }
};

}  // namespace tconv::host::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
