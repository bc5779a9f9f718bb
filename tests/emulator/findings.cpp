// SPDX-License-Identifier: Apache-2.0
#include "tests/emulator/findings.h"

#include <backtrace.h>
#include <cxxabi.h>

#include <cstdlib>
#include <cstring>
#include <set>
#include <utility>
#include <vector>

#include "tests/emulator/fibers.h"
#include "tests/emulator/state.h"

namespace tconv::emulator {
namespace {

std::string file_name(const char* path) {
  const char* slash = std::strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

/// "gather" of "void tconv::cuda::(anonymous namespace)::gather<float, int>(...)".
std::string short_name(const char* mangled) {
  int status = 0;
  char* readable = abi::__cxa_demangle(mangled, nullptr, nullptr, &status);
  std::string name = readable != nullptr ? readable : mangled;
  std::free(readable);
  for (std::size_t at = 0; (at = name.find("(anonymous namespace)::", at)) != std::string::npos;) {
    name.erase(at, std::strlen("(anonymous namespace)::"));
  }
  name = name.substr(0, name.find_first_of("(<"));
  return name.substr(name.find_last_of(": ") + 1);  // npos + 1 is 0
}

int add_frame(void* text, uintptr_t, const char* file, int line, const char* function) {
  if (file == nullptr) return 0;
  std::string& result = *static_cast<std::string*>(text);
  if (!result.empty()) result += " < ";
  result += file_name(file) + ":" + std::to_string(line);
  if (function != nullptr) result += " (" + short_name(function) + ")";
  return 0;
}

void ignore_error(void*, const char*, int) {}

/// A finding whose place is still an address in the code.
struct Unresolved {
  std::size_t index;
  uintptr_t pc;
};

constexpr uint64_t kMostRepetitions = 10000;
Report* current = nullptr;
std::vector<Unresolved> unresolved;
std::set<std::pair<const char*, uintptr_t>> reported;
std::set<std::string> reported_lines;
uint64_t repetitions = 0;
const std::source_location* place = nullptr;

bool keep(const char* kind, const std::string& where, const std::string& detail, int thread) {
  if (current->findings.size() >= config().most_findings) return false;
  const uint3 block = running_block();
  current->findings.push_back({kind, {block.x, block.y, block.z}, thread, where, detail});
  return true;
}

}  // namespace

std::string line_of(uintptr_t pc) {
  static backtrace_state* const state = backtrace_create_state(nullptr, 0, ignore_error, nullptr);
  std::string text;
  backtrace_pcinfo(state, pc - 1, add_frame, ignore_error, &text);
  return text.empty() ? "a place without debug information" : text;
}

Site site_of(const std::source_location& where) {
  return {file_name(where.file_name()), where.line()};
}

bool already_reported(const char* kind, uintptr_t pc) {
  if (place != nullptr) return false;  // report_at looks
  if (!reported.contains({kind, pc})) return false;
  if (++repetitions > kMostRepetitions) hot.races = false;
  return true;
}

PlaceOfFindings::PlaceOfFindings(const std::source_location& where) { place = &where; }
PlaceOfFindings::~PlaceOfFindings() { place = nullptr; }

void report_at_pc(const char* kind, uintptr_t pc, const std::string& detail) {
  if (place != nullptr) return report_at(kind, *place, detail);
  if (already_reported(kind, pc)) return;
  reported.insert({kind, pc});
  if (keep(kind, "", detail, static_cast<int>(hot.thread))) {
    unresolved.push_back({current->findings.size() - 1, pc});
  }
}

void report_at(const char* kind, const std::source_location& where, const std::string& detail,
               int thread) {
  const std::string line = site_of(where).text();
  if (!reported_lines.insert(std::string(kind) + line).second) {
    if (++repetitions > kMostRepetitions) hot.races = false;
    return;
  }
  keep(kind, line, detail, thread >= 0 ? thread : static_cast<int>(hot.thread));
}

void report_launch(const char* kind, const std::string& detail) {
  keep(kind, current->kernel, detail, static_cast<int>(hot.thread));
}

void begin_findings(Report& report) {
  current = &report;
  unresolved.clear();
  reported.clear();
  reported_lines.clear();
  repetitions = 0;
  place = nullptr;  // an abandoned launch may have left it
}

void end_findings() {
  for (const auto& [index, pc] : unresolved) current->findings[index].where = line_of(pc);
  unresolved.clear();
}

}  // namespace tconv::emulator
