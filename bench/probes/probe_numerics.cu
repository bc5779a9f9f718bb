// SPDX-License-Identifier: Apache-2.0
// probe_numerics.cu: how tensor cores and TMA round. One dot product at a time: row 0 of A times
// column 0 of B plus C, everything else zero. Not yet run on a GPU.
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <bit>
#include <cmath>
#include <map>
#include <vector>

#include "bench/probes/device.cuh"
#include "bench/probes/launch.cuh"
#include "bench/probes/probe.h"
#include "bench/probes/tensor_map.h"
#include "src/cuda/common/wgmma_descriptor.cuh"
#include "src/cuda/ptx/fence.cuh"
#include "src/cuda/ptx/mma_sm80.cuh"
#include "src/cuda/ptx/pin.cuh"
#include "src/cuda/ptx/shared.cuh"
#include "src/cuda/ptx/tma.cuh"
#include "src/cuda/ptx/wgmma_sm90.cuh"

namespace tconv::probes {
namespace {

namespace ptx = cuda::ptx;

enum class Unit { kMmaF16, kMmaTf32, kWgmmaF16, kWgmmaTf32, kWgmmaE4m3 };

// K elements of 32 bytes in all: 16 f16, 8 tf32 or 32 e4m3.
struct Dot {
  uint32_t a[8] = {};
  uint32_t b[8] = {};
  float c = 0;
};

template <Unit kUnit>
__device__ float dot_mma(const Dot& dot) {
  // Lanes 0 to 3 hold row 0 of A and column 0 of B, lane 0 the element (0, 0).
  const uint32_t lane = threadIdx.x;
  const bool first = lane < 4;
  const uint32_t a[4] = {first ? dot.a[lane] : 0, 0, first ? dot.a[4 + lane] : 0, 0};
  const uint32_t b[2] = {first ? dot.b[lane] : 0, first ? dot.b[4 + lane] : 0};
  float sum[4] = {lane == 0 ? dot.c : 0, 0, 0, 0};
  if constexpr (kUnit == Unit::kMmaF16) {
    ptx::mma_m16n8k16_f16(sum, a, b);
  } else {
    ptx::mma_m16n8k8_tf32(sum, a, b);
  }
  return sum[0];
}

// 128-byte rows; row 0 keeps its order under the swizzle.
template <Unit kUnit>
__device__ float dot_wgmma(const Dot& dot, uint32_t* shared) {
  constexpr uint32_t kWordsA = 64 * 32;
  constexpr uint32_t kWordsB = 8 * 32;
  for (uint32_t i = threadIdx.x; i < kWordsA + kWordsB; i += blockDim.x) {
    shared[i] = 0;
  }
  __syncthreads();
  if (threadIdx.x < 8) {
    shared[threadIdx.x] = dot.a[threadIdx.x];
    shared[kWordsA + threadIdx.x] = dot.b[threadIdx.x];
  }
  ptx::fence_proxy_async_shared();
  __syncthreads();  // the operands are there for wgmma
  const uint32_t address = ptx::shared_address(shared);
  const uint64_t a = cuda::wgmma_descriptor({address, 16, 1024, cuda::Swizzle::k128});
  const uint64_t b = cuda::wgmma_descriptor({address + 4 * kWordsA, 16, 1024, cuda::Swizzle::k128});
  float sum[4] = {threadIdx.x == 0 ? dot.c : 0, 0, 0, 0};
#pragma unroll
  for (float& element : sum) {
    ptx::pin(element);  // written before the fence, not moved behind it
  }
  ptx::wgmma_fence();
  if constexpr (kUnit == Unit::kWgmmaF16) {
    ptx::wgmma_k16_f16(sum, a, b, true);
  } else if constexpr (kUnit == Unit::kWgmmaTf32) {
    ptx::wgmma_k8_tf32(sum, a, b, true);
  } else {
    ptx::wgmma_k32_e4m3(sum, a, b, true);
  }
  ptx::wgmma_commit_group();
  ptx::wgmma_wait_group<0>();
  return sum[0];
}

template <Unit kUnit>
__global__ void __launch_bounds__(128) evaluate(const Dot* dots, float* results) {
  float result = 0;
  if constexpr (kUnit == Unit::kMmaF16 || kUnit == Unit::kMmaTf32) {
    result = dot_mma<kUnit>(dots[blockIdx.x]);
  } else {
    result = dot_wgmma<kUnit>(dots[blockIdx.x], reinterpret_cast<uint32_t*>(ptx::dynamic_shared()));
  }
  if (threadIdx.x == 0) {
    results[blockIdx.x] = result;
  }
}

void evaluate_all(Unit unit, unsigned count, const Dot* dots, float* results) {
  constexpr unsigned kShared = (64 + 8) * 128;
  switch (unit) {
    case Unit::kMmaF16: launch(evaluate<Unit::kMmaF16>, {count, 32}, dots, results); break;
    case Unit::kMmaTf32: launch(evaluate<Unit::kMmaTf32>, {count, 32}, dots, results); break;
    case Unit::kWgmmaF16:
      launch(evaluate<Unit::kWgmmaF16>, {count, 128, kShared}, dots, results);
      break;
    case Unit::kWgmmaTf32:
      launch(evaluate<Unit::kWgmmaTf32>, {count, 128, kShared}, dots, results);
      break;
    case Unit::kWgmmaE4m3:
      launch(evaluate<Unit::kWgmmaE4m3>, {count, 128, kShared}, dots, results);
      break;
  }
}

bool is_f16(Unit unit) { return unit == Unit::kMmaF16 || unit == Unit::kWgmmaF16; }
bool is_tf32(Unit unit) { return unit == Unit::kMmaTf32 || unit == Unit::kWgmmaTf32; }

// Element i of an operand becomes `value`, which its type holds exactly.
void set(Unit unit, uint32_t (&operand)[8], unsigned i, float value) {
  if (is_tf32(unit)) {
    operand[i] = std::bit_cast<uint32_t>(value);
  } else if (is_f16(unit)) {
    const auto bits = std::bit_cast<uint16_t>(__float2half_rn(value));
    operand[i / 2] |= static_cast<uint32_t>(bits) << (16 * (i % 2));
  } else {
    const uint32_t bits = __nv_cvt_float_to_fp8(value, __NV_SATFINITE, __NV_E4M3);
    operand[i / 4] |= bits << (8 * (i % 4));
  }
}

// Product i becomes sign * 2^-exponent, split over both factors.
void set_product(Unit unit, Dot& dot, unsigned i, int exponent, float scale = 1) {
  set(unit, dot.a, i, scale * std::ldexp(1.0f, -(exponent / 2)));
  set(unit, dot.b, i, std::ldexp(1.0f, -(exponent - exponent / 2)));
}

std::vector<float> results_of(Unit unit, const std::vector<Dot>& dots) {
  const Buffer<Dot> input(dots);
  const Buffer<float> output(dots.size(), 0xff);
  evaluate_all(unit, static_cast<unsigned>(dots.size()), input.get(), output.get());
  return output.read();
}

std::string hex(float value) {
  char text[40];
  std::snprintf(text, sizeof text, "%a", static_cast<double>(value));
  return text;
}

// The first bit that is dropped when small products meet a large one: the largest j for which a few
// products of 2^-j still change 1.
int last_bit_kept(Unit unit, bool large_in_c) {
  const unsigned few = is_tf32(unit) ? 4 : is_f16(unit) ? 8 : 16;
  const int most = is_tf32(unit) ? 25 : is_f16(unit) ? 26 : 16;
  std::vector<Dot> dots;
  for (int j = 1; j <= most; ++j) {
    Dot dot;
    dot.c = large_in_c ? 1.0f : 0.0f;
    if (!large_in_c) {
      set_product(unit, dot, 0, 0);
    }
    for (unsigned i = 1; i <= few; ++i) {
      set_product(unit, dot, i, j);
    }
    dots.push_back(dot);
  }
  const std::vector<float> results = results_of(unit, dots);
  int last = 0;
  for (int j = 1; j <= most; ++j) {
    if (results[static_cast<std::size_t>(j - 1)] != 1.0f) {
      last = j;
    }
  }
  return last;
}

// +-(1 + 1.5 * 2^-24): to nearest it is +-(1 + 2^-23), truncated +-1.
std::string rounding(Unit unit) {
  Dot up;
  up.c = 1;
  set_product(unit, up, 0, 24, 1.5f);
  Dot down;
  down.c = -1;
  set_product(unit, down, 0, 24, -1.5f);
  const std::vector<float> got = results_of(unit, {up, down});
  const float next = 1 + std::ldexp(1.0f, -23);
  const std::map<std::pair<float, float>, const char*> known = {{{next, -next}, "to nearest"},
                                                                {{1.0f, -1.0f}, "truncated"},
                                                                {{1.0f, -next}, "down"},
                                                                {{next, -1.0f}, "up"}};
  const auto found = known.find({got[0], got[1]});
  return found == known.end() ? "neither: " + hex(got[0]) + " and " + hex(got[1]) : found->second;
}

// What the unit makes of the 13 low bits of an f32 operand: 1 + x times 1.
std::string low_bits(Unit unit) {
  std::string text;
  for (const uint32_t low : {0x0fffu, 0x1000u, 0x1001u, 0x1fffu}) {
    Dot dot;
    dot.a[0] = 0x3f800000u | low;
    set(unit, dot.b, 0, 1);
    const auto bits = std::bit_cast<uint32_t>(results_of(unit, {dot})[0]);
    const uint32_t part = bits & 0x7fffffu;
    text += part == 0 ? "dropped " : part == 0x2000u ? "rounded up " : part == low ? "kept " : "? ";
  }
  text.pop_back();
  return text;
}

__global__ void load_as(const __grid_constant__ CUtensorMap map, uint32_t* values, int* failed) {
  unsigned char* shared = ptx::dynamic_shared();
  const uint32_t barrier = ptx::shared_address(shared) + 128;
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(barrier, 1);
    ptx::fence_mbarrier_init();
    ptx::mbarrier_arrive_expect_tx(barrier, 128);
    ptx::cp_async_bulk_tensor_2d(ptx::shared_address(shared), &map, barrier, 0, 0);
  }
  __syncthreads();  // the barrier is ready
  Waiter{failed}.wait(barrier, 0);
  values[threadIdx.x] = reinterpret_cast<const uint32_t*>(shared)[threadIdx.x];
}

uint32_t to_nearest_even(uint32_t bits) { return (bits + 0xfffu + (bits >> 13 & 1)) & ~0x1fffu; }
uint32_t to_nearest_away(uint32_t bits) { return (bits + 0x1000u) & ~0x1fffu; }

// 32 finite numbers whose low 13 bits are below, at and above one half, odd and even above.
std::string tma_rounding(CUtensorMapDataType type) {
  std::vector<uint32_t> patterns;
  for (const uint32_t high : {0x3f800000u, 0x3f802000u, 0xbf800000u, 0xbf802000u}) {
    for (const uint32_t low : {0u, 1u, 0xfffu, 0x1000u, 0x1001u, 0x1800u, 0x1ffeu, 0x1fffu}) {
      patterns.push_back(high | low);
    }
  }
  const Buffer<uint32_t> input(patterns);
  const Buffer<uint32_t> output(patterns.size(), 0xff);
  const Buffer<int> failed(1, 0);
  const CUtensorMap map =
      tiled_map(dense(type, 4, input.get(), {32, 1}), {32, 1}, CU_TENSOR_MAP_SWIZZLE_NONE);
  launch(load_as, {1, 32, 136}, map, output.get(), failed.get());
  const std::vector<uint32_t> got = output.read();
  if (failed.read()[0] != 0) {
    throw std::runtime_error("the TMA load did not arrive within a second");
  }
  const std::pair<const char*, uint32_t (*)(uint32_t)> known[] = {
      {"unchanged", [](uint32_t bits) { return bits; }},
      {"truncated", [](uint32_t bits) { return bits & ~0x1fffu; }},
      {"to nearest, ties to even", to_nearest_even},
      {"to nearest, ties away from zero", to_nearest_away}};
  for (const auto& [name, function] : known) {
    bool same = true;
    for (std::size_t i = 0; i < patterns.size(); ++i) {
      same = same && got[i] == function(patterns[i]);
    }
    if (same) {
      return name;
    }
  }
  return "none of the four";
}

// 3 * 5 + 7 and the like must be exact, or the operands are not where we think.
void check_plain_sums(Report& report, Unit unit, const char* name) {
  Dot dot;
  dot.c = 7;
  const unsigned length = is_tf32(unit) ? 8 : is_f16(unit) ? 16 : 32;
  float expected = dot.c;
  for (unsigned i = 0; i < length; ++i) {
    const auto a = static_cast<float>(i % 7) - 3;
    const auto b = static_cast<float>(i % 5) + 1;
    set(unit, dot.a, i, a);
    set(unit, dot.b, i, b);
    expected += a * b;
  }
  const float got = results_of(unit, {dot})[0];
  if (!(got == expected)) {
    report.wrong(std::string(name) + ": a sum of small integers is " + std::to_string(got) +
                 ", not " + std::to_string(expected) + ": operands misplaced");
  }
}

void measure(Report& report) {
  const struct {
    Unit unit;
    const char* name;
    const char* bits;
  } units[] = {{Unit::kMmaF16, "mma.sync f16", "25 [E]"},
               {Unit::kMmaTf32, "mma.sync tf32", "25 [E]"},
               {Unit::kWgmmaF16, "wgmma f16", "25 [E]"},
               {Unit::kWgmmaTf32, "wgmma tf32", "25 [E]"},
               {Unit::kWgmmaE4m3, "wgmma e4m3", "13 [E]"}};
  bool truncates = false;
  for (const auto& [unit, name, bits] : units) {
    const std::string text = name;
    check_plain_sums(report, unit, name);
    if (unit != Unit::kWgmmaE4m3) {  // e4m3 has no product that small
      const std::string how = rounding(unit);
      truncates = truncates || how != "to nearest";
      report.observed(text + ": 1 + 1.5 * 2^-24", how, "truncated [E]");
    }
    report.measured(text + ": products beside a product of 1 count down to 2^-j, j",
                    last_bit_kept(unit, false), "bits", bits);
    report.measured(text + ": products beside C = 1 count down to 2^-j, j",
                    last_bit_kept(unit, true), "bits", bits);
    if (is_tf32(unit)) {
      report.observed(text + ": operand bits 0fff 1000 1001 1fff", low_bits(unit),
                      "dropped dropped dropped dropped [E]");
    }
  }
  const std::string tma = tma_rounding(CU_TENSOR_MAP_DATA_TYPE_TFLOAT32);
  report.observed("TMA of type TFLOAT32", tma, "? : a rounding, or unchanged");
  report.observed("TMA of type FLOAT32", tma_rounding(CU_TENSOR_MAP_DATA_TYPE_FLOAT32),
                  "unchanged [E]");
  report.decides("error bound",
                 "if a unit truncates, its bound counts one ulp for each addition of a K step, not "
                 "half; the last kept bit bounds the alignment loss",
                 truncates ? "truncation: the bound of docs/verification.md holds only with whole "
                             "ulps"
                           : "round to nearest");
  const bool rounds = tma.rfind("to nearest", 0) == 0;
  report.decides("tf32 operands",
                 "if TMA rounds to nearest as TFLOAT32, Hopper kernels load tf32 operands rounded "
                 "for free; else they are rounded (cvt.rna) in prepack and on the way to registers",
                 rounds ? "TMA rounds" : "cvt.rna");
}

}  // namespace
}  // namespace tconv::probes

int main(int argc, char** argv) {
  return tconv::probes::run(
      argc, argv,
      {"numerics",
       "How do tensor cores add, what do they make of tf32 operands, and does "
       "TMA round to tf32?",
       tconv::probes::About::Needs::kHopper},
      tconv::probes::measure);
}
