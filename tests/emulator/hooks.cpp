// SPDX-License-Identifier: Apache-2.0
// hooks.cpp: what GCC calls for each access of instrumented code (-fsanitize=thread, whose runtime
// is not linked: this file stands in for it), at each basic block (-fsanitize-coverage=trace-pc),
// and where an array's bounds are known and left (-fsanitize=bounds): arrays of a thread's own are
// no tensors.
#include "tests/emulator/findings.h"
#include "tests/emulator/memory.h"
#include "tests/emulator/requests.h"

using tconv::emulator::access;
using tconv::emulator::access_range;

namespace {

uintptr_t address_of(const void* p) { return reinterpret_cast<uintptr_t>(p); }

}  // namespace

#define CALLER reinterpret_cast<uintptr_t>(__builtin_return_address(0))

// NOLINTBEGIN(bugprone-reserved-identifier,misc-use-internal-linkage): the compiler's names
extern "C" {

#define TCONV_HOOK(BYTES)                                                                 \
  void __tsan_read##BYTES(const void* p) { access<BYTES, false>(address_of(p), CALLER); } \
  void __tsan_write##BYTES(const void* p) { access<BYTES, true>(address_of(p), CALLER); }
TCONV_HOOK(1)
TCONV_HOOK(2)
TCONV_HOOK(4)
TCONV_HOOK(8)
TCONV_HOOK(16)

// What the compiler knows only to be aligned to less than its size.
#define TCONV_UNALIGNED_HOOK(BYTES)                    \
  void __tsan_unaligned_read##BYTES(const void* p) {   \
    access_range(address_of(p), BYTES, false, CALLER); \
  }                                                    \
  void __tsan_unaligned_write##BYTES(const void* p) {  \
    access_range(address_of(p), BYTES, true, CALLER);  \
  }
TCONV_UNALIGNED_HOOK(2)
TCONV_UNALIGNED_HOOK(4)
TCONV_UNALIGNED_HOOK(8)
TCONV_UNALIGNED_HOOK(16)

void __tsan_read_range(const void* p, std::size_t n) {
  access_range(address_of(p), n, false, CALLER);
}
void __tsan_write_range(const void* p, std::size_t n) {
  access_range(address_of(p), n, true, CALLER);
}

// Atomics of the host's part of a .cu file (shared_ptr): done, not watched. Kernels have none.
#define TCONV_ATOMIC_HOOK(BITS)                                                                \
  uint##BITS##_t __tsan_atomic##BITS##_load(const volatile uint##BITS##_t* p, int) {           \
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                               \
  }                                                                                            \
  void __tsan_atomic##BITS##_store(volatile uint##BITS##_t* p, uint##BITS##_t x, int) {        \
    __atomic_store_n(p, x, __ATOMIC_SEQ_CST);                                                  \
  }                                                                                            \
  uint##BITS##_t __tsan_atomic##BITS##_fetch_add(volatile uint##BITS##_t* p, uint##BITS##_t x, \
                                                 int) {                                        \
    return __atomic_fetch_add(p, x, __ATOMIC_SEQ_CST);                                         \
  }                                                                                            \
  uint##BITS##_t __tsan_atomic##BITS##_fetch_sub(volatile uint##BITS##_t* p, uint##BITS##_t x, \
                                                 int) {                                        \
    return __atomic_fetch_sub(p, x, __ATOMIC_SEQ_CST);                                         \
  }
TCONV_ATOMIC_HOOK(8)
TCONV_ATOMIC_HOOK(32)
TCONV_ATOMIC_HOOK(64)

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

void __sanitizer_cov_trace_pc() {
  if (tconv::emulator::hot.counting) tconv::emulator::enter_basic_block(CALLER);
}

void __ubsan_handle_out_of_bounds(void*, void* index) {
  tconv::emulator::report_at_pc("local array out of bounds", CALLER,
                                "index " + std::to_string(reinterpret_cast<intptr_t>(index)));
  tconv::emulator::abandon_launch();
}

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier,misc-use-internal-linkage)
