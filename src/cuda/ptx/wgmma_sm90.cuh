// SPDX-License-Identifier: Apache-2.0
// wgmma_sm90.cuh: matrix products of a warpgroup (four consecutive warps, the first a multiple of
// four), 64 x N x K, sum = a * b + sum or, with accumulate = false, a * b. PTX ISA 8.0, sm_90a;
// section "Asynchronous Warpgroup Level Matrix Instructions: wgmma". All 128 threads must call.
//
// N is twice the length of `sum`: 8, 16, 24, 32, 48, 64, 96, 128, 192 or 256. `a` and `b` are
// descriptors (src/cuda/common/wgmma_descriptor.cuh) of K-major tiles in shared memory; `_rs` takes
// `a` from registers, in the order of the fragment of mma. kTransB = 1 takes an MN-major `b`
// (16-bit types only). Thread t holds in sum[4*i + j] row 16*(t/32) + (t%32)/4 + 8*(j/2), column
// 8*i + 2*(t%4) + j%2.
//
// The product goes on after the call. Before the first one, and after other code wrote `sum` or
// registers of `a`: wgmma_fence. After the last: wgmma_commit_group, and `sum` and the shared
// memory are left alone until wgmma_wait_group.
#pragma once

#include <cstdint>

namespace tconv::cuda::ptx {

__device__ __forceinline__ void wgmma_fence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void wgmma_commit_group() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int kPending>
__device__ __forceinline__ void wgmma_wait_group() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

// The operand lists of the accumulators: text and constraints, by their number of registers.
#define TCONV_TEXT8(a, b, c, d, e, f, g, h) \
  ", %" #a ", %" #b ", %" #c ", %" #d ", %" #e ", %" #f ", %" #g ", %" #h
#define TCONV_TEXT_4 "%0, %1, %2, %3"
#define TCONV_TEXT_8 TCONV_TEXT_4 ", %4, %5, %6, %7"
#define TCONV_TEXT_12 TCONV_TEXT_8 ", %8, %9, %10, %11"
#define TCONV_TEXT_16 TCONV_TEXT_8 TCONV_TEXT8(8, 9, 10, 11, 12, 13, 14, 15)
#define TCONV_TEXT_24 TCONV_TEXT_16 TCONV_TEXT8(16, 17, 18, 19, 20, 21, 22, 23)
#define TCONV_TEXT_32 TCONV_TEXT_24 TCONV_TEXT8(24, 25, 26, 27, 28, 29, 30, 31)
#define TCONV_TEXT_48                         \
  TCONV_TEXT_32                               \
  TCONV_TEXT8(32, 33, 34, 35, 36, 37, 38, 39) \
  TCONV_TEXT8(40, 41, 42, 43, 44, 45, 46, 47)
#define TCONV_TEXT_64                         \
  TCONV_TEXT_48                               \
  TCONV_TEXT8(48, 49, 50, 51, 52, 53, 54, 55) \
  TCONV_TEXT8(56, 57, 58, 59, 60, 61, 62, 63)
#define TCONV_TEXT_96                         \
  TCONV_TEXT_64                               \
  TCONV_TEXT8(64, 65, 66, 67, 68, 69, 70, 71) \
  TCONV_TEXT8(72, 73, 74, 75, 76, 77, 78, 79) \
  TCONV_TEXT8(80, 81, 82, 83, 84, 85, 86, 87) \
  TCONV_TEXT8(88, 89, 90, 91, 92, 93, 94, 95)
#define TCONV_TEXT_128                                \
  TCONV_TEXT_96                                       \
  TCONV_TEXT8(96, 97, 98, 99, 100, 101, 102, 103)     \
  TCONV_TEXT8(104, 105, 106, 107, 108, 109, 110, 111) \
  TCONV_TEXT8(112, 113, 114, 115, 116, 117, 118, 119) \
  TCONV_TEXT8(120, 121, 122, 123, 124, 125, 126, 127)
#define TCONV_SUM4(i) "+f"(sum[i]), "+f"(sum[(i) + 1]), "+f"(sum[(i) + 2]), "+f"(sum[(i) + 3])
#define TCONV_SUM8(i) TCONV_SUM4(i), TCONV_SUM4((i) + 4)
#define TCONV_SUM16(i) TCONV_SUM8(i), TCONV_SUM8((i) + 8)
#define TCONV_SUM32(i) TCONV_SUM16(i), TCONV_SUM16((i) + 16)
#define TCONV_SUM64(i) TCONV_SUM32(i), TCONV_SUM32((i) + 32)
#define TCONV_SUM_4 TCONV_SUM4(0)
#define TCONV_SUM_8 TCONV_SUM8(0)
#define TCONV_SUM_12 TCONV_SUM8(0), TCONV_SUM4(8)
#define TCONV_SUM_16 TCONV_SUM16(0)
#define TCONV_SUM_24 TCONV_SUM16(0), TCONV_SUM8(16)
#define TCONV_SUM_32 TCONV_SUM32(0)
#define TCONV_SUM_48 TCONV_SUM32(0), TCONV_SUM16(32)
#define TCONV_SUM_64 TCONV_SUM64(0)
#define TCONV_SUM_96 TCONV_SUM64(0), TCONV_SUM32(64)
#define TCONV_SUM_128 TCONV_SUM64(0), TCONV_SUM64(64)

// One instruction: ACCUMULATE is the operand of the flag, REST what follows it.
#define TCONV_WGMMA_ASM(N, K, TYPES, COUNT, OPERANDS, ACCUMULATE, REST, ...)           \
  asm volatile("{\n.reg .pred accumulate;\nsetp.ne.b32 accumulate, %" ACCUMULATE       \
               ", 0;\nwgmma.mma_async.sync.aligned.m64n" #N "k" #K "." TYPES           \
               " {" TCONV_TEXT_##COUNT "}, " OPERANDS ", accumulate, 1, 1" REST ";\n}" \
               : TCONV_SUM_##COUNT                                                     \
               : __VA_ARGS__)
#define TCONV_RS_INPUTS "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int{accumulate})
#define TCONV_SS_INPUTS "l"(a), "l"(b), "r"(int{accumulate})

// All types for one N = 2 * COUNT; A to G are COUNT, COUNT + 1 and so on, as text.
#define TCONV_WGMMA(N, COUNT, A, B, C, D, E, F, G)                                                \
  template <int kTransB = 0>                                                                      \
  __device__ __forceinline__ void wgmma_k16_f16(float(&sum)[COUNT], uint64_t a, uint64_t b,       \
                                                bool accumulate) {                                \
    TCONV_WGMMA_ASM(N, 16, "f32.f16.f16", COUNT, "%" A ", %" B, C, ", 0, %" D, TCONV_SS_INPUTS,   \
                    "n"(kTransB));                                                                \
  }                                                                                               \
  template <int kTransB = 0>                                                                      \
  __device__ __forceinline__ void wgmma_k16_bf16(float(&sum)[COUNT], uint64_t a, uint64_t b,      \
                                                 bool accumulate) {                               \
    TCONV_WGMMA_ASM(N, 16, "f32.bf16.bf16", COUNT, "%" A ", %" B, C, ", 0, %" D, TCONV_SS_INPUTS, \
                    "n"(kTransB));                                                                \
  }                                                                                               \
  template <int kTransB = 0>                                                                      \
  __device__ __forceinline__ void wgmma_k16_f16_rs(float(&sum)[COUNT], const uint32_t(&a)[4],     \
                                                   uint64_t b, bool accumulate) {                 \
    TCONV_WGMMA_ASM(N, 16, "f32.f16.f16", COUNT, "{%" A ", %" B ", %" C ", %" D "}, %" E, F,      \
                    ", %" G, TCONV_RS_INPUTS, "n"(kTransB));                                      \
  }                                                                                               \
  __device__ __forceinline__ void wgmma_k8_tf32(float(&sum)[COUNT], uint64_t a, uint64_t b,       \
                                                bool accumulate) {                                \
    TCONV_WGMMA_ASM(N, 8, "f32.tf32.tf32", COUNT, "%" A ", %" B, C, "", TCONV_SS_INPUTS);         \
  }                                                                                               \
  __device__ __forceinline__ void wgmma_k8_tf32_rs(float(&sum)[COUNT], const uint32_t(&a)[4],     \
                                                   uint64_t b, bool accumulate) {                 \
    TCONV_WGMMA_ASM(N, 8, "f32.tf32.tf32", COUNT, "{%" A ", %" B ", %" C ", %" D "}, %" E, F, "", \
                    TCONV_RS_INPUTS);                                                             \
  }                                                                                               \
  __device__ __forceinline__ void wgmma_k32_e4m3(float(&sum)[COUNT], uint64_t a, uint64_t b,      \
                                                 bool accumulate) {                               \
    TCONV_WGMMA_ASM(N, 32, "f32.e4m3.e4m3", COUNT, "%" A ", %" B, C, "", TCONV_SS_INPUTS);        \
  }

TCONV_WGMMA(8, 4, "4", "5", "6", "7", "8", "9", "10")
TCONV_WGMMA(16, 8, "8", "9", "10", "11", "12", "13", "14")
TCONV_WGMMA(24, 12, "12", "13", "14", "15", "16", "17", "18")
TCONV_WGMMA(32, 16, "16", "17", "18", "19", "20", "21", "22")
TCONV_WGMMA(48, 24, "24", "25", "26", "27", "28", "29", "30")
TCONV_WGMMA(64, 32, "32", "33", "34", "35", "36", "37", "38")
TCONV_WGMMA(96, 48, "48", "49", "50", "51", "52", "53", "54")
TCONV_WGMMA(128, 64, "64", "65", "66", "67", "68", "69", "70")
TCONV_WGMMA(192, 96, "96", "97", "98", "99", "100", "101", "102")
TCONV_WGMMA(256, 128, "128", "129", "130", "131", "132", "133", "134")

#undef TCONV_WGMMA
#undef TCONV_WGMMA_ASM
#undef TCONV_RS_INPUTS
#undef TCONV_SS_INPUTS
#undef TCONV_TEXT_4
#undef TCONV_SUM_4
#undef TCONV_TEXT_8
#undef TCONV_SUM_8
#undef TCONV_TEXT_12
#undef TCONV_SUM_12
#undef TCONV_TEXT_16
#undef TCONV_SUM_16
#undef TCONV_TEXT_24
#undef TCONV_SUM_24
#undef TCONV_TEXT_32
#undef TCONV_SUM_32
#undef TCONV_TEXT_48
#undef TCONV_SUM_48
#undef TCONV_TEXT_64
#undef TCONV_SUM_64
#undef TCONV_TEXT_96
#undef TCONV_SUM_96
#undef TCONV_TEXT_128
#undef TCONV_SUM_128
#undef TCONV_TEXT8
#undef TCONV_SUM4
#undef TCONV_SUM8
#undef TCONV_SUM16
#undef TCONV_SUM32
#undef TCONV_SUM64

}  // namespace tconv::cuda::ptx
