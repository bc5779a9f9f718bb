// SPDX-License-Identifier: Apache-2.0
// kernel.cuh: the kernel of row.cu, which says what it computes. Its instances are
// compiled type by type, igemm_sm80_TYPE.cu, so that no file takes long.
#pragma once

#include <type_traits>

#include "src/cuda/common/epilogue.cuh"
#include "src/cuda/common/tf32x3.cuh"
#include "src/cuda/common/uniform.cuh"
#include "src/cuda/igemm_sm80/copy.cuh"
#include "src/cuda/igemm_sm80/instances.cuh"
#include "src/cuda/igemm_sm80/launchers.cuh"
#include "src/cuda/igemm_sm80/multiply.cuh"
#include "src/cuda/igemm_sm80/plan.h"
#include "src/cuda/igemm_sm80/producer.cuh"
#include "src/cuda/igemm_sm80/store.cuh"
#include "src/cuda/igemm_sm80/tile.cuh"
#include "src/cuda/ptx/cp_async.cuh"
#include "src/cuda/ptx/shared.cuh"
#include "src/cuda/runtime/launch.cuh"

namespace tconv::cuda::igemm {

using host::kIgemmTiles;

static_assert(sizeof(IgemmParams) + 128 <= 4096, "what a launch carries on every driver");

template <typename T>
constexpr int blocks_per_sm(const host::IgemmTile& tile) {
  if (!std::is_same_v<T, Tf32x3> || tile.blocks_per_sm < host::kIgemmBlocksOf3xTf32) {
    return tile.blocks_per_sm;
  }
  return host::kIgemmBlocksOf3xTf32;
}

template <typename T, int kTileIndex, bool kWide, FilterOrder kOrder>
__global__ void __launch_bounds__(kIgemmTiles[kTileIndex].threads(),
                                  blocks_per_sm<T>(kIgemmTiles[kTileIndex]))
    igemm_sm80(const __grid_constant__ IgemmParams d, const char* __restrict__ input,
               const char* __restrict__ filters, const Epilogue<float> epilogue) {
  using Tile = Tiling<kTileIndex>;
  unsigned char* memory = ptx::dynamic_shared();
  const Shared shared = {memory, ptx::shared_address(memory)};
  const uint32_t table_bytes = align_up(
      d.window_pixels * sizeof(Pixel) + Tile::kTapLines * d.most_taps * sizeof(uint32_t), 128);
  const uint32_t windows = shared.address + table_bytes;
  const uint32_t stages = windows + d.filters_at;
  const int first_box = first_box_of(d, static_cast<int>(blockIdx.x));

  // The block's boxes: one, or several for which its filters stay where they are.
#pragma unroll 1
  for (int box = first_box; box < d.boxes; box += d.box_step) {
    // Prologue: the tables of pixels and taps, then the first kAhead iterations in flight.
    const Place place = place_of<kTileIndex>(d, block_here(), box);
    const Chunks chunks = chunks_of<kTileIndex>(d, place);
    const Corner corner = corner_of(d, place);
    make_tables<kTileIndex>(d, place, corner, memory);
    __syncthreads();  // the tables are there for all, and what the box before staged is read
    Producer<T, kTileIndex, kWide, kOrder> producer(d, place, corner, chunks.first, input, filters,
                                                    shared, windows, stages, box == first_box);
    Consumer<T, kTileIndex, kOrder> consumer(d, place, chunks.first, tap_table(d, memory), windows,
                                             stages);
    const int iterations = uniform(chunks.count * d.groups[place.group].iterations);
#pragma unroll
    for (int i = 0; i < Tile::kAhead; ++i) {
      if (i < iterations) producer.issue();
      ptx::cp_async_commit_group();
    }
    ptx::cp_async_wait_group<Tile::kAhead - 1>();
    __syncthreads();  // the copies of iteration 0 have landed for all
    consumer.load(0);

    // Mainloop, iteration i = iterations - left. Invariant: the copies of iteration i have landed,
    // those of the kAhead - 1 after it are in flight, and the fragments of its first step are on
    // their way.
#pragma unroll 1
    for (int left = iterations; left > 0; --left) {
      // The stage that is written was read in iteration i - 1, before the barrier below.
      if (left > Tile::kAhead) producer.issue();
      ptx::cp_async_commit_group();
#pragma unroll
      for (int step = 0; step < Tile::kSteps; ++step) {
        const bool useful = consumer.useful(step);
        if (step + 1 < Tile::kSteps) {
          consumer.load(step + 1);
        } else if (left > 1) {
          ptx::cp_async_wait_group<Tile::kAhead - 1>();
          __syncthreads();  // iteration i + 1 has landed for all, and all have read iteration i
          consumer.next_iteration();
          consumer.load(0);
        }
        if (useful) consumer.multiply_step(step);
      }
    }

    // Epilogue: round once. All copies have landed, for the last iteration waited for its own: what
    // is in flight are empty groups. The windows' ring, and that of filters that do not stay, are
    // free for staging.
    __syncthreads();  // all have read the last iteration
    auto* staging = reinterpret_cast<float*>(memory + table_bytes);
    Storer<kTileIndex>(d, place, epilogue, staging).store(consumer.sums);
  }
}

template <typename T, int kTileIndex, bool kWide, FilterOrder kOrder>
KernelFunction instance() {
  if constexpr (has_instance<T, kOrder>(kTileIndex, kWide)) {
    return igemm_sm80<T, kTileIndex, kWide, kOrder>;
  } else {
    return nullptr;  // refused by the plan
  }
}

template <typename T, bool kWide, FilterOrder kOrder>
KernelFunction kernel_of(int tile) {
  static_assert(host::kIgemmTileCount == 6);
  switch (tile) {
    case 0: return instance<T, 0, kWide, kOrder>();
    case 1: return instance<T, 1, kWide, kOrder>();
    case 2: return instance<T, 2, kWide, kOrder>();
    case 3: return instance<T, 3, kWide, kOrder>();
    case 4: return instance<T, 4, kWide, kOrder>();
    default: return instance<T, 5, kWide, kOrder>();
  }
}

template <typename T, FilterOrder kOrder>
KernelFunction kernel_of(int tile, bool wide) {
  return wide ? kernel_of<T, true, kOrder>(tile) : kernel_of<T, false, kOrder>(tile);
}

}  // namespace tconv::cuda::igemm
