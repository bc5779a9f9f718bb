// SPDX-License-Identifier: Apache-2.0
// copies.cpp: cp.async. A copy reads and writes at the last moment that its group allows. Between
// there is NaN that counts as unwritten, so whoever reads too early, or without a barrier, is seen;
// for races the copy writes twice, when it is issued and when it is done.
#include <cstring>

#include "tests/emulator/fibers.h"
#include "tests/emulator/findings.h"
#include "tests/emulator/memory.h"
#include "tests/emulator/requests.h"
#include "tests/emulator/sites.h"

namespace tconv::emulator {
namespace {

void complete(const PendingCopy& copy, const Where& where) {
  auto* const target = reinterpret_cast<unsigned char*>(hot.shared.base) + copy.shared_offset;
  std::memcpy(target, copy.global, copy.bytes);
  std::memset(target + copy.bytes, 0, static_cast<std::size_t>(copy.size - copy.bytes));
  access_at(hot.shared, copy.shared_offset, copy.size, true, where);
  for (int i = 0; i < copy.size; ++i) hot.shared.states[copy.shared_offset + i] |= kWritten;
}

void check_alignment(uintptr_t address, uint32_t size, const Where& where) {
  if (address % size == 0) return;
  report_at("misaligned access", where,
            "cp.async: " + name_address(address) + ", " + std::to_string(size) + " bytes at once");
}

}  // namespace

void cp_async(uint32_t shared, const void* global, uint32_t size, uint32_t bytes,
              const Where& where) {
  const uint32_t offset = shared - kSharedWindow;
  const auto source = reinterpret_cast<uintptr_t>(global);
  if (offset >= kMostSharedBytes || bytes > size) {
    report_at("write out of bounds", where,
              "cp.async to the shared address " + std::to_string(shared) + ", " +
                  std::to_string(bytes) + " bytes");
    abandon_launch();
  }
  check_alignment(hot.shared.base + offset, size, where);
  access_at(hot.shared, offset, size, true, where);
  if (bytes > 0) {
    check_alignment(source, size, where);
    if (source - hot.global.base >= hot.global.size) {
      report_at("read out of bounds", where, name_address(source));
      abandon_launch();
    }
    access_at(hot.global, source - hot.global.base, bytes, false, where);
    if (hot.counting) {
      // The call, not the line: what is inlined or unrolled is several instructions.
      count_lane_at(RequestKind::async_copy, static_cast<uint32_t>(source - hot.global.base), size,
                    where, reinterpret_cast<uintptr_t>(__builtin_return_address(0)));
    }
  }
  std::memset(reinterpret_cast<void*>(hot.shared.base + offset), 0xff, size);
  for (uint32_t i = 0; i < size; ++i) {
    hot.shared.states[offset + i] &= static_cast<uint8_t>(~kWritten);
  }
  pending_copies().copies.push_back(
      {offset, static_cast<uint16_t>(size), static_cast<uint16_t>(bytes), global});
}

void cp_async_commit_group(const Where& where) {
  if (is_dropped("cp.async.commit_group", where)) return;
  PendingCopies& mine = pending_copies();
  mine.group_ends.push_back(mine.copies.size());
}

void cp_async_wait_group(uint32_t pending, const Where& where) {
  if (is_dropped("cp.async.wait_group", where)) return;
  PendingCopies& mine = pending_copies();
  for (; mine.group_ends.size() - mine.groups_done > pending; ++mine.groups_done) {
    for (; mine.done < mine.group_ends[mine.groups_done]; ++mine.done) {
      complete(mine.copies[mine.done], where);
    }
  }
  if (mine.groups_done == mine.group_ends.size() && mine.done == mine.copies.size()) mine.clear();
}

}  // namespace tconv::emulator
