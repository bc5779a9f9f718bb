// SPDX-License-Identifier: Apache-2.0
// device_side.h: what the emulated CUDA functions (shim.h, replaced/) call. Each is one real call
// from a kernel, with scalars and pointers alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>

namespace tconv::emulator {

using Where = std::source_location;

// ---- Launches
// ------------------------------------------------------------------------------------

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

// ---- Shared memory
// -------------------------------------------------------------------------------

unsigned char* dynamic_shared();
uint32_t shared_address(const void* shared);

// ---- Synchronisation
// -----------------------------------------------------------------------------

void sync_block(const Where& where);
void sync_warp(uint32_t mask, const Where& where);
void sync_named(uint32_t id, uint32_t threads, const Where& where);
void arrive_named(uint32_t id, uint32_t threads, const Where& where);

// ---- cp.async
// ------------------------------------------------------------------------------------

void cp_async(uint32_t shared, const void* global, uint32_t size, uint32_t bytes,
              const Where& where);
void cp_async_commit_group(const Where& where);
void cp_async_wait_group(uint32_t pending, const Where& where);

// ---- Warps
// ---------------------------------------------------------------------------------------

/// What the lanes of a warp brought to a collective instruction; null for lanes that take no part.
struct Lanes {
  uint32_t mask = 0;
  void* operand[32] = {};
};
/// Waits for all lanes of `mask` (0: all threads of the warp) at the same place; the last one does
/// `act` for all of them. Orders no memory accesses. `name` is for findings; the same `name` and
/// `where` from all lanes, or it is one.
void collective(const char* name, uint32_t mask, void* operand, void (*act)(const Lanes&),
                const Where& where);
/// The calling thread reads `bytes` of shared memory at `address`: checked as an access of a
/// kernel. Where it lies, or null if it lies nowhere.
const unsigned char* read_shared(uint32_t address, uint32_t bytes, const Where& where);
/// In `act`: the lanes of this warp are one ldmatrix, 8 * matrices rows of 16 bytes each.
void count_ldmatrix(const uint32_t* addresses, int matrices, const Where& where);

// ---- Arithmetic that is one instruction on a GPU, and would be many instrumented blocks here.
// ------

float widen_half(uint16_t bits);
uint16_t round_to_half(float x);
uint16_t round_to_bfloat16(float x);
/// Counts a multiply-add.
float multiply_add(float a, float b, float sum);
double multiply_add(double a, double b, double sum);

// ---- Counting and findings
// -----------------------------------------------------------------------

void count_multiply_adds(uint64_t count);
/// The calling thread did what it must not; the run goes on.
void report(const char* kind, const char* detail, const Where& where);

}  // namespace tconv::emulator
