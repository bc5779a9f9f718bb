// SPDX-License-Identifier: Apache-2.0
// emulator.h: runs the kernels' own source on the CPU, every CUDA thread a fiber, and watches.
//
// The tests' side. Kernels reach it through the second implementations of launch.cuh and ptx/
// (tests/emulator/shims), the library through the seam src/host/device/gpu.h (gpu_emulated.cpp).
// One launch at a time, on the thread that asks for it; the same seed gives the same run. README.md
// says what is checked and what cannot be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "src/host/device/gpu.h"

namespace tconv::emulator {

/// A line of a source file; `file` without its folders.
struct Site {
  std::string file;
  unsigned line = 0;
  std::string text() const { return file + ":" + std::to_string(line); }
  friend bool operator==(const Site&, const Site&) = default;
};

/// What the next launches are like.
struct Config {
  uint64_t seed = 1;         ///< of the order in which threads run
  bool check_memory = true;  ///< bounds, alignment, reads of what nobody wrote
  bool check_races = true;
  bool count = false;             ///< requests; a kernel that shows a new loop is run again
  std::vector<Site> drop;         ///< synchronisation sites that do nothing
  std::size_t most_findings = 8;  ///< later ones are not kept
  int cores = 0;                  ///< of the emulated GPU; 0: as many as an H200 has
};

/// Something that a kernel must not do.
struct Finding {
  std::string kind;  ///< "race", "out of bounds" ...
  unsigned block[3] = {0, 0, 0};
  int thread = 0;     ///< in its block, x fastest
  std::string where;  ///< file:line, inlined callers behind it
  std::string detail;
  std::string text() const;
};

/// Accesses of one kind, as the memory system sees them. A request is what the active lanes of one
/// warp ask for with one instruction.
struct Requests {
  uint64_t requests = 0, lanes = 0;
  uint64_t useful_bytes = 0;           ///< distinct bytes that lanes asked for
  uint64_t sectors = 0, lines = 0;     ///< global: 32 and 128 bytes, each moved whole
  uint64_t wavefronts = 0, ideal = 0;  ///< shared: cycles, and the fewest for these bytes

  void add(const Requests& other);
  uint64_t moved_bytes() const { return 32 * sectors; }
};

/// What a kernel did. Multiply-adds are those issued: a matrix product counts whole.
struct Counters {
  uint64_t launches = 0, blocks = 0, threads = 0;
  uint64_t barriers = 0;  ///< of a whole block, by block
  uint64_t multiply_adds = 0;
  double useful_multiply_adds = 0;  ///< of the problem whose run this launch begins
  // Only with Config::count:
  Requests global_loads, global_stores, async_copies, shared_loads, shared_stores, ldmatrix;

  void add(const Counters& other);
};

/// Requests of one instruction of a kernel.
struct InstructionCounters {
  std::string where, kind;  ///< "global load"
  int bytes = 0;            ///< of one lane
  Requests requests;
};

/// A synchronisation site that a launch met.
struct SyncSite {
  Site site;
  std::string name;         ///< "__syncthreads"
  uint64_t executions = 0;  ///< by thread
};

struct Report {
  std::string kernel;
  std::vector<Finding> findings;
  std::vector<SyncSite> sites;
  Counters counters;
  std::vector<InstructionCounters> instructions;  ///< with Config::count
  uint64_t switches = 0;                          ///< from thread to thread
  uint64_t accesses = 0;                          ///< checked
  uint64_t order_hash = 0;                        ///< of the order in which threads ran

  bool clean() const { return findings.empty(); }
  std::string text() const;  ///< the findings, a line each
};

/// For the launches that follow.
void configure(Config config);
const Config& config();

/// Of every launch since the last forget_reports(), the newest last.
const std::vector<Report>& reports();
void forget_reports();

/// Global memory, aligned to 256 bytes with a red zone around it, unwritten. `name` is for
/// findings.
void* allocate(std::size_t bytes, const std::string& name = "memory");
void release(void* memory);
void set_written(const void* memory, std::size_t bytes, bool written);
/// The kernel must not write it any more.
void set_constant(const void* memory, std::size_t bytes, bool constant);

/// A GPU whose launches run here. What a launch finds is thrown as a DeviceError, and in reports().
host::Gpu& emulated_gpu();

}  // namespace tconv::emulator
