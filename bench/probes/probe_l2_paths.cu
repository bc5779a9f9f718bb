// SPDX-License-Identifier: Apache-2.0
// probe_l2_paths.cu: how many bytes a second reach shared memory from the L2 cache: by cp.async
// past and through L1, by TMA, by TMA multicast to a cluster. Not yet run on a GPU.
#include "bench/probes/tma_rate.cuh"
#include "src/cuda/common/wgmma_descriptor.cuh"
#include "src/cuda/ptx/cluster.cuh"
#include "src/cuda/ptx/cp_async.cuh"

namespace tconv::probes {
namespace {

namespace ptx = cuda::ptx;

constexpr uint32_t kDataBytes = 16u << 20;  // in L2, out of L1
constexpr uint32_t kRowBytes = 128;
constexpr uint32_t kBoxRows = 64;
constexpr uint32_t kBoxBytes = kBoxRows * kRowBytes;
constexpr uint32_t kBoxes = kDataBytes / kBoxBytes;
constexpr uint32_t kThreads = 256;
constexpr uint32_t kGroupBytes = 4 * 16 * kThreads;  // of one commit
constexpr uint32_t kGroups = 4;                      // in flight

// Word i of the data is random_bits(i), so that any place can be checked.
__global__ void fill_words(uint32_t* words, uint32_t count) {
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
    words[i] = random_bits(i);
  }
}

// Which bytes a block reads: offset = base * block + ((group + block * lead) mod region).
struct Region {
  uint32_t base_bytes;
  uint32_t region_bytes;  // power of two, multiple of kGroupBytes
  uint32_t lead_groups;

  __device__ uint32_t offset(uint32_t group) const {
    return base_bytes * blockIdx.x +
           (((group + lead_groups * blockIdx.x) * kGroupBytes) & (region_bytes - 1));
  }
};

template <bool kThroughL1>
__global__ void __launch_bounds__(kThreads, 1)
    cp_async_rate(const unsigned char* data, Region region, uint32_t groups, long long* clocks,
                  int* wrong) {
  unsigned char* shared = ptx::dynamic_shared();
  const uint32_t address = ptx::shared_address(shared) + 16 * threadIdx.x;
  const long long start = clock64();
#pragma unroll 1
  for (uint32_t group = 0; group < groups; ++group) {
    const unsigned char* from = data + region.offset(group) + 16 * threadIdx.x;
    const uint32_t to = address + group % kGroups * kGroupBytes;
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) {
      if constexpr (kThroughL1) {
        ptx::cp_async_ca<16>(to + 16 * kThreads * i, from + 16 * kThreads * i, 16);
      } else {
        ptx::cp_async_cg_16(to + 16 * kThreads * i, from + 16 * kThreads * i, 16);
      }
    }
    ptx::cp_async_commit_group();
    ptx::cp_async_wait_group<kGroups - 1>();
  }
  ptx::cp_async_wait_group<0>();
  if (threadIdx.x == 0) {
    clocks[blockIdx.x] = clock64() - start;
  }
  const uint32_t first_word = (region.offset(groups - 1) + 16 * threadIdx.x) / 4;
  const auto* got = reinterpret_cast<const uint32_t*>(
      shared + (groups - 1) % kGroups * kGroupBytes + 16 * threadIdx.x);
  for (uint32_t i = 0; i < 4; ++i) {
    if (got[i] != random_bits(first_word + i)) {
      atomicAdd(wrong, 1);
    }
  }
}

struct Loader2d {
  CUtensorMap map;
  __device__ void issue(uint32_t index, uint32_t shared, uint32_t barrier) const {
    const uint32_t box = (index + blockIdx.x * 37) % kBoxes;
    ptx::cp_async_bulk_tensor_2d(shared, &map, barrier, 0, static_cast<int32_t>(box * kBoxRows));
  }
};

