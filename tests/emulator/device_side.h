// SPDX-License-Identifier: Apache-2.0
// device_side.h: what the emulated CUDA functions (shim.h, shims/) call. Each is one real call
// from a kernel, with scalars and pointers alone.
#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <cstdint>
#include <source_location>

#include "tests/emulator/shuffle.h"

namespace tconv::emulator {

using Where = std::source_location;

// ---- Launches. ----------------------------------------------------------------------------------

/// A parameter of a kernel. What a pointer to const leads to is constant while the kernel runs,
/// unless another parameter leads there, too.
struct Parameter {
  std::size_t bytes;
  bool is_pointer_to_const;
};

/// What a kernel's type says. `invoke` calls it with the arguments that the pointers lead to.
struct KernelType {
  void (*invoke)(const void* kernel, void** arguments);
  const Parameter* parameters;
  std::size_t count;
};
void know_kernel(const void* kernel, const KernelType& type);

// ---- Shared memory. -----------------------------------------------------------------------------

unsigned char* dynamic_shared();
uint32_t shared_address(const void* shared);

// ---- Synchronisation. ---------------------------------------------------------------------------

/// A switch returns it in the thread that goes on: where the thread before was left. resume() takes
/// it before anything else happens.
///
/// The switch is the last thing that a function below does, so that it ends in the kernel: each
/// return after a switch is one that the processor, which remembers the calls, predicts wrongly.
using Departure = boost::context::detail::transfer_t;
void resume(Departure departure);

Departure sync_block(Where where);
Departure sync_warp(uint32_t mask, Where where);
Departure sync_named(uint32_t id, uint32_t threads, Where where);
void arrive_named(uint32_t id, uint32_t threads, const Where& where);

// ---- cp.async. ----------------------------------------------------------------------------------

void cp_async(uint32_t shared, const void* global, uint32_t size, uint32_t bytes,
              const Where& where);
void cp_async_commit_group(const Where& where);
void cp_async_wait_group(uint32_t pending, const Where& where);

// ---- Warps: all lanes named must come to the same place. Nothing here orders memory accesses. ---

Departure ldmatrix(uint32_t* matrix, int matrices, bool transposed, uint32_t shared, Where where);
Departure mma_m16n8k16_f16(float* sum, const uint32_t* a, const uint32_t* b, Where where);
Departure mma_m16n8k16_bf16(float* sum, const uint32_t* a, const uint32_t* b, Where where);
Departure mma_m16n8k8_tf32(float* sum, const uint32_t* a, const uint32_t* b, Where where);
Departure mma_m8n8k4_f64(double* sum, double a, double b, Where where);
Departure mma_m16n8k32_s8(int32_t* sum, const uint32_t* a, const uint32_t* b, Where where);
uint32_t cvt_rna_tf32(float x);
/// The value of the lane that the shuffle reads.
uint64_t shuffle(Shuffle mode, uint32_t mask, uint64_t value, uint32_t operand, int width,
                 const Where& where);
uint32_t ballot(uint32_t mask, bool predicate, const Where& where);

// ---- Arithmetic that is one instruction on a GPU, and would be many instrumented blocks here. ---

float widen_half(uint16_t bits);
uint16_t round_to_half(float x);
uint16_t round_to_bfloat16(float x);
/// Counts a multiply-add.
float multiply_add(float a, float b, float sum);
double multiply_add(double a, double b, double sum);

}  // namespace tconv::emulator
