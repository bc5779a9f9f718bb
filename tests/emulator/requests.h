// SPDX-License-Identifier: Apache-2.0
// requests.h: which accesses of a warp's lanes are one request, and what it costs.
//
// Lanes run one after the other, so the accesses that one instruction of the GPU does for all of
// them come apart. They belong together if they are of one place in the code and in the same
// iteration of every loop around it ("the n-th execution of a place" would be wrong where lanes
// skip iterations). Loops are seen in the trace of basic blocks: a jump backwards is a loop's next
// iteration, a block behind everything that ever jumped back to its head is its end. How far a loop
// reaches must be known before it can be counted: a kernel that shows a new loop is run once to
// learn and then again.
#pragma once

#include <cstdint>
#include <source_location>

#include "tests/emulator/emulator.h"

namespace tconv::emulator {

/// The running thread enters the basic block at `pc`.
void enter_basic_block(uintptr_t pc);
/// The lanes of a warp come to a synchronisation, or another warp runs: requests are whole.
void flush_requests();

enum class RequestKind : uint8_t {
  global_load,
  global_store,
  async_copy,
  shared_load,
  shared_store,
  ldmatrix,
};
constexpr bool is_shared(RequestKind kind) { return kind >= RequestKind::shared_load; }

/// The running thread's part of a request. `place` tells instructions apart; `offset` is in bytes.
void count_lane(RequestKind kind, uint32_t offset, uint32_t bytes, uintptr_t place);
/// The same for what stands at a known line.
void count_lane_at(RequestKind kind, uint32_t offset, uint32_t bytes,
                   const std::source_location& where, uintptr_t place);
/// A whole ldmatrix: 8 rows of 16 bytes for each matrix.
void count_matrices(const uint32_t* offsets, int matrices, const std::source_location& where);

void begin_counting();
/// A new block: its threads are at the beginning of the kernel.
void forget_traces();
/// True if no new loop has shown itself since begin_counting().
bool knows_all_loops();
/// Adds what was counted to `report`.
void end_counting(Report& report);

}  // namespace tconv::emulator
