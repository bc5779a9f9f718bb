// SPDX-License-Identifier: Apache-2.0
// kernels.cpp: everything in *-inl.h, compiled once for each instruction set by Highway's
// foreach_target.h, which includes this file again for each.
#include "src/host/cpu/simd/kernels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

// Three sets for x86: what every processor has, AVX2 and AVX-512. Vectors of a length that only the
// machine knows (SVE, RVV) cannot be kept in arrays.
#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/host/cpu/simd/kernels.cpp"
// Each of these needs those before it.
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/cache_control.h>
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

#include "src/host/cpu/simd/tile-inl.h"
#include "src/host/cpu/simd/finish-inl.h"
#include "src/host/cpu/simd/tiles-inl.h"
#include "src/host/cpu/simd/gather-inl.h"
#include "src/host/cpu/simd/columns-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tconv::host::simd::HWY_NAMESPACE {

void run_task(const Job& job, int64_t task, std::byte* room) {
  const auto run = [&]<typename T>() {
    if (job.state.method == Method::columns) {
      ColumnsTask<T>(job, task, room).run();
    } else {
      TilesTask<T>(job, task, room).run();
    }
  };
  job.state.is_f64 ? run.template operator()<double>() : run.template operator()<float>();
}

Target target_of(const char* name) {
  return {name,
          static_cast<int64_t>(hn::Lanes(Full<float>())),
          static_cast<int64_t>(hn::Lanes(Full<double>())),
          kRegisters,
          most_rows(2),
          run_task};
}

}  // namespace tconv::host::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tconv::host::simd {
namespace {

#if HWY_ARCH_X86 && HWY_TARGETS != HWY_STATIC_TARGET
bool has_avx2() {
  // Every processor with AVX2 and FMA has F16C, of which clang does not let a program ask.
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi2");
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
}
#endif

}  // namespace

std::span<const Target* const> targets() {
#if HWY_ARCH_X86 && HWY_TARGETS != HWY_STATIC_TARGET
  static const Target avx512 = N_AVX3::target_of("avx512"), avx2 = N_AVX2::target_of("avx2");
  static const Target portable = HWY_STATIC_DISPATCH(target_of)("portable");
  static const std::array<const Target*, 3> all = {has_avx512() ? &avx512 : nullptr,
                                                   has_avx2() ? &avx2 : nullptr, &portable};
#else
  static const Target only = HWY_STATIC_DISPATCH(target_of)("compiled");
  static const std::array<const Target*, 3> all = {nullptr, nullptr, &only};
#endif
  return all;
}

}  // namespace tconv::host::simd
#endif