// Each block of a cluster loads its slice of a box into all of them.
__device__ void run_multicast(const CUtensorMap& map, const Ring& ring, uint32_t size,
                              uint32_t first_box, uint32_t count, Waiter& waiter) {
  const uint32_t shared = ptx::shared_address(ptx::dynamic_shared());
  const uint32_t full = shared + ring.barriers();
  const uint32_t empty = full + 8 * kMostStages;
  const uint32_t rank = ptx::cluster_ctarank();
  const uint32_t slice_rows = kBoxRows / size;
  const auto all_blocks = static_cast<uint16_t>((1u << size) - 1);
  const auto start = [&](uint32_t i) {
    const uint32_t stage = i % ring.stages;
    if (i >= ring.stages) {  // every block is done with what the stage held
      waiter.wait_cluster(empty + 8 * stage, (i / ring.stages - 1) % 2);
    }
    if (waiter.given_up) {
      return;
    }
    const uint32_t row = (first_box + i) % kBoxes * kBoxRows + rank * slice_rows;
    ptx::mbarrier_arrive_expect_tx(full + 8 * stage, kBoxBytes);
    ptx::cp_async_bulk_tensor_2d_multicast(
        shared + stage * ring.pitch + rank * slice_rows * kRowBytes, &map, full + 8 * stage, 0,
        static_cast<int32_t>(row), all_blocks);
  };
  for (uint32_t i = 0; i < ring.stages && i < count; ++i) {
    start(i);
  }
  // At box i the boxes i to i + stages - 1 are in flight in this block.
#pragma unroll 1
  for (uint32_t i = 0; i < count && !waiter.given_up; ++i) {
    const uint32_t stage = i % ring.stages;
    waiter.wait(full + 8 * stage, i / ring.stages % 2);
    for (uint32_t block = 0; block < size; ++block) {
      ptx::mbarrier_arrive_cluster(ptx::mapa_shared_cluster(empty + 8 * stage, block));
    }
    if (i + ring.stages < count) {
      start(i + ring.stages);
    }
  }
}

__global__ void __launch_bounds__(32)
    multicast_rate(const __grid_constant__ CUtensorMap map, Ring ring, uint32_t size,
                   uint32_t count, long long* clocks, int* failed, int* wrong) {
  unsigned char* shared = ptx::dynamic_shared();
  if (threadIdx.x == 0) {
    const uint32_t full = ptx::shared_address(shared) + ring.barriers();
    init_barriers(full, ring.stages, 1);
    init_barriers(full + 8 * kMostStages, ring.stages, size);
  }
  __syncwarp();
  ptx::cluster_arrive();
  ptx::cluster_wait();  // the barriers of all blocks are ready
  const uint32_t first_box = blockIdx.x / size * 37;
  if (threadIdx.x == 0) {
    Waiter waiter{failed};
    const long long start = clock64();
    run_multicast(map, ring, size, first_box, count, waiter);
    clocks[blockIdx.x] = clock64() - start;
  }
  __syncwarp();
  ptx::cluster_arrive();
  ptx::cluster_wait();  // no block ends while another still writes to it or arrives at it
  const uint32_t first_word = (first_box + count - 1) % kBoxes * (kBoxBytes / 4);
  const unsigned char* last = shared + (count - 1) % ring.stages * ring.pitch;
  for (uint32_t i = threadIdx.x; i < kBoxBytes / 4; i += 32) {
    const uint32_t got = *reinterpret_cast<const uint32_t*>(last + cuda::swizzle_128(4 * i));
    if (got != random_bits(first_word + i)) {
      atomicAdd(wrong, 1);
    }
  }
}

void require_right(Report& report, const Buffer<int>& wrong, const std::string& what) {
  if (wrong.read()[0] != 0) {
    report.wrong(what + ": other bytes arrived than were sent");
  }
}

template <bool kThroughL1>
Rate measure_cp_async(Report& report, const Buffer<uint32_t>& data, const Region& region,
                      const std::string& what, const char* predicted) {
  constexpr uint32_t kCount = kStreamedBytes / kGroupBytes;
  constexpr uint32_t kShared = kGroups * kGroupBytes;
  const auto blocks = static_cast<unsigned>(report.gpu().multiProcessorCount);
  const Buffer<long long> clocks(blocks, 0);
  const Buffer<int> wrong(1, 0);
  const auto kernel = cp_async_rate<kThroughL1>;
  allow_shared(kernel, kShared);
  const double us = median_us(report, [&] {
    launch(kernel, {blocks, kThreads, kShared}, reinterpret_cast<const unsigned char*>(data.get()),
           region, kCount, clocks.get(), wrong.get());
  });
  require_right(report, wrong, what);
  const double bytes = double{kCount} * kGroupBytes;
  const Rate rate{bytes * blocks / us * 1e-6, bytes / median_clocks(clocks)};
  print_rate(report, what, rate, predicted);
  return rate;
}

