// SPDX-License-Identifier: Apache-2.0
// faults.h: small kernels for the emulator's own tests: each does one thing right, or one thing
// wrong that the emulator must see.
#pragma once

#include <cstdint>

namespace tconv::cuda::faults {

/// One launch of a block (or two) of `threads`. x and y: `count` floats.
struct FaultArgs {
  const float* x = nullptr;
  float* y = nullptr;
  int count = 0;
  unsigned threads = 64, blocks = 1;
};

void launch_copy(const FaultArgs& args);              ///< y[i] = x[i], i < count: nothing wrong
void launch_reverse(const FaultArgs& args);           ///< through shared memory: nothing wrong
void launch_reverse_unsynced(const FaultArgs& args);  ///< the same without its barrier
void launch_barriers(const FaultArgs& args);          ///< `count` barriers and nothing else
void launch_divergence(const FaultArgs& args);        ///< half of the block at another barrier
void launch_early_exit(const FaultArgs& args);        ///< threads from `count` on leave before it
void launch_lonely_barrier(const FaultArgs& args);    ///< a named barrier that half of them miss
void launch_unwritten_shared(const FaultArgs& args);  ///< reads what no thread wrote
void launch_past_shared(const FaultArgs& args);       ///< one word behind the shared allocation
void launch_past_local(const FaultArgs& args);        ///< element `count` of a local array of four
void launch_every_block(const FaultArgs& args);       ///< all blocks write the same y
void launch_misaligned(const FaultArgs& args);        ///< reads 4 bytes at an odd address
void launch_two_sums(const FaultArgs& args);          ///< __syncwarp between lanes: nothing wrong
void launch_two_sums_unsynced(const FaultArgs& args);
void launch_pipeline(const FaultArgs& args);     ///< cp.async, two stages: nothing wrong
void launch_producer(const FaultArgs& args);     ///< bar.arrive and bar.sync: nothing wrong
void launch_struct_copy(const FaultArgs& args);  ///< 16 bytes at once, as a struct

/// Every third lane skips the iterations that are odd for it; then all lanes read together.
void launch_skipping(const FaultArgs& args);
/// Columns of a 32x32 matrix in shared memory whose rows are `pitch` words apart.
void launch_columns(const FaultArgs& args, int pitch);

}  // namespace tconv::cuda::faults
