// SPDX-License-Identifier: Apache-2.0
#include "tests/emulator/requests.h"

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <unordered_map>
#include <vector>

#include "tests/emulator/findings.h"
#include "tests/emulator/memory.h"
#include "tests/emulator/state.h"
#include "tests/emulator/warp_requests.h"

namespace tconv::emulator {
namespace {

constexpr uint64_t kHashPrime = 1099511628211U, kHashStart = 14695981039346656037U;

struct Loop {
  uintptr_t end = 0;  ///< the last block that jumped back
};

/// The loops that a thread is in, outermost first.
struct Trace {
  struct Frame {
    uintptr_t head;
    Loop* loop;
    uint64_t iteration, outer_key;
  };
  std::vector<Frame> frames;
  uintptr_t last_block = 0;
  uint64_t key = kHashStart;  ///< of all heads and iterations
  std::size_t cursor = 0;     ///< the request after the one that this lane was part of last

  void pop() {
    key = frames.back().outer_key;
    frames.pop_back();
  }
};

struct Instruction {
  RequestKind kind;
  uint32_t bytes;
  uintptr_t place;
  std::string where;  ///< empty: `place` is an address in the code
  Requests requests;
};

struct Request {
  uint64_t key;
  uint32_t instruction, mask;
  uint32_t offsets[kWarp];
};

// Threads of a block; loops of the whole process, by the address of their head.
std::array<Trace, 1024> traces;
std::unordered_map<uintptr_t, Loop> loops;
bool loops_grew = false;

std::vector<Instruction> instructions;
std::unordered_map<uintptr_t, uint32_t> instruction_of_place;
std::vector<Request> requests;
std::vector<uint32_t> table;  ///< open addressing: index into requests + 1
uint64_t split = 0;           ///< lanes that came twice under one key

void enter_loop(Trace& trace, uintptr_t head) {
  while (!trace.frames.empty() && trace.frames.back().head > head) trace.pop();
  if (trace.frames.empty() || trace.frames.back().head != head) {
    trace.frames.push_back({head, &loops[head], 0, trace.key});
  }
  Trace::Frame& frame = trace.frames.back();
  ++frame.iteration;
  trace.key = (frame.outer_key ^ head ^ frame.iteration << 40) * kHashPrime;
  if (frame.loop->end < trace.last_block) {
    frame.loop->end = trace.last_block;
    loops_grew = true;
  }
}

void leave_loops(Trace& trace, uintptr_t pc) {
  while (!trace.frames.empty() && pc > trace.frames.back().loop->end) trace.pop();
}

uint32_t instruction_at(RequestKind kind, uint32_t bytes, uintptr_t place) {
  const auto [found, is_new] =
      instruction_of_place.try_emplace(place, static_cast<uint32_t>(instructions.size()));
  if (is_new) instructions.push_back({kind, bytes, place, "", {}});
  return found->second;
}

void grow_table() {
  table.assign(std::max<std::size_t>(1024, table.size() * 2), 0);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    std::size_t at = requests[i].key & (table.size() - 1);
    while (table[at] != 0) at = (at + 1) & (table.size() - 1);
    table[at] = static_cast<uint32_t>(i + 1);
  }
}

std::size_t find_request(uint64_t key, RequestKind kind, uint32_t bytes, uintptr_t place) {
  if ((requests.size() + 1) * 2 > table.size()) grow_table();
  std::size_t at = key & (table.size() - 1);
  for (; table[at] != 0; at = (at + 1) & (table.size() - 1)) {
    if (requests[table[at] - 1].key == key) return table[at] - 1;
  }
  requests.push_back({key, instruction_at(kind, bytes, place), 0, {}});
  table[at] = static_cast<uint32_t>(requests.size());
  return requests.size() - 1;
}

void add_request(const Request& request) {
  Instruction& instruction = instructions[request.instruction];
  instruction.requests.add(is_shared(instruction.kind)
                               ? shared_request(request.offsets, request.mask, instruction.bytes)
                               : global_request(request.offsets, request.mask, instruction.bytes));
}

const char* name_of(RequestKind kind) {
  constexpr const char* kNames[] = {"global load", "global store", "cp.async",
                                    "shared load", "shared store", "ldmatrix"};
  return kNames[static_cast<int>(kind)];
}

Requests& counter_of(Counters& counters, RequestKind kind) {
  switch (kind) {
    case RequestKind::global_load: return counters.global_loads;
    case RequestKind::global_store: return counters.global_stores;
    case RequestKind::async_copy: return counters.async_copies;
    case RequestKind::shared_load: return counters.shared_loads;
    case RequestKind::shared_store: return counters.shared_stores;
    default: return counters.ldmatrix;
  }
}

}  // namespace