Rate measure_multicast(Report& report, const Tensor& tensor, uint32_t size) {
  const std::string what = "TMA multicast to " + std::to_string(size) + " blocks, delivered";
  const Ring ring = Ring::of(kBoxBytes);
  const CUtensorMap map = tiled_map(tensor, {64, kBoxRows / size}, CU_TENSOR_MAP_SWIZZLE_128B);
  allow_shared(multicast_rate, ring.shared_bytes());
  Shape shape{.blocks = size, .threads = 32, .shared = ring.shared_bytes(), .cluster = size};
  const unsigned clusters = clusters_at_once(multicast_rate, shape);
  if (clusters < 1) {
    throw std::runtime_error("no cluster of " + std::to_string(size) + " blocks fits");
  }
  shape.blocks = clusters * size;
  const uint32_t count = kStreamedBytes / kBoxBytes;
  const Buffer<long long> clocks(shape.blocks, 0);
  const Buffer<int> failed(1, 0);
  const Buffer<int> wrong(1, 0);
  const auto enqueue = [&] {
    launch(multicast_rate, shape, map, ring, size, count, clocks.get(), failed.get(), wrong.get());
  };
  enqueue();
  require_no_timeout(failed);
  const double us = median_us(report, enqueue);
  require_no_timeout(failed);
  require_right(report, wrong, what);
  const double bytes = double{count} * kBoxBytes;
  const Rate rate{bytes * shape.blocks / us * 1e-6, bytes / median_clocks(clocks)};
  report.measured(what + ": blocks at once", shape.blocks, "blocks",
                  "132, or fewer in clusters of 4");
  print_rate(report, what, rate, size == 2 ? "9 [E]" : "12 [E]");
  return rate;
}

void measure(Report& report) {
  const Buffer<uint32_t> data(kDataBytes / 4);
  launch(fill_words, {kFillBlocks, 256}, data.get(), kDataBytes / 4);
  const Region all{0, kDataBytes, 37};
  // 32 KiB for each block, twice the size of a group: after the first round all hits.
  const Region own{2 * kGroupBytes, 2 * kGroupBytes, 0};
  const Rate cg = measure_cp_async<false>(report, data, all, "cp.async.cg from L2", "5.5 [E]");
  measure_cp_async<true>(report, data, all, "cp.async.ca from L2", "5 [E]");
  const Rate hits = measure_cp_async<true>(report, data, own, "cp.async.ca, hits in L1", "15 [E]");
  const Tensor tensor =
      dense(CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 2, data.get(), {64, kDataBytes / kRowBytes});
  const Loader2d loader{tiled_map(tensor, {64, kBoxRows}, CU_TENSOR_MAP_SWIZZLE_128B)};
  const Rate tma = measure_tma(report, loader, kBoxBytes);
  print_rate(report, "TMA from L2", tma, "5.5 [E]");
  const Rate two = measure_multicast(report, tensor, 2);
  const Rate four = measure_multicast(report, tensor, 4);
  report.decides("multicast of W",
                 "if two blocks receive at least 1.3 times the bytes a clock of plain TMA, H1 and "
                 "H2 load W by multicast in clusters of 2; of 4, if that adds another 1.3",
                 two.bytes < 1.3 * tma.bytes     ? "no clusters"
                 : four.bytes >= 1.3 * two.bytes ? "clusters of 4"
                                                 : "clusters of 2");
  report.decides(
      "cap of a per-tap tile",
      "43 flop/byte (128 x 64) times this rate caps per-tap kernels; if the cap is below "
      "the mma ceiling, tiles of Co <= 128 keep the halo resident",
      std::to_string(43 * tma.terabytes) + " TFLOP/s");
  report.decides("A through L1",
                 "if hits in L1 bring at least twice the bytes a clock of .cg, a kernel that "
                 "re-reads its halo through L1 is worth a try; else only resident halos",
                 hits.bytes >= 2 * cg.bytes ? "worth a try" : "resident halos only");
}

}  // namespace
}  // namespace tconv::probes

int main(int argc, char** argv) {
  return tconv::probes::run(argc, argv,
                            {"l2_paths",
                             "How many bytes a second reach shared memory from L2 by cp.async, TMA "
                             "and TMA multicast?",
                             tconv::probes::About::Needs::kHopper},
                            tconv::probes::measure);
}
