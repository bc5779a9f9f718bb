// SPDX-License-Identifier: Apache-2.0
// kernel_names.cpp: a library that CUDA loads into any program (CUDA_INJECTION64_PATH) and that
// lists the kernels that ran, by CUPTI: name, grid, block, registers, how often, microseconds. At
// the end one JSON line per kernel is appended to the file that TCONV_KERNEL_NAMES names. Not yet
// run on a GPU.
#include <cupti.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>

namespace {

using Record = CUpti_ActivityKernel10;

struct Use {
  unsigned long long times = 0;
  double us = 0;
  int registers = 0;
  int shared_bytes = 0;
};

struct Kernels {
  std::mutex mutex;
  // Name, grid, block; in this order, so that two runs can be compared.
  std::map<std::tuple<std::string, long, int>, Use> uses;
};

Kernels& kernels() {
  static auto* all = new Kernels;  // outlives whatever still runs at exit
  return *all;
}

void add(const Record& record) {
  const long blocks = long{record.gridX} * record.gridY * record.gridZ;
  const int threads = record.blockX * record.blockY * record.blockZ;
  Use& use = kernels().uses[{record.name != nullptr ? record.name : "?", blocks, threads}];
  ++use.times;
  use.us += 1e-3 * static_cast<double>(record.end - record.start);
  use.registers = record.registersPerThread;
  use.shared_bytes = record.staticSharedMemory + record.dynamicSharedMemory;
}

void CUPTIAPI give_buffer(uint8_t** buffer, size_t* size, size_t* most_records) {
  constexpr size_t kBytes = 1u << 20;
  *buffer = static_cast<uint8_t*>(std::aligned_alloc(8, kBytes));
  *size = *buffer != nullptr ? kBytes : 0;
  *most_records = 0;  // as many as fit
}

void CUPTIAPI take_buffer(CUcontext, uint32_t, uint8_t* buffer, size_t, size_t valid_bytes) {
  const std::lock_guard lock(kernels().mutex);
  CUpti_Activity* record = nullptr;
  while (cuptiActivityGetNextRecord(buffer, valid_bytes, &record) == CUPTI_SUCCESS) {
    if (record->kind == CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) {
      add(*reinterpret_cast<const Record*>(record));
    }
  }
  std::free(buffer);
}

void write_file() {
  cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED);
  const char* path = std::getenv("TCONV_KERNEL_NAMES");
  std::ofstream file(path != nullptr ? path : "/dev/stderr", std::ios::app);
  const std::lock_guard lock(kernels().mutex);
  for (const auto& [key, use] : kernels().uses) {
    file << nlohmann::ordered_json{{"kernel", std::get<0>(key)},
                                   {"blocks", std::get<1>(key)},
                                   {"threads", std::get<2>(key)},
                                   {"registers", use.registers},
                                   {"shared_bytes", use.shared_bytes},
                                   {"times", use.times},
                                   {"us", use.us / static_cast<double>(use.times)}}
                .dump()
         << '\n';
  }
}

}  // namespace

// What CUDA calls when it has loaded the library.
extern "C" __attribute__((visibility("default"))) int InitializeInjection() {
  if (cuptiActivityRegisterCallbacks(give_buffer, take_buffer) != CUPTI_SUCCESS ||
      cuptiActivityEnable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) != CUPTI_SUCCESS) {
    return 0;
  }
  return std::atexit(write_file) == 0 ? 1 : 0;
}