void enter_basic_block(uintptr_t pc) {
  if (!hot.in_kernel) return;
  Trace& trace = traces[hot.thread];
  pc <= trace.last_block ? enter_loop(trace, pc) : leave_loops(trace, pc);
  trace.last_block = pc;
}

void count_lane(RequestKind kind, uint32_t offset, uint32_t bytes, uintptr_t place) {
  Trace& trace = traces[hot.thread];
  const uint32_t bit = 1U << (hot.thread % kWarp);
  const uint64_t key = ((trace.key ^ place) * kHashPrime) ^ (trace.key >> 29);
  std::size_t at = trace.cursor;
  if (at >= requests.size() || requests[at].key != key) at = find_request(key, kind, bytes, place);
  Request* request = &requests[at];
  // A place that repeats without a loop that the trace shows: the next of its name.
  for (uint64_t again = 1; (request->mask & bit) != 0; ++again) {
    ++split;
    at = find_request(key + again * kHashStart, kind, bytes, place);
    request = &requests[at];
  }
  request->mask |= bit;
  request->offsets[hot.thread % kWarp] = offset;
  trace.cursor = at + 1;
}

void count_lane_at(RequestKind kind, uint32_t offset, uint32_t bytes,
                   const std::source_location& where, uintptr_t place) {
  count_lane(kind, offset, bytes, place);
  std::string& text = instructions[instruction_of_place[place]].where;
  if (text.empty()) text = site_of(where).text();
}

void count_matrices(const uint32_t* offsets, int matrices, const std::source_location& where) {
  const uintptr_t place =
      reinterpret_cast<uintptr_t>(where.file_name()) * 31 + where.line() * 257 + where.column();
  Instruction& instruction = instructions[instruction_at(RequestKind::ldmatrix, 16, place)];
  if (instruction.where.empty()) instruction.where = site_of(where).text();
  Requests total;
  for (int i = 0; i < matrices; ++i) total.add(shared_request(offsets + 8 * i, 0xff, 16));
  total.requests = 1;
  total.lanes = kWarp;
  instruction.requests.add(total);
}

void count_access(const Region& region, std::size_t offset, std::size_t bytes, bool write,
                  uintptr_t pc) {
  const RequestKind kind = region.is_shared
                               ? write ? RequestKind::shared_store : RequestKind::shared_load
                           : write ? RequestKind::global_store
                                   : RequestKind::global_load;
  count_lane(kind, static_cast<uint32_t>(offset), static_cast<uint32_t>(bytes), pc);
}

void flush_requests() {
  for (const Request& request : requests) add_request(request);
  if (requests.empty()) return;
  requests.clear();
  std::fill(table.begin(), table.end(), 0);
  for (Trace& trace : traces) trace.cursor = 0;
}

void begin_counting() {
  loops_grew = false;
  instructions.clear();
  instruction_of_place.clear();
  requests.clear();
  std::fill(table.begin(), table.end(), 0);
  forget_traces();
}

void forget_traces() {
  for (Trace& trace : traces) {
    trace.frames.clear();
    trace.last_block = 0;
    trace.cursor = 0;
    trace.key = kHashStart;
  }
}

bool knows_all_loops() { return !loops_grew; }

void end_counting(Report& report) {
  flush_requests();
  for (Instruction& instruction : instructions) {
    counter_of(report.counters, instruction.kind).add(instruction.requests);
    report.instructions.push_back(
        {instruction.where.empty() ? line_of(instruction.place) : instruction.where,
         name_of(instruction.kind), static_cast<int>(instruction.bytes), instruction.requests});
  }
}

}  // namespace tconv::emulator
